from __future__ import annotations

import os
import sys
from random import Random
from typing import cast

import pytest
from msgspec.structs import replace

from benchmarks.exact.histories import ExpectedState, HistoryDevice, RandomHistory
from benchmarks.exact.kills import ChildOutput, features_of, kill_repeatedly
from benchmarks.exact.run import run
from edge import Store
from edge.core.events import Enrol
from edge.core.facts import Selector
from tests.worlds import fact


@pytest.fixture
def as_child(monkeypatch, source):
    """Let a child process find the packages where this one finds them."""
    paths = [str(source), *(path for path in sys.path if path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.mark.parametrize("seed", range(3))
def test_a_history_ends_as_the_rules_say(tmp_path, seed):
    """After learning, corrections, forgets, merges and crashes the facts equal those of a plain
    model."""
    assert RandomHistory(tmp_path, seed).run(60) == (0, 0)


def test_killed_processes_lose_nothing_they_acknowledged(tmp_path, as_child):
    """After SIGKILL every acknowledged label is there, and no receipted id is anywhere."""
    survival = kill_repeatedly(tmp_path, 1, 2)
    assert survival.durable > 0
    assert (survival.lost, survival.found, survival.mismatches) == (0, 0, 0)


def test_the_summary_has_its_keys(as_child):
    """The report names its counts."""
    summary = run(None, histories=0, kills=1).summary
    assert set(summary) == {
        "histories",
        "digest_mismatches",
        "kill9_runs",
        "acknowledged_lost",
        "forgotten_found",
    }


def test_a_store_that_lost_a_fact_is_noticed(tmp_path):
    """A fact that the store lacks, or holds differently, is a mismatch."""
    device = HistoryDevice(tmp_path, 10, Random(0))
    device.feed(Enrol((fact("x", width=24), fact("y", width=24))))
    device.check()
    assert device.mismatches == 0
    device.expected.facts["x"] = replace(device.expected.facts["x"], label="other")
    device.check()
    assert device.mismatches == 2


def test_a_forgotten_fact_left_in_a_file_is_found(tmp_path):
    """The search for forgotten facts finds one that is still there."""
    device = HistoryDevice(tmp_path, 10, Random(0))
    device.feed(Enrol((fact("a name to find", width=24),)))
    device.search([fact("a name to find", width=24), fact("never there", width=24)])
    assert device.found == 1


def test_the_model_keeps_the_newest():
    """The plain model evicts, corrects, and refuses forgotten facts."""
    expected = ExpectedState(1)
    expected.learn([fact("x", at=1), fact("y", at=2)])
    assert list(expected.facts) == ["y"]
    expected.relabel(Selector(label="a"), "b", "")
    assert expected.facts["y"].revision == 1
    expected.forget(expected.matching(Selector(label="b")))
    expected.learn([fact("y")])
    assert expected.facts == {}


class Held:
    """A store with given contents."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels

    def get(self, fact_id: str):
        """The fact, or None."""
        return fact(fact_id, self._labels[fact_id]) if fact_id in self._labels else None

    def was_forgotten(self, fact_id: str) -> bool:
        """True for absent items."""
        return fact_id not in self._labels


@pytest.mark.parametrize(
    ("output", "held", "lost"),
    [
        ("try label a x\nlabel a x\n", {"x": "a"}, 0),
        ("try label a x\nlabel a x\n", {}, 1),
        ("try label a x\nlabel a x\n", {"x": "b"}, 1),
        ("try label a x\n", {}, 0),
        ("try label a x\nlabel a x\ntry label b x\n", {"x": "b"}, 0),
        ("try label a x\nlabel a x\ntry receipt - x\n", {}, 0),
        ("try label a x\nlabel a x\ntry receipt - x\nreceipt - x\n", {}, 0),
        ("try label a x\nlabel a x\ntry label b y\nlab", {"y": "b"}, 1),
    ],
)
def test_only_the_last_thing_tried_may_be_either_way(output, held, lost):
    """An acknowledged change must be present; a change in progress may be."""
    account = ChildOutput()
    account.read(output)
    assert account.reconcile(cast("Store", Held(held))) == lost


def test_features_follow_from_ids():
    """The parent can look for features it never saw."""
    assert features_of("x") == features_of("x") != features_of("y")
