from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge import Store
from edge.commands.control_socket import ControlSocket
from edge.core.events import StoreLabelCandidates
from edge.core.facts import LabelCandidate
from edge.home.home import Home
from edge.home.labelling import waiting_labels
from edge.mqtt.messages import DaemonStatus, OutboxStatus
from tests.edge.cli.views.test_status import snapshot
from tests.homes import CARD, learned_home, run, run_json
from tests.worlds import WIDTH

FEATURES = bytes([7] * WIDTH)


@pytest.fixture
def flagged_home(tmp_path):
    """A home with labels a and b, and two label candidates of a new domain."""
    home = learned_home(tmp_path)
    with Store.open(home / "knowledge.db", CARD) as store:
        kept = (
            LabelCandidate(
                observation_id=f"cam:{n}",
                stream="cam",
                subject="",
                domain="domain-2",
                captured_at_ns=n * 10**9,
                score=1 / n,
                features=FEATURES,
            )
            for n in (2, 1)
        )
        store.apply(StoreLabelCandidates(tuple(kept)))
    return home


@pytest.fixture
def daemon(tmp_path):
    """A control socket that answers from a table of verbs and records the requests."""
    requests: list[dict[str, Any]] = []
    replies: dict[str, Any] = {}

    def answer(line: bytes) -> bytes:
        requests.append(json.loads(line))
        return json.dumps(replies[requests[-1]["verb"]]).encode()

    door = ControlSocket(tmp_path, answer)
    door.start()
    yield tmp_path, requests, replies
    door.stop()


def fine(body: object) -> dict[str, Any]:
    """A reply of a completed request."""
    return {"done": True, "body": msgspec.to_builtins(body)}


def test_a_daemon_takes_commands_while_its_settings_cannot_be_read(
    daemon: tuple[Path, list[dict[str, Any]], dict[str, Any]],
) -> None:
    """A typing error in auricle.toml does not keep a user from the daemon that runs there; without
    a daemon, the error names the key."""
    folder, asked, replies = daemon
    (folder / "auricle.toml").write_text("[detector]\nwindoww = 16\n", encoding="utf-8")
    replies["pause"] = fine({})
    assert run("command", "pause", "--home", folder).exit_code == 0
    assert [one["verb"] for one in asked] == ["pause"]
    elsewhere = run("command", "pause", "--home", folder, "--out", folder / "pause.json")
    assert elsewhere.exit_code == 1
    assert "windoww" in elsewhere.stderr
    assert "did you mean window" in elsewhere.stderr


def test_the_most_worthwhile_comes_first(flagged_home):
    """Label candidates are listed by score, with the labels in use."""
    found = run_json("label", "--home", flagged_home)
    assert [one["id"] for one in found["flagged"]] == ["cam:1", "cam:2"]
    assert found["labels"] == ["a", "b"]


def test_labels_are_taken_one_by_one(flagged_home):
    """A number chooses a label in use, text is a new one; both are learned durably."""
    result = run("label", "--home", flagged_home, answer="2\nnew\n")
    assert result.exit_code == 0, result.output
    assert "2 labelled" in result.output
    with Home(flagged_home, writable=False) as home:
        concepts = home.store.concepts()
        assert concepts["domain-2", "b"] == concepts["domain-2", "new"] == 1
        assert waiting_labels(home).flagged == ()


@pytest.mark.parametrize("answer", ["q\n", "\n\n", ""])
def test_nothing_is_learned_without_a_label(flagged_home, answer):
    """Quitting, skipping and the end of input change nothing."""
    result = run("label", "--home", flagged_home, answer=answer)
    assert result.exit_code == 0
    assert "0 labelled" in result.output
    assert len(run_json("label", "--home", flagged_home)["flagged"]) == 2


