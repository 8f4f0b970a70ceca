from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.events import Decision, Enrol, FitGeometry, ForgetRequest, Label, Observation
from edge.core.facts import Selector
from edge.core.knowledge import knowledge as place
from edge.core.knowledge.refits import HeadRefit, RouterRefit, ThresholdsRefit
from edge.core.pending_forgets import AdvanceForget
from edge.core.receipt import Receipt
from edge.home.home import Home
from tests.homes import new_home
from tests.worlds import fact, vector

KINDS = (ThresholdsRefit, RouterRefit, HeadRefit)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of two domains with a geometry; few facts may wait."""
    monkeypatch.setattr(place, "WAITING_FACTS_MIN", 4)
    folder = tmp_path / "home"
    new_home(folder)
    with Home(folder) as home:
        home.feed(Enrol(tuple(fact(f"f{n}", "ab"[n % 2], "xy"[n // 30], n + 1) for n in range(60))))
        home.feed(FitGeometry())
        for domain in "xy":
            home.runtime.knowledge.adaptor(domain)
        show(home, 0)
    return folder


@pytest.fixture
def home(folder: Path) -> Iterator[Home]:
    """The home as the daemon opens it, all of it in use."""
    with Home(folder, deferring=True) as opened:
        for domain in "xy":
            opened.runtime.knowledge.adaptor(domain)
        show(opened, 1)
        settle(opened)
        yield opened


def show(home: Home, number: int) -> Decision:
    """Decide on a vector."""
    found = home.feed(
        Observation(
            stream="s",
            sequence=number,
            captured_at_ns=number + 100,
            payload=vector(number),
            id=f"seen{number}",
        )
    )
    return next(one for one in found if isinstance(one, Decision))


def settle(home: Home) -> None:
    """Wait until no fit runs in the background."""
    while home.refit():
        home._fitter.join()  # noqa: SLF001  the test waits for the thread


def solved_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that solve from now on."""
    names: list[str] = []
    for kind in KINDS:
        solve = kind.solve

        def watched(refit: object, solve: object = solve) -> None:
            names.append(threading.current_thread().name)
            solve(refit)  # type: ignore[operator]  # it is the method that this stands for

        monkeypatch.setattr(kind, "solve", watched)
    return names


def test_decisions_after_a_label_wait_for_nothing(home, monkeypatch):
    """After a label all parts are fitted in the background thread alone, and the home then decides
    as one that was opened afresh and does not defer."""
    names = solved_by(monkeypatch)
    home.feed(Label("seen1", "a", "x"))
    show(home, 2)
    settle(home)
    decided = show(home, 3)
    assert set(names) == {"refit"}
    assert len(names) == 4
    digest = home.runtime.digest()
    home.close()
    with Home(home.folder) as again:
        again.runtime.knowledge.reuses = False
        show(again, 2)
        assert show(again, 3) == decided
        assert again.runtime.digest() == digest


def test_the_first_decision_after_opening_solves_nothing(folder, monkeypatch):
    """What was kept at the last close serves."""
    names = solved_by(monkeypatch)
    with Home(folder, deferring=True) as home:
        assert show(home, 1).guess in {"a", "b"}
    assert names == []


def test_a_receipt_waits_until_the_file_is_not_read(home, monkeypatch):
    """A forget while the thread reads the file excludes the fact at once; the receipt follows once
    nothing reads it, with no remains in the file, and the fit is discarded."""
    reading, go = threading.Event(), threading.Event()
    gather = ThresholdsRefit.gather

    def held(refit: ThresholdsRefit, *given: object) -> None:
        if threading.current_thread().name == "refit":
            reading.set()
            assert go.wait(30)
        gather(refit, *given)  # type: ignore[arg-type]  # as the caller gives them

    monkeypatch.setattr(ThresholdsRefit, "gather", held)
    home.feed(Label("seen1", "a", "x"))
    assert home.refit()
    assert reading.wait(30)
    found = home.feed(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=1)
    )
    assert not any(isinstance(one, Receipt) for one in found)
    assert home.store.get("f3") is None
    assert not home.advances_forget
    go.set()
    found = ()
    while home.runtime.forgetting:
        settle(home)
        if home.advances_forget:
            found += home.feed(AdvanceForget(2))
    (receipt,) = (one for one in found if isinstance(one, Receipt))
    assert receipt.facts_forgotten == 1
    assert not home.store.unscrubbed
    assert home.store.key_digest("r", home.runtime.digest()) == receipt.digest_after


def test_a_fit_that_fails_is_computed_when_it_is_needed(home, monkeypatch):
    """An error in the thread is not repeated there, and decisions go on."""
    tried: list[str] = []
    for kind in KINDS:
        solve = kind.solve

        def failing(refit: object, solve: object = solve) -> None:
            if threading.current_thread().name == "refit":
                tried.append(refit.name)  # type: ignore[attr-defined]  # every refit has one
                raise MemoryError
            solve(refit)  # type: ignore[operator]  # it is the method that this stands for

        monkeypatch.setattr(kind, "solve", failing)
    home.feed(Label("seen1", "a", "x"))
    settle(home)
    assert tried
    assert show(home, 2).guess in {"a", "b"}
    settle(home)
    assert len(tried) == len(set(tried))
