"""Forget requests that wait for nothing: excluded before the next decision, derived beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.core import forgetting, limits
from edge.core.errors import StateError
from edge.core.events import (
    Acknowledgement,
    Decision,
    Enrol,
    FitGeometry,
    ForgetRequest,
    Label,
    Message,
    Observation,
    Rejected,
    Relabel,
)
from edge.core.facts import Fact, FactBatch, Selector, hash_rank
from edge.core.knowledge import knowledge as place
from edge.core.knowledge.digest import DigestedState
from edge.core.knowledge.geometry_fit import GeometryFitter
from edge.core.pending_forgets import AdvanceForget
from edge.core.receipt import Receipt
from edge.home.home import Home
from edge.home.overwriting import AGAIN_S
from edge.storage import Store
from edge.storage.database import BUSY_TIMEOUT_S
from tests.homes import new_home
from tests.worlds import fact, vector

SAMPLE = 12
SLICE = 8


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few facts may wait, the geometry is fitted to few, and few are erased at a time."""
    monkeypatch.setattr(place, "WAITING_FACTS_MIN", 4)
    monkeypatch.setattr(limits, "GEOMETRY_FACTS_MAX", SAMPLE)
    monkeypatch.setattr(forgetting, "SLICE_FACTS", SLICE)


def rows() -> list[Fact]:
    """Facts of two domains with two labels each."""
    return [
        fact(f"f{n}", "ab"[n % 2], "xy"[n // 30], n + 1, subject=f"p{n % 6}") for n in range(60)
    ]


def make(folder: Path, facts: list[Fact]) -> Path:
    """A home with these facts, and the geometry that is fitted to them."""
    new_home(folder)
    with Home(folder) as home:
        home.feed(Enrol(tuple(facts)))
        home.feed(FitGeometry())
        for domain in home.runtime.knowledge.learned:
            home.runtime.knowledge.adaptor(domain)
        show(home, 0)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a home with all facts."""
    return make(tmp_path / "home", rows())


@pytest.fixture
def home(folder: Path) -> Iterator[Home]:
    """The home as the daemon opens it, all of it in use."""
    with Home(folder, deferring=True) as opened:
        for domain in "xy":
            opened.runtime.knowledge.adaptor(domain)
        show(opened, 1)
        yield opened


def twin(folder: Path, gone: set[str]) -> str:
    """The digest of a home that never saw some facts."""
    made = make(folder.parent / "twin", [one for one in rows() if one.id not in gone])
    with Home(made) as home:
        return home.runtime.digest()


def show(home: Home, number: int, values: int | None = None) -> Decision:
    """Decide on a vector."""
    found = home.feed(
        Observation(
            stream="s",
            sequence=number,
            captured_at_ns=number + 100,
            payload=vector(number if values is None else values),
            id=f"seen{number}",
        )
    )
    return next(one for one in found if isinstance(one, Decision))


def complete(home: Home) -> list[Message]:
    """Do what the daemon does until no request is pending; the messages."""
    found: list[Message] = []
    for _ in range(1_000):
        if not home.runtime.forgetting:
            return found
        home.refit()
        home._fitter.join()  # noqa: SLF001  the test waits for the thread
        home._overwriter.join()  # noqa: SLF001  likewise
        if home.advances_forget:
            found += home.feed(AdvanceForget(7))
        else:
            time.sleep(0.002)
    raise AssertionError(f"still pending: {home.runtime.pending_forgets()}")


def settle(home: Home) -> None:
    """Do what the daemon does until nothing is fitted in the background."""
    while home.refit():
        home._fitter.join()  # noqa: SLF001  the test waits for the thread


def receipt(messages: list[Message]) -> Receipt:
    """The one receipt among messages."""
    (found,) = (one for one in messages if isinstance(one, Receipt))
    return found


def outside(home: Home) -> str:
    """The id of a fact that did not shape the geometry."""
    inside = home.store.sample(SAMPLE).ids
    return next(key for key in home.store.select(Selector()) if key not in inside)


def inside(home: Home) -> str:
    """The id of a fact that shaped the geometry."""
    return home.store.sample(SAMPLE).ids[0]


@pytest.mark.parametrize("which", [outside, inside])
def test_a_fact_is_excluded_at_once_and_the_receipt_follows(home, which):
    """The request is answered before anything is derived; decisions in its domain go on, marked;
    the receipt's digest is that of a home that never saw the fact."""
    key = which(home)
    domain = home.store.get(key).domain
    answer = home.feed(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({key})), requested_at_ns=3)
    )
    assert [type(one) for one in answer] == [Acknowledgement]
    assert home.store.get(key) is None
    assert home.store.was_forgotten(key)
    assert [one.state for one in home.runtime.pending_forgets()] == ["deriving"]
    seen = [show(home, 10 + n) for n in range(6)]
    marked = [one for one in seen if one.domain == domain]
    assert marked
    assert all("thresholds" in one.provisional for one in marked)
    assert all(one.guess in {"a", "b"} for one in seen)
    got = receipt(complete(home))
    assert (got.facts_forgotten, got.accepted_at_ns, got.completed_at_ns) == (1, 3, 7)
    assert not home.store.unscrubbed
    assert show(home, 20).provisional == ()
    assert home.runtime.digest() == twin(home.folder, {key})
    assert got.digest_after == home.store.key_digest("r", home.runtime.digest())