def test_one_label_is_given_by_id(flagged_home):
    """A script labels without a prompt."""
    assert "1" in run_json("label", "cam:2", "a", "--home", flagged_home)["learned"]
    assert [one["id"] for one in run_json("label", "--home", flagged_home)["flagged"]] == ["cam:1"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("cam:9", "a"), "expired"),
        (("cam:1",), "the label is missing"),
        (("cam:1", "a\nb"), "label"),
    ],
)
def test_an_invalid_label_is_an_error(flagged_home, words, reason):
    """An unknown id, a missing label and an invalid label are errors of two lines with status 1."""
    result = run("label", *words, "--home", flagged_home)
    assert result.exit_code == 1
    assert reason in result.stderr


def test_labels_go_through_a_running_daemon(daemon):
    """Labels go through the daemon, which holds the home, even one that explains nothing yet."""
    folder, requests, replies = daemon
    waiting = {
        "flagged": [
            {"id": "cam:1", "stream": "cam", "domain": "d", "captured_at_ns": 0, "score": 1.0}
        ],
        "labels": ["7"],
    }
    replies |= {"status": fine(snapshot()), "candidates": fine(waiting), "label": fine({})}
    replies["explain"] = {"done": False, "reason": "verb must be the name of a command"}
    result = run("label", "--home", folder, "--domain", "night", answer="7\n")
    assert result.exit_code == 0, result.output
    given = requests[-1]
    assert (given["observation_id"], given["label"], given["domain"]) == ("cam:1", "7", "night")
    assert given["id"]


def test_clusters_are_named_by_one_label(daemon):
    """Clusters without a name come first; a label of the first observation is the name, and Enter
    skips one."""
    folder, requests, replies = daemon
    cluster = {
        "kind": "vector",
        "count": 9,
        "nearest": "7",
        "likelihood": 0.4,
        "domain": "domain-2",
    }
    columns = [cluster | {"samples": ["cam:4", "cam:6"]}, cluster | {"samples": ["cam:5"]}]
    waiting = {"flagged": [], "labels": ["7"], "columns": columns}
    replies |= {"status": fine(snapshot()), "candidates": fine(waiting), "label": fine({})}
    replies["explain"] = {"done": False, "reason": "it does not wait"}
    result = run("label", "--home", folder, answer="\nfan\nyes\n")
    assert result.exit_code == 0, result.output
    assert "2 clusters of unlabelled observations have no name" in result.output
    assert "in domain-2, most like 7 (40%)" in result.output
    assert "among them cam:4, cam:6" in result.output
    given = [one for one in requests if one.get("label")]
    assert [(one["observation_id"], one["label"], one["domain"]) for one in given] == [
        ("cam:5", "fan", "domain-2")
    ]


def test_a_refusal_of_the_daemon_is_reported(daemon):
    """The error has the reason and the hint of the daemon."""
    folder, _, replies = daemon
    refused = {"done": False, "reason": "the outbox is full", "hint": "wait"}
    nothing = fine({"flagged": [], "labels": []})
    replies |= {"status": fine(snapshot()), "candidates": nothing, "label": refused}
    result = run("label", "x", "a", "--home", folder)
    assert result.exit_code == 1
    assert "the outbox is full" in result.stderr


def test_status_shows_a_daemon(daemon):
    """The verb prints tables, or the snapshot with --json, and ends with status 4 if degraded."""
    folder, _, replies = daemon
    replies["status"] = fine(snapshot())
    result = run("status", "--home", folder)
    assert result.exit_code == 4
    assert "gate-1" in result.output
    replies["status"] = fine(snapshot(state="serving"))
    shown = run_json("status", "--home", folder)
    assert msgspec.convert(shown, DaemonStatus).outbox == OutboxStatus(
        waiting=7, nbytes=2_048, oldest_s=61.0, sequence=900, dropped=2
    )
    assert run("top", "--home", folder).exit_code == 0


def test_status_without_a_daemon_exits_with_3(tmp_path):
    """Without a daemon the status is 3 with a hint; a missing folder is another error."""
    for verb in ("status", "top"):
        result = run(verb, "--home", tmp_path)
        assert result.exit_code == 3
        assert "auricle run" in result.stderr
        assert run(verb, "--home", tmp_path / "missing").exit_code == 1
