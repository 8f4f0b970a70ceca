"""An adaptor that a forget has ended, made again by a home: digits, a real worker, a real file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.datasets import load_digits

import nas
from edge.core.adaptors.record import AdaptorRecord
from edge.core.events import (
    Decision,
    Enrol,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    Observation,
    StartGrowth,
    Tick,
)
from edge.core.facts import Fact, Selector
from edge.core.jobs import GrowthJob, GrowthResult
from edge.core.reconfigurator import OWN_FACTS_ENOUGH
from edge.core.retraining import train_again
from edge.home.home import Home
from edge.home.new_home import create_home
from edge.worker.worker import Worker
from tests.homes import run
from tests.worlds import whole_number_model

WIDTH = 64
WAIT_S = 60.0
BLUEPRINTS = {
    "kernel": nas.Blueprint(kind="kernel", taps=(0,), width=128),
    "lowrank": nas.Blueprint(kind="lowrank", taps=(0,), rank=8, activation="relu", depth=1),
    "recipe": nas.Blueprint(kind="lowrank", taps=(0,), rank=8, depth=2, recipe="learngene"),
}


def digits(count: int = OWN_FACTS_ENOUGH + 20) -> tuple[Fact, ...]:
    """Facts of handwritten digits."""
    found = load_digits()
    return tuple(
        Fact(
            id=f"digit-{at:04}",
            stream="scanner",
            domain="desk",
            label=str(found.target[at]),
            captured_at_ns=at + 1,
            features=(15 * found.data[at]).astype("u1").tobytes(),
        )
        for at in range(count)
    )


def learned(folder: Path, facts: tuple[Fact, ...]) -> Path:
    """A home that has learned facts."""
    create_home(folder, whole_number_model(WIDTH).card, "")
    with Home(folder) as home:
        home.feed(Enrol(facts))
    return folder


def accepted(job: GrowthJob, blueprint: nas.Blueprint) -> GrowthResult:
    """The result of a growth that has found this blueprint better."""
    from edge.growth.adaptor_training import train_adaptor

    found = train_again(replace(job, blueprint=blueprint), train_adaptor)
    assert found.record is not None
    record = replace(found.record, provisional=False, accuracy=0.9, incumbent=0.8)
    return replace(found, record=record, accuracy=0.9, incumbent=0.8)


def grow(home: Home, blueprint: nas.Blueprint) -> AdaptorRecord:
    """Grow an adaptor of a blueprint for the desk."""
    effects = home.runtime.handle(GrowRequest("desk"))
    job = next(one.job for one in effects if isinstance(one, StartGrowth))
    home.feed(GrowthFinished(accepted(job, blueprint)))
    return home.store.adaptors()["desk"][0]


def wait(home: Home) -> AdaptorRecord:
    """Maintain a home as a daemon does until an adaptor serves the desk."""
    deadline = time.monotonic() + WAIT_S
    while "desk" not in home.store.adaptors():
        assert time.monotonic() < deadline, "no adaptor came back"
        home.feed(Tick())
        home.poll_growth()
        time.sleep(0.01)
    return home.store.adaptors()["desk"][0]


@pytest.mark.parametrize("kind", BLUEPRINTS)
def test_an_adaptor_comes_back_bit_equal_to_that_of_a_twin(tmp_path: Path, kind: str) -> None:
    """After a forget a home trains the same blueprint again on the remaining facts; a home that
    never saw the fact has the same adaptor, bit for bit, and the file no trace of the fact."""
    facts, gone = digits(), "digit-0007"
    with Home(learned(tmp_path / "home", facts), deferring=True) as home:
        grow(home, BLUEPRINTS[kind])
        home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({gone}))))
        assert not home.store.adaptors()
        record = wait(home)
        assert (record.version, record.provisional) == (2, True)
        assert gone not in record.facts
        answers = home.runtime.knowledge.adaptor("desk").labels
        assert set(answers) == {one.label for one in facts}
    rest = tuple(one for one in facts if one.id != gone)
    with Home(learned(tmp_path / "twin", rest)) as twin:
        assert grow(twin, BLUEPRINTS[kind]).digest == record.digest
    with Home(tmp_path / "home", writable=False) as again:
        assert again.store.adaptors()["desk"][0].provisional


def decide(home: Home, number: int) -> Decision:
    """Decide on a digit."""
    found = home.feed(
        Observation(
            stream="scanner",
            sequence=number,
            captured_at_ns=number + 1_000,
            payload=np.frombuffer(digits()[number].features, np.uint8).astype(np.float32),
        )
    )
    return next(one for one in found if isinstance(one, Decision))


def test_decisions_are_provisional_until_growth_has_judged(tmp_path: Path) -> None:
    """Decisions say that the adaptor is missing while it is made again, that it is not judged while
    it serves, also after a restart, and nothing of it after the verdict."""
    folder = learned(tmp_path / "home", digits())
    with Home(folder, deferring=True) as home:
        grow(home, BLUEPRINTS["kernel"])
        assert decide(home, 1).provisional == ()
        home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"digit-0007"}))))
        assert "adaptor" in decide(home, 2).provisional
        wait(home)
        assert "judgement" in decide(home, 3).provisional
    with Home(folder) as home:
        assert decide(home, 4).provisional == ("judgement",)
        effects = home.runtime.handle(GrowRequest("desk"))
        job = next(one.job for one in effects if isinstance(one, StartGrowth))
        home.feed(GrowthFinished(accepted(job, BLUEPRINTS["kernel"])))
        assert decide(home, 5).provisional == ()


def test_a_solved_kind_needs_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel comes back without a worker process, and so without torch."""
    with Home(learned(tmp_path / "home", digits()), deferring=True) as home:
        grow(home, BLUEPRINTS["kernel"])
        monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process"))
        home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"digit-0007"}))))
        assert wait(home).blueprint == BLUEPRINTS["kernel"]