def order(home: Home, name: str, key: str) -> Receipt:
    """Forget a fact, and wait for the receipt."""
    found = home.feed(ForgetRequest(request_id=name, selector=Selector(ids=frozenset({key}))))
    return receipt([*found, *complete(home)])


def test_a_sample_that_is_known_is_not_read_again(home, monkeypatch):
    """Once the geometry was found to be that of today's sample, a fact outside of it makes no
    second check, until a fact of the sample comes or goes."""
    order(home, "first", outside(home))
    checked: list[object] = []
    check = GeometryFitter.fits

    def fits(self: GeometryFitter, packed: Any, rows: FactBatch) -> bool:
        checked.append(rows)
        return check(self, packed, rows)

    monkeypatch.setattr(GeometryFitter, "fits", fits)
    order(home, "second", outside(home))
    assert not checked
    assert "geometry" in order(home, "third", inside(home)).rebuilt
    assert "geometry" not in order(home, "fourth", outside(home)).rebuilt
    assert len(checked) == 1
    assert home.runtime.digest() == twin(home.folder, {f.id for f in rows()} - left(home))


def left(home: Home) -> set[str]:
    """The ids of the facts that remain."""
    return set(home.store.select(Selector()))


def test_a_fact_that_joins_the_sample_means_a_new_geometry(home):
    """A fact learned since then, or one with another label, ends what was known of the sample."""
    order(home, "first", outside(home))
    newcomer = next(f"n{n}" for n in range(99) if hash_rank(f"n{n}") < hash_rank(inside(home)))
    home.feed(Enrol((fact(newcomer, "a", "x", 500, seed=500),)))
    settle(home)
    assert "geometry" in order(home, "second", outside(home)).rebuilt
    home.feed(Relabel(Selector(ids=frozenset({inside(home)})), label="y"))
    settle(home)
    assert "geometry" in order(home, "third", outside(home)).rebuilt
    facts = [one for one in map(home.store.get, sorted(left(home))) if one is not None]
    with Home(make(home.folder.parent / "twin", facts)) as other:
        assert home.runtime.digest() == other.runtime.digest()


def test_many_facts_are_masked_and_erased_in_slices(home):
    """More facts than a slice: their concepts are absent at once, no command changes a fact until
    they are erased, and the twin's digest comes out."""
    answer = home.feed(
        ForgetRequest(request_id="r", selector=Selector(subject="p1"), requested_at_ns=3)
    )
    gone = {one.id for one in rows() if one.subject == "p1"}
    assert len(gone) > SLICE
    assert [type(one) for one in answer] == [Acknowledgement]
    assert home.runtime.erasing
    assert show(home, 10).provisional
    assert [type(one) for one in home.feed(Label("seen10", "a", "x"))] == [Rejected]
    got = receipt(complete(home))
    assert got.facts_forgotten == len(gone)
    assert home.store.select(Selector(subject="p1")) == ()
    assert home.runtime.digest() == twin(home.folder, gone)
    assert got.digest_after == home.store.key_digest("r", home.runtime.digest())


def test_a_whole_domain_and_another_request_meanwhile(home):
    """A request during another one: both complete, and both receipts have the digest of a home that
    saw neither's facts."""
    home.feed(ForgetRequest(request_id="one", selector=Selector(domain="y"), requested_at_ns=3))
    home.feed(
        ForgetRequest(request_id="two", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=4)
    )
    found = [one for one in complete(home) if isinstance(one, Receipt)]
    assert [one.request_id for one in found] == ["one", "two"]
    gone = {"f3", *(one.id for one in rows() if one.domain == "y")}
    digest = twin(home.folder, gone)
    assert [one.digest_after for one in found] == [
        home.store.key_digest(name, digest) for name in ("one", "two")
    ]


