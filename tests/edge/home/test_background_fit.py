from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.events import Decision, Enrol, GrowRequest, GrowthReport, Label, Observation
from edge.core.knowledge.refits import HeadRefit
from edge.home.home import Home
from tests import workers
from tests.homes import new_home
from tests.worlds import fact, vector


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home of two domains, both of which have answered."""
    with Home(new_home(tmp_path / "home")) as opened:
        facts = [fact(f"f{n:02}", "ab"[n % 2], "xy"[n // 12], n, seed=n) for n in range(24)]
        opened.feed(Enrol(tuple(facts)))
        for domain in ("x", "y"):
            opened.runtime.knowledge.adaptor(domain)
        yield opened


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The domains whose adaptors were solved in the serving thread."""
    solved: list[str] = []
    solve, mine = HeadRefit.solve, threading.get_ident()

    def watched(fitting: HeadRefit) -> object:
        if threading.get_ident() == mine:
            solved.append(fitting.domain)
        return solve(fitting)

    monkeypatch.setattr(HeadRefit, "solve", watched)
    return solved


def rest(home: Home) -> list[GrowthReport]:
    """Poll until nothing is growing or being solved; returns the growth reports."""
    messages = []
    while True:
        messages += [one for one in home.poll_growth() if isinstance(one, GrowthReport)]
        home._fitter.join()  # noqa: SLF001  the test waits for the thread
        if not home.growing and home._fitter._fitting is None:  # noqa: SLF001
            return messages


def test_after_a_label_heads_are_solved_in_the_background(home, here):
    """A label changes the heads of both domains; each answers without being solved on demand, and
    like a reopened home."""
    home.feed(Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(50), id="seen"))
    here.clear()
    home.feed(Label("seen", "a", "x"))
    rest(home)
    answers = [home.runtime.knowledge.adaptor(one).answer(vector(1)).tolist() for one in "xy"]
    assert here == []
    home.reopen()
    assert answers == [
        home.runtime.knowledge.adaptor(one).answer(vector(1)).tolist() for one in "xy"
    ]


def test_serving_does_not_wait_for_the_background_fit(home, monkeypatch, here):
    """A head that is needed while the thread solves it is solved on the spot; polling returns at
    once meanwhile."""
    go, solve = threading.Event(), HeadRefit.solve

    def held(fitting: HeadRefit) -> object:
        if threading.current_thread().name == "refit":
            assert go.wait(30)
        return solve(fitting)

    monkeypatch.setattr(HeadRefit, "solve", held)
    home.feed(Enrol((fact("new", "a", "x", 99, seed=99),)))
    assert home.poll_growth() == ()
    assert home.poll_growth() == ()
    (result,) = home.feed(Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(50)))
    assert isinstance(result, Decision)
    assert result.guess in {"a", "b"}
    go.set()
    rest(home)


def test_a_grown_adaptor_is_solved_before_it_serves(home, here):
    """The first answer with a new adaptor needs no solving."""
    home.worker = workers.worker("grown")
    home.feed(GrowRequest("x"))
    (news,) = rest(home)
    assert news.state == "serving"
    before = home.runtime.knowledge.adaptor("x").answer(vector(1)).tolist()
    assert here == []
    home.reopen()
    assert home.runtime.knowledge.adaptor("x").answer(vector(1)).tolist() == before


def test_a_failed_background_fit_is_solved_on_demand(home, monkeypatch, here):
    """An error in the thread is logged; it neither stops the serving thread nor is repeated."""
    solve, tried = HeadRefit.solve, []

    def failing(fitting: HeadRefit) -> object:
        if threading.current_thread().name == "refit":
            tried.append(fitting.domain)
            raise MemoryError
        return solve(fitting)

    monkeypatch.setattr(HeadRefit, "solve", failing)
    home.feed(Enrol((fact("new", "a", "x", 99, seed=99),)))
    rest(home)
    assert sorted(tried) == ["x", "y"]
    assert home.runtime.knowledge.adaptor("x").answer(vector(1)).shape == (2,)


def test_it_gives_way_to_whoever_decides(home, monkeypatch):
    """The thread has its own niceness; that of the process is unchanged."""
    found, before = [], os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(
        HeadRefit, "solve", lambda _: found.append(os.getpriority(os.PRIO_PROCESS, 0))
    )
    home.feed(Enrol((fact("new", "a", "x", 99, seed=99),)))
    rest(home)
    assert found
    assert set(found) == {min(before + 10, 19)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
