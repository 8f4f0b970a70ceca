"""The analysis process: suspicious labels, prototypes, groups and enough, on real digits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import encoder
from edge.analysis import AnalysisClient
from edge.core.errors import EdgeError, TransportError
from edge.core.events import Enrol, ForgetRequest, StoreLabelCandidates
from edge.core.facts import Fact, LabelCandidate, Selector
from edge.home.home import Home
from edge.home.new_home import create_home

FACTS = 600
NOISE = 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of 600 digits, of which one in ten has a wrong label, and 200 waiting ones."""
    made: Path = tmp_path_factory.mktemp("digits") / "home"
    quantiser = encoder.Quantiser(np.ones(64, np.float32), np.zeros(64, np.int32))
    create_home(made, encoder.vector_card(64, "digits", quantiser), "")
    digits, random = load_digits(), np.random.default_rng(3)
    rows = (digits.data * 15).astype(np.uint8)
    facts, wrong = [], []
    for number in range(FACTS):
        label = int(digits.target[number])
        if random.random() < NOISE:
            label = (label + int(random.integers(1, 10))) % 10
            wrong.append(f"f{number}")
        facts.append(
            Fact(
                id=f"f{number}",
                stream="desk",
                domain="paper",
                label=f"d{label}",
                captured_at_ns=number + 1,
                features=rows[number].tobytes(),
                recording=f"sheet {number // 30}",
            )
        )
    waiting = tuple(
        LabelCandidate(
            observation_id=f"c{number}",
            stream="desk",
            subject="",
            domain="paper",
            captured_at_ns=number,
            score=0.5,
            features=rows[number].tobytes(),
        )
        for number in range(FACTS, FACTS + 200)
    )
    with Home(made) as home:
        home.feed(Enrol(tuple(facts)))
        home.store.apply(StoreLabelCandidates(waiting))
    (made / "wrong").write_text("\n".join(wrong), "utf-8")
    return made


@pytest.fixture
def client(folder: Path) -> Iterator[AnalysisClient]:
    """A client whose process ends with the test."""
    made = AnalysisClient(folder)
    yield made
    made.close()


def test_wrong_labels_are_suspicious(folder: Path, client: AnalysisClient):
    """Most listed labels are wrong, most wrong labels are listed, and the better label of most is
    the true one."""
    wrong = set((folder / "wrong").read_text("utf-8").split())
    listed = client.ask("suspicious")
    found = {one["id"] for one in listed}
    assert len(found & wrong) > 0.9 * len(found)
    assert len(found & wrong) > 0.7 * len(wrong)
    truth = load_digits().target
    right = [one["better"] == f"d{truth[int(one['id'][1:])]}" for one in listed]
    assert np.mean(right) > 0.85
    assert listed == sorted(listed, key=lambda one: (-one["margin"], one["id"]))
    assert "paper" in listed[0]["why"]


def test_prototypes_are_typical_and_of_different_recordings(client: AnalysisClient):
    """Six facts of each concept, no two of a recording while there are others."""
    found = client.ask("prototypes")
    assert sorted(found) == [f"paper/d{digit}" for digit in range(10)]
    for ids in found.values():
        assert len(ids) == 6
        assert len({int(one[1:]) // 30 for one in ids}) == 6


def test_enough_gives_the_number_of_further_labels(client: AnalysisClient):
    """Each concept has an accuracy within its interval, and a number or the reason for none."""
    found = client.ask("enough")
    for one in found.values():
        assert one["low"] <= one["accuracy"] <= one["high"]
        assert one["advice"]
        assert one["more"] is None or one["more"] >= 0
    assert any(one["more"] for one in found.values())


def test_groups_hold_similar_observations(client: AnalysisClient):
    """Every waiting observation is in a group, and most of a group are the same digit."""
    found = client.ask("groups")
    assert sorted(found) == sorted(f"c{number}" for number in range(FACTS, FACTS + 200))
    truth = load_digits().target
    groups: dict[int, list[int]] = {}
    for key, group in found.items():
        groups.setdefault(group, []).append(int(truth[int(key[1:])]))
    same = sum(max(map(rows.count, rows)) for rows in groups.values())
    assert same > 0.7 * len(found)


def test_a_killed_process_is_started_again(client: AnalysisClient):
    """A process that was killed costs nothing but the time to start another."""
    client.ask("prototypes")
    first = client.pid
    os.kill(first, signal.SIGKILL)
    assert client.ask("prototypes")
    assert client.pid != first


def test_a_process_that_hangs_is_given_up(client: AnalysisClient):
    """A stopped process is ended after the time limit, and the next question is answered."""
    client.ask("prototypes")
    os.kill(client.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(TransportError, match="no answer in time"):
        client.ask("prototypes", timeout_s=0.5)
    assert time.monotonic() - began < 10
    assert client.ask("prototypes")


def test_questions_that_cannot_be_answered_have_a_reason(client: AnalysisClient, tmp_path: Path):
    """An unknown question, an unknown home and a folder without a home are named."""
    with pytest.raises(EdgeError, match="there is no question 'meaning'"):
        client.ask("meaning")  # type: ignore[arg-type]
    with pytest.raises(EdgeError, match="there is no home 'attic'"):
        client.ask("enough", "attic")
    other = AnalysisClient(tmp_path)
    with pytest.raises(EdgeError, match=r"auricle\.toml"):
        other.ask("enough")
    other.close()


def test_a_running_process_does_not_block_an_erasure(folder: Path, client: AnalysisClient):
    """Between questions the file is closed: a forget cuts the log while the process lives."""
    client.ask("suspicious")
    assert client.pid
    with Home(folder) as home:
        home.feed(ForgetRequest(request_id="r1", selector=Selector(ids=frozenset({"f0"}))))
        assert not home.store.unscrubbed
    assert all(one["id"] != "f0" for one in client.ask("suspicious"))