@pytest.mark.parametrize("turns", range(16))
def test_a_request_goes_on_after_a_crash(folder, turns):
    """Wherever a request was cut off, the next start completes it."""
    home = Home(folder, deferring=True)
    show(home, 1)
    home.feed(ForgetRequest(request_id="r", selector=Selector(subject="p1"), requested_at_ns=3))
    for _ in range(turns):
        if home.runtime.forgetting:
            home.refit()
            home._fitter.join()  # noqa: SLF001  the test waits for the thread
            home._overwriter.join()  # noqa: SLF001  likewise
            if home.advances_forget:
                home.feed(AdvanceForget(7))
    home.store.close()  # nothing else is closed: it is as if it were killed
    gone = {one.id for one in rows() if one.subject == "p1"}
    with Home(folder, deferring=bool(turns % 2)) as again:
        complete(again)
        (stored,) = again.store.receipts()
        assert stored["facts_forgotten"] == len(gone)
        assert again.store.pending_forgets() == ()
        assert again.runtime.digest() == twin(folder, gone)


def test_what_is_learned_meanwhile_is_kept(home):
    """Facts that arrive between the request and the receipt are in the sums, the file and the
    digest, even where the request would select them."""
    key = inside(home)
    home.feed(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({key})), requested_at_ns=3)
    )
    home.refit()
    home.feed(Label("seen1", "a", "x"))
    complete(home)
    assert home.store.get("seen1") is not None
    held = home.runtime.knowledge.own.digest()
    home.derive_again()
    assert home.runtime.knowledge.own.digest() == held


def test_repeating_a_pending_request_reports_it(home):
    """The same request again is answered with its progress; another selection under its id is
    refused; nothing is forgotten twice."""
    request = ForgetRequest(
        request_id="r", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=3
    )
    home.feed(request)
    assert [type(one) for one in home.feed(request)] == [Acknowledgement]
    other = ForgetRequest(
        request_id="r", selector=Selector(ids=frozenset({"f4"})), requested_at_ns=3
    )
    (refused,) = home.feed(other)
    assert isinstance(refused, Rejected)
    assert "another selection" in refused.reason
    got = receipt(complete(home))
    assert home.feed(request) == (got,)
    assert home.store.get("f4") is not None


def test_a_full_disk_keeps_the_facts_or_the_request(home, monkeypatch):
    """Without room for the request nothing changes; without room for the receipt the request stays
    pending; decisions go on either way, and it completes once there is room."""
    request = ForgetRequest(
        request_id="r", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=3
    )
    writes = Store._fact_transaction  # noqa: SLF001  where the request is written
    monkeypatch.setattr(Store, "_fact_transaction", no_room)
    with pytest.raises(StateError, match="full"):
        home.feed(request)
    assert home.store.get("f3") is not None
    assert not home.runtime.forgetting
    assert show(home, 10).guess in {"a", "b"}
    monkeypatch.setattr(Store, "_fact_transaction", writes)
    home.feed(request)
    remove = Store.overwrite_remains
    monkeypatch.setattr(Store, "overwrite_remains", no_room)
    with pytest.raises(StateError, match="full"):
        complete(home)
    assert home.runtime.forgetting
    assert show(home, 11).guess in {"a", "b"}
    monkeypatch.setattr(Store, "overwrite_remains", remove)
    assert receipt(complete(home)).digest_after
    assert home.store.get("f3") is None


def step(home: Home) -> tuple[Message, ...]:
    """Do what one turn of the daemon does for pending requests; the messages."""
    home.refit()
    home._fitter.join()  # noqa: SLF001  the test waits for the thread
    home._overwriter.join()  # noqa: SLF001  likewise
    return home.feed(AdvanceForget(7)) if home.advances_forget else ()


def until_stored(home: Home) -> None:
    """Take steps until the receipt is in the file."""
    for _ in range(1_000):
        if home.store.receipts():
            return
        assert not [one for one in step(home) if isinstance(one, Receipt)]
    raise AssertionError("no receipt was stored")