KILLED = """
import os, signal, sys
from pathlib import Path
from edge.core.events import ForgetRequest, Tick
from edge.core.facts import Selector
from edge.home.home import Home
home = Home(Path(sys.argv[1]), deferring=True)
home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"digit-0007"}))))
home.feed(Tick())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_adaptor(tmp_path: Path) -> None:
    """Kill -9 while the adaptor is being made again: the next process makes it."""
    folder = learned(tmp_path / "home", digits())
    with Home(folder) as home:
        grow(home, BLUEPRINTS["kernel"])
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)], check=False, env={**os.environ}
    )
    assert ended.returncode < 0
    with Home(folder, deferring=True) as home:
        assert list(home.store.pending_adaptors()) == ["desk"]
        assert wait(home).provisional


def test_the_command_line_waits_for_the_worker(tmp_path: Path) -> None:
    """`auricle forget` without a daemon ends with the provisional adaptor in the file, which
    `auricle adaptors` shows as such."""
    folder = learned(tmp_path / "home", digits())
    with Home(folder) as home:
        grow(home, BLUEPRINTS["lowrank"])
    result = run("forget", "--id", "digit-0007", "--yes", "--home", folder)
    assert result.exit_code == 0, result.output
    assert "desk 1: trained again, version 2 serves" in result.stdout
    rows = [line.split("\t") for line in run("adaptors", "--home", folder).stdout.splitlines()]
    assert rows[1][:4] == ["desk", "2", "provisional", "lowrank"]
    assert run("verify", "--home", folder).exit_code == 0


def test_a_solver_that_fails_gives_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the thread becomes the reason of a result without an adaptor."""

    def fail(*_: object) -> GrowthResult:
        raise RuntimeError("no luck")

    monkeypatch.setattr("edge.worker.solver_thread.train_again", fail)
    from tests.workers import a_job

    worker = Worker(1 << 10, 10.0)
    worker.start(replace(a_job(), blueprint=BLUEPRINTS["kernel"]))
    result = None
    while result is None:
        result = worker.poll()
    assert result.record is None
    assert result.reason == "deriving it failed: RuntimeError: no luck"
    assert worker.job is None
