from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edge.worker.worker import Worker
from tests import workers
from tests.homes import learned_home, new_home, run, run_json, spawn, write_csv


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that has learned two labels of the domain hall; its worker grows something at once."""

    def make(memory_mib_max: int, seconds_max: float) -> Worker:
        return workers.worker("grown", memory_mib_max, seconds_max)

    monkeypatch.setattr("edge.home.home.Worker", make)
    return learned_home(tmp_path / "home")


def test_a_domain_is_grown_listed_and_rolled_back(home):
    """Growing shows the search and what serves, the list shows the versions, and rolling back
    brings the one before back."""
    result = run("grow", "hall", "--home", home)
    assert result.exit_code == 0, result.output
    assert "# a stage" in result.stdout
    assert "linear: taps 0, width 4\t0.900\t90.0 %" in result.stdout
    assert (
        "hall: version 1 serves, accuracy 90.0 %, previous 70.0 % on held-out facts"
        in result.stdout
    )
    assert run("grow", "--home", home).exit_code == 0
    listed = run("adaptors", "--home", home).stdout.splitlines()
    assert [line.split("\t")[:4] for line in listed[1:]] == [
        ["hall", "2", "yes", "linear"],
        ["hall", "1", "no", "linear"],
    ]
    assert (
        "version 2 was removed; version 1 serves again"
        in run("rollback", "hall", "--home", home).stdout
    )
    assert run("verify", "--home", home).exit_code == 0
    assert run("predict", home / "table.csv", "--home", home).exit_code == 0


def test_growth_with_json(home):
    """With --json each verb prints only values."""
    grown = run_json("grow", "hall", "--home", home)
    assert (grown["state"], grown["version"], grown["search"]) == ("serving", 1, ["a stage"])
    assert grown["candidates"][0]["accuracy"] == 0.9
    listed = run_json("adaptors", "--home", home)
    assert (listed["domain"], listed["kind"], listed["serves"]) == ("hall", "linear", True)
    assert run_json("rollback", "hall", "--home", home)["state"] == "rolled back"


def test_forgetting_the_training_facts_of_an_adaptor_is_in_the_receipt(home):
    """The adaptor is removed with its facts, and the receipt says so; relabelling reports it
    too."""
    assert run("grow", "hall", "--home", home).exit_code == 0
    receipt = run_json("forget", "--home", home, "--yes", "--subject", "person-1")
    assert receipt["facts_forgotten"] == 8
    assert "adaptors" in receipt["rebuilt"]
    assert run_json("adaptors", "--home", home)["kind"] == "none"
    assert run("grow", "hall", "--home", home).exit_code == 0
    result = run("relabel", "--home", home, "--label", "a", "--to-label", "c")
    assert result.exit_code == 0, result.output


def test_learning_grows_only_on_request(home, tmp_path):
    """`learn` alone starts no growth; `learn --grow` grows each domain that has enough facts."""
    table = write_csv(tmp_path / "more.csv", 15, spread=20)
    assert run("learn", table, "--home", home, "--domain", "attic").exit_code == 0
    assert {one["version"] for one in values("adaptors", "--home", home)} == {0}
    result = run("learn", table, "--home", home, "--domain", "attic", "--grow", "--json")
    first, *outcomes = map(json.loads, result.stdout.splitlines())
    assert first["count"] == 0
    assert sorted(one["domain"] for one in outcomes) == ["attic", "hall"]
    assert {one["version"] for one in values("adaptors", "--home", home)} == {1}


def values(*words: object) -> list[dict[str, object]]:
    """The values that a verb prints with --json, one on each line."""
    return [json.loads(line) for line in run(*words, "--json").stdout.splitlines()]


def test_an_impossible_growth_or_rollback_is_an_error(home, tmp_path):
    """An empty home, an unknown domain and a domain without adaptor end with status 1 and a
    cure."""
    empty = new_home(tmp_path / "empty")
    for words, reason in (
        (("grow", "--home", empty), "there are no facts yet"),
        (("grow", "cellar", "--home", home), "no such domain"),
        (("rollback", "hall", "--home", home), "no adaptor serves there"),
    ):
        result = run(*words)
        assert result.exit_code == 1
        assert reason in result.stderr
        assert "hint: " in result.stderr
    assert run("adaptors", "--home", empty).exit_code == 0


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A home that has learned three labels, enough to search and train on for real, however busy
    the machine is."""
    made = new_home(tmp_path / "wide")
    text = (made / "auricle.toml").read_text("utf-8")
    (made / "auricle.toml").write_text(text.replace("seconds_max = 120.0", "seconds_max = 900.0"))
    table = write_csv(tmp_path / "wide.csv", 60, "abc", spread=60)
    assert run("learn", table, "--home", made, "--domain", "hall").exit_code == 0
    return made


def worker_of(process: subprocess.Popen[str]) -> int:
    """The id of the worker that a process starts."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 30
    while not (found := children.read_text("ascii").split()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return int(found[0])


def test_growth_for_real_ends_with_an_answer(wide):
    """The shipped search and training, in the shipped worker, end with an adaptor or with a reason
    that is not a failure."""
    pytest.importorskip("torch")
    result = run("grow", "hall", "--home", wide)
    assert result.exit_code == 0, result.output
    assert "the worker failed" not in result.stdout
    assert run("verify", "--home", wide).exit_code == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_growth_that_is_ended_leaves_a_whole_home(wide, number, status):
    """After kill -9 or Ctrl-C no worker stays behind, no version is half stored, and the home is
    whole and free."""

    def listen() -> None:
        # A test run in the background would hand its deafness to Ctrl-C down.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = spawn("grow", "hall", "--home", wide, preexec_fn=listen)
    worker = worker_of(process)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == status
    assert workers.gone(worker)
    assert run("verify", "--home", wide).exit_code == 0
    assert run("adaptors", "--home", wide).exit_code == 0