def test_a_receipt_waits_until_no_remains_are_in_the_file(home):
    """A stored receipt is published, and a repeated request answered with it, only once the record
    of its request is overwritten; decisions go on in between."""
    request = ForgetRequest(
        request_id="r", selector=Selector(subject="p1", domain="x"), requested_at_ns=3
    )
    home.feed(request)
    until_stored(home)
    assert home.store.unscrubbed
    assert home.runtime.forgetting
    assert [type(one) for one in home.feed(request)] == [Acknowledgement]
    assert show(home, 10).provisional == ()
    got = receipt(complete(home))
    assert not home.store.unscrubbed
    assert home.feed(request) == (got,)


def test_a_receipt_waits_for_the_remains_of_a_request_that_follows(home):
    """A request whose facts are still being erased lets no receipt out while remains are in the
    file."""
    one = Selector(ids=frozenset({"f3"}))
    home.feed(ForgetRequest(request_id="one", selector=one, requested_at_ns=3))
    until_stored(home)
    many = Selector(subject="p1")
    home.feed(ForgetRequest(request_id="many", selector=many, requested_at_ns=4))
    assert home.runtime.erasing
    found = list[str]()
    for _ in range(1_000):
        got = [one.request_id for one in step(home) if isinstance(one, Receipt)]
        assert not (got and home.store.unscrubbed)
        found += got
        if not home.runtime.forgetting:
            break
    assert found == ["one", "many"]


def test_no_decision_waits_for_a_digest(home, monkeypatch):
    """Digests are computed in another thread, once for the same facts: that before the first
    request while nothing else happens, and that after one request is that before the next."""
    settle(home)
    before = home.runtime.digest()
    computes, stores = DigestedState.compute, Store.complete
    done: list[str] = []

    def compute(state):
        done.append(f"digest in {threading.current_thread().name}")
        return computes(state)

    def store(self, given):
        done.append("receipt")
        stores(self, given)

    monkeypatch.setattr(DigestedState, "compute", compute)
    monkeypatch.setattr(Store, "complete", store)
    got = []
    for key in ("f3", "f4"):
        home.feed(
            ForgetRequest(
                request_id=key, selector=Selector(ids=frozenset({key})), requested_at_ns=3
            )
        )
        got.append(receipt(complete(home)))
    assert [one.request_id for one in got] == ["f3", "f4"]
    assert done == ["digest in refit", "receipt"] * 2
    keys = [home.store.key_digest(one, before) for one in ("f3", "f4")]
    assert [got[0].digest_before == keys[0], got[1].digest_before == keys[1]] == [True, False]
    keyed = [home.store.key_digest("f4", home.runtime.digest())]
    assert [got[1].digest_after] == keyed


def test_a_receipt_is_published_after_a_full_disk(home, monkeypatch):
    """Without room to overwrite the record of a request its receipt is kept, and published once
    there is."""
    home.feed(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=3)
    )
    until_stored(home)
    remove = Store.overwrite_remains
    monkeypatch.setattr(Store, "overwrite_remains", no_room)
    with pytest.raises(StateError, match="full"):
        complete(home)
    assert home.runtime.forgetting
    monkeypatch.setattr(Store, "overwrite_remains", remove)
    assert receipt(complete(home)).digest_after
    assert not home.store.unscrubbed


def test_a_reader_of_the_file_delays_the_receipt_alone(home):
    """While another process reads the file, decisions do not wait for it, and what was dropped is
    derived again; its end lets the receipt out."""
    request = ForgetRequest(
        request_id="r", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=3
    )
    with Store.open(home.store.path, writable=False) as reader:
        home.feed(request)
        for number in range(20):
            began = time.monotonic()
            assert not [one for one in step(home) if isinstance(one, Receipt)]
            show(home, 10 + number)
            assert time.monotonic() - began < BUSY_TIMEOUT_S
            time.sleep(AGAIN_S / 4)
        assert show(home, 40).provisional == ()
        assert reader.get("f3") is not None
    assert receipt(complete(home)).facts_forgotten == 1


def no_room(*_given: object, **_named: object) -> None:
    """What a full disk answers."""
    raise StateError("writing: database or disk is full", "free space on the disk")


def test_a_home_for_reading_refuses_to_forget(folder):
    """On a disk that cannot be written the answer says so, and nothing is lost."""
    with Home(folder, writable=False) as home:
        with pytest.raises(StateError, match="reading only"):
            home.feed(
                ForgetRequest(
                    request_id="r", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=3
                )
            )
        assert home.store.get("f3") is not None
        assert not home.store.pending_forgets()
