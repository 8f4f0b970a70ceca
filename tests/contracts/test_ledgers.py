"""The ledgers that the core may stand on: the same history gives the same answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge import Store
from edge.core.actions import Action
from edge.core.config import Config
from edge.core.domain_merges import DomainMerge
from edge.core.events import (
    Effect,
    Enrol,
    EraseFacts,
    Event,
    FitGeometry,
    ForgetRequest,
    Label,
    LabelMany,
    Publish,
    Relabel,
    RemoveAdaptor,
    StoreAdaptor,
    StoreDomainMerge,
    StoreFacts,
    StoreGeometry,
    StoreGrowthAttempt,
    StoreLabelCandidates,
    StoreRecalibration,
    Together,
    Undo,
    Undoable,
    Unlabel,
)
from edge.core.facts import Derived, FactBatch, LabelCandidate, Selector, sample_facts
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.recalibration import Recalibration
from edge.core.receipt import Receipt
from edge.core.runtime import Runtime
from tests.homes import CARD, new_store
from tests.workers import a_record
from tests.worlds import World, fact, whole_number_model

KINDS = ("memory", "store")
SELECTORS = (
    Selector(label="a"),
    Selector(domain="home", from_ns=2),
    Selector(subject="ann"),
    Selector(recording="run 1"),
    Selector(stream="s", until_ns=3),
    Selector(ids=frozenset({"f1", "f2", "unknown"})),
    Selector(ids=frozenset({"f1", "f4"}), label="b"),
)


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryLedger | Store]:
    """An empty ledger of each kind."""
    if request.param == "memory":
        yield MemoryLedger()
    else:
        with new_store(tmp_path / "knowledge.db") as store:
            yield store


def play(ledger: MemoryLedger | Store, events: list[Event]) -> list[Effect]:
    """Feed events to a runtime over a ledger, applying every effect; all that was published.

    Receipts without what only a file needs: keys of digests, and names of its repeated ones."""
    runtime = Runtime(Config(facts_per_concept=5), whole_number_model(), ledger)
    messages: list[Effect] = []
    for event in events:
        for effect in runtime.handle(event):
            ledger.apply(effect)
            messages += [effect] if isinstance(effect, Publish) else []
    return [
        Publish(replace(one.message, digest_before="", digest_after="", concepts_touched=()))
        if isinstance(one, Publish) and isinstance(one.message, Receipt)
        else one
        for one in messages
    ]


def columns(batch: FactBatch) -> tuple[object, ...]:
    """A batch as plain values."""
    return (
        *(batch.ids, batch.domains, batch.labels, batch.recordings, batch.subjects),
        *(batch.features.tolist(), batch.captured_at_ns.tolist()),
    )


def answers(ledger: MemoryLedger | Store) -> dict[str, object]:
    """Everything that the core may ask a ledger."""
    geometry = ledger.geometry()
    return {
        "concepts": dict(sorted(ledger.concepts().items())),
        "oldest": [ledger.oldest("home", label, 3) for label in "ab"],
        "selected": [ledger.select(selector) for selector in SELECTORS],
        "facts": [ledger.get(f"f{number}") for number in range(12)],
        "buried": [ledger.was_forgotten(f"f{number}") for number in range(12)],
        "batches": [(b.ids, b.domains, b.labels, b.features.tolist()) for b in ledger.batches()],
        "times": [(b.captured_at_ns.tolist(), b.recordings, b.subjects) for b in ledger.batches()],
        "some": [b.ids for b in ledger.batches("home", frozenset({"f1"}))],
        "one": [b.ids for b in ledger.batches("home", frozenset({"f1"}), "a")],
        "contents": list(ledger.contents().items()),
        "samples": [
            columns(ledger.sample(size, domains, frozenset({"f4"})))
            for size in (1, 3, 99)
            for domains in (None, ("home",), ("attic", "home", "nowhere"))
        ],
        "all times": {domain: ledger.times(domain).tolist() for domain, _ in ledger.concepts()},
        "ascending": ledger.times("home", frozenset({"f1", "f2", "x"})).tolist(),
        "spans": [
            columns(batch)
            for batch in ledger.between("home", [(0, 2), (5, 2**63 - 1)], frozenset({"f6"}))
        ],
        "evictions": ledger.evictions(),
        "digest": ledger.digest(),
        "geometry": {n: np.asarray(a).tolist() for n, a in geometry.items()} if geometry else None,
        "adaptors": {
            domain: [(one.version, one.digest, one.own, one.accuracy) for one in versions]
            for domain, versions in sorted(ledger.adaptors().items())
        },
        "pending adaptors": dict(sorted(ledger.pending_adaptors().items())),
        "attempts": dict(ledger.attempts()),
        "candidates": list(ledger.candidates().items()),
        "candidate": [ledger.candidate(f"f{number}") for number in range(12)],
        # Compared as text, since some scores are NaN.
        "actions": repr([(one, one.facts) for one in ledger.actions()]),
        "kept": [ledger.kept_facts(selector) for selector in SELECTORS],
        "recalibrations": list(ledger.recalibrations().items()),
        "contributions": {
            device: (one.revision, one.samples, one.content)
            for device, one in sorted(ledger.contributions().items())
        },
    }


def facts(numbers: range) -> Enrol:
    """Enrolment of the facts with some numbers."""
    rows = (fact(f"f{n}", "ab"[n % 2], "home", n, subject=("ann", "ben")[n % 2]) for n in numbers)
    return Enrol(tuple(replace(one, recording=f"run {one.captured_at_ns // 4}") for one in rows))


GIFT = (
    World([fact(f"g{n}", domain="hall") for n in range(8)])
    .runtime.contribute("there", 3)
    .contribution
)

NOW = time.time_ns()
"""Actions that are older than ten minutes end when a file is opened."""

HISTORY: list[Event] = [
    facts(range(4)),
    GIFT,
    FitGeometry(),
    facts(range(2, 12)),
    Relabel(Selector(label="a"), "b", "attic"),
    Undoable(Relabel(Selector(label="b"), "a", "home"), "a1", NOW + 4),
    Undoable(Unlabel(("f5", "f7", "f10", "nothing")), "a2", NOW + 5),
    Undoable(
        LabelMany((Label("f7", "c"), Label("f5", "b", "attic"), Label("x", "b"))), "a3", NOW + 6
    ),
    Undo("a2", NOW + 7),
    Undo("a1", NOW + 8),
    Undoable(Label("f10", "a"), "a4", NOW + 9),
    Undo("a3", NOW + 9),
    Undo("a3", NOW + 9),
    ForgetRequest(request_id="r1", selector=Selector(ids=frozenset({"f3"})), requested_at_ns=5),
    facts(range(12)),
    replace(GIFT, device="away", revision=2).without_sums,
    ForgetRequest(
        request_id="r2", selector=Selector(subject="ann"), requested_at_ns=6, refit_geometry=True
    ),
    ForgetRequest(request_id="r3", selector=Selector(recording="run 2"), requested_at_ns=7),
    Undoable(Unlabel(("f8", "f10")), "a5", NOW + 10),
    ForgetRequest(request_id="r4", selector=Selector(ids=frozenset({"f8"})), requested_at_ns=11),
    Undo("a5", NOW + 12),
]


def test_a_history_gives_the_same_answers(tmp_path: Path):
    """After the same events both ledgers return the same results, and the runtimes publish the
    same."""
    memory = MemoryLedger()
    with new_store(tmp_path / "k.db") as store:
        assert play(store, HISTORY) == play(memory, HISTORY)
        assert answers(store) == answers(memory)
    with Store.open(tmp_path / "k.db", CARD) as again:
        assert answers(again) == answers(memory)


EVENTS = st.lists(
    st.one_of(
        st.integers(0, 9).flatmap(
            lambda at: st.integers(0, 4).map(lambda n: facts(range(at, at + n)))
        ),
        st.sampled_from(SELECTORS).map(
            lambda s: ForgetRequest(request_id="r", selector=s, requested_at_ns=1)
        ),
        st.sampled_from(SELECTORS).map(lambda s: Relabel(s, "b", "attic")),
    ),
    max_size=8,
)


@settings(max_examples=15)
@given(EVENTS)
def test_any_history_gives_the_same_answers(tmp_path_factory: pytest.TempPathFactory, events):
    """Any events in any order leave both ledgers with equal contents."""
    memory = MemoryLedger()
    with new_store(tmp_path_factory.mktemp("history") / "k.db") as store:
        assert play(store, events) == play(memory, events)
        assert answers(store) == answers(memory)


NAMES = ("f1", "f2", "f3", "f4", "f5")
RECEIPT = Receipt(
    request_id="r",
    requested_at_ns=1,
    selector=Selector(label="a"),
    facts_forgotten=1,
    concepts_touched=(),
    digest_before="x",
    digest_after="y",
    rebuilt=(),
    evicted_before=0,
    not_covered=(),
)
SHAPED = st.sets(st.sampled_from(NAMES), min_size=1).map(lambda ids: tuple(sorted(ids)))
GROWTH = st.lists(
    st.one_of(
        st.builds(
            lambda domain, version, ids: StoreAdaptor(a_record(domain, version, ids)),
            st.sampled_from(("home", "attic")),
            st.integers(1, 9),
            SHAPED,
        ),
        st.builds(RemoveAdaptor, st.sampled_from(("home", "attic")), st.integers(1, 9)),
        st.builds(
            lambda domain, version, ids, name: Together(
                (RemoveAdaptor(domain, version), StoreAdaptor(a_record(domain, version + 10, ids))),
                Action(id=name, verb="grow", at_ns=1, domain=domain, version=version),
            ),
            st.sampled_from(("home", "attic")),
            st.integers(1, 9),
            SHAPED,
            st.sampled_from(NAMES),
        ),
        st.builds(lambda name: Together((), undoes=name), st.sampled_from(NAMES)),
        st.builds(
            StoreGrowthAttempt, st.sampled_from(("home", "attic")), st.sampled_from(("h1", "h2"))
        ),
        SHAPED.map(lambda ids: EraseFacts(ids[:1], RECEIPT)),
        SHAPED.map(lambda ids: StoreFacts(facts=(fact(ids[0]),))),
        SHAPED.map(
            lambda ids: StoreRecalibration(
                ids[0], Recalibration(stream=ids[0], geometry="g", samples=len(ids))
            )
        ),
        st.builds(StoreRecalibration, st.sampled_from(NAMES), st.none()),
        SHAPED.map(
            lambda ids: StoreLabelCandidates(
                tuple(
                    LabelCandidate(
                        observation_id=one,
                        stream="cam",
                        subject="",
                        domain="home",
                        captured_at_ns=3,
                        score=len(ids) / 2,
                        features=bytes(8),
                        recording=f"run {len(ids)}",
                    )
                    for one in ids
                )
            )
        ),
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(GROWTH)
def test_any_growth_gives_the_same_answers(tmp_path_factory: pytest.TempPathFactory, effects):
    """Any installations, removals, attempts, candidates and erasures leave both ledgers equal,
    without an adaptor grown from an erased fact."""
    memory = MemoryLedger()
    with new_store(tmp_path_factory.mktemp("growth") / "k.db") as store:
        seen: set[tuple[str, int]] = set()
        for effect in effects:
            if isinstance(effect, Together):
                known = {one.id for one in memory.actions()}
                once = effect.action is None or effect.action.id not in known
                if not once or (effect.undoes and effect.undoes not in known):
                    continue
            if isinstance(effect, StoreAdaptor):
                # The core numbers versions upwards; the same one never comes twice.
                if (effect.record.domain, effect.record.version) in seen:
                    continue
                seen.add((effect.record.domain, effect.record.version))
            store.apply(effect)
            memory.apply(effect)
            if isinstance(effect, EraseFacts):
                kept = [one for rows in store.adaptors().values() for one in rows]
                assert not any(set(effect.ids) & set(one.facts) for one in kept)
        assert answers(store) == answers(memory)


def test_a_new_ledger_is_empty(ledger):
    """A new ledger holds nothing."""
    assert ledger.concepts() == {}
    assert ledger.get("f1") is None
    assert ledger.select(Selector(label="a")) == ()
    assert ledger.oldest("home", "a", 3) == ()
    assert list(ledger.batches()) == []
    assert ledger.geometry() is None
    assert ledger.evictions() == 0
    assert (ledger.adaptors(), ledger.attempts(), ledger.candidates()) == ({}, {}, {})
    assert not ledger.was_forgotten("f1")


def test_facts_come_back_as_they_were(ledger):
    """Every field of a fact is stored unchanged, in any script."""
    odd = fact("ид/1 %_'\"", "étiquette 日本", "дом", 2**63 - 1, subject="O'Hara", stream="")
    odd = replace(odd, recording="séance 1")
    play(ledger, [Enrol((odd,))])
    assert ledger.get(odd.id) == odd
    assert ledger.select(Selector(domain="дом")) == (odd.id,)


def test_columns_are_those_that_a_ledger_was_made_with(tmp_path: Path):
    """Column names are returned in order; a ledger made without any has none."""
    names = tuple(f"x{number}" for number in range(CARD.width))
    with Store.create(tmp_path / "named.db", CARD, names) as store:
        for named in (MemoryLedger((), names), store):
            assert named.columns() == names
    with new_store(tmp_path / "bare.db") as store:
        for bare in (MemoryLedger(), store):
            assert bare.columns() == ()


def test_merges_of_domains_last_without_evicted_and_forgotten_facts(
    ledger: MemoryLedger | Store,
) -> None:
    """A merge keeps its order and its facts, less the evicted and forgotten ones, and ends with its
    last; the same id replaces it."""
    facts = tuple(fact(f"f{number}") for number in range(4))
    ledger.apply(StoreFacts(facts=facts))
    first = DomainMerge(id="m1", source="b", target="a", at_ns=1, fact_ids=("f0", "f1", "f2"))
    second = DomainMerge(id="m2", source="c", target="a", at_ns=2, fact_ids=("f3",))
    for merge in (first, second, replace(first, undone=True)):
        ledger.apply(StoreDomainMerge(merge))
    assert ledger.domain_merges() == (second, replace(first, undone=True))
    ledger.apply(StoreFacts(facts=(), evicted=("f0",)))
    play(ledger, [ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f1", "f3"})))])
    assert ledger.domain_merges() == (replace(first, undone=True, fact_ids=("f2",)),)


TIMES = st.lists(st.integers(0, 4) | st.just(2**63 - 1), min_size=1, max_size=30)


@settings(max_examples=25)
@given(TIMES, st.integers(1, 40), st.sets(st.integers(0, 29)))
def test_samples_are_those_of_a_scan(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], size: int, out: set[int]
) -> None:
    """A sample by rank equals the one of a pass over all facts, of any domains, at any size and
    without any ids; so do times and spans."""
    rows = [fact(f"f{n}", "abc"[n % 3], "xyz"[at % 3], at) for n, at in enumerate(times)]
    without = frozenset(f"f{n}" for n in out)
    memory = MemoryLedger(rows)
    with new_store(tmp_path_factory.mktemp("samples") / "k.db", rows) as store:
        for ledger in (memory, store):
            for domains in (("x",), ("x", "z"), None):
                names = ("x", "y", "z") if domains is None else domains
                scanned = (b for name in names for b in ledger.batches(name, without))
                wanted = columns(sample_facts(scanned, size))
                assert columns(ledger.sample(size, domains, without)) == wanted
            own = [one for one in rows if one.domain == "x" and one.id not in without]
            assert ledger.times("x", without).tolist() == sorted(r.captured_at_ns for r in own)
            found = [i for b in ledger.between("x", [(0, 1), (3, 3)], without) for i in b.ids]
            assert found == sorted(one.id for one in own if one.captured_at_ns in (0, 1, 3))


def entry(domain: str = "", label: str = "", part: str = "", value: int = 1) -> Derived:
    """Something derived from a concept, a domain or any facts."""
    return Derived(
        name="sums",
        key="k",
        domain=domain,
        label=label,
        part=part,
        arrays={"a": np.full(3, value)},
    )


def kept(ledger: MemoryLedger | Store) -> list[tuple[str, str, str]]:
    """The places of the entries that a ledger still has."""
    places = [
        (domain, label, part)
        for domain in ("", "home", "attic")
        for label in ("", "a", "b")
        for part in ("", "p")
    ]
    return [
        (domain, label, part)
        for domain, label, part in places
        if ledger.derived("sums", "k", domain=domain, label=label, part=part) is not None
    ]


def test_derived_state_leaves_with_the_facts_it_may_hold(ledger: MemoryLedger | Store) -> None:
    """An entry is returned for its own key only, and until a fact that it may hold traces of is
    replaced, evicted or erased; a later one replaces it; another geometry removes all."""
    every = [entry(), entry("home"), entry("home", "a"), entry("home", "b"), entry("attic", "a")]
    for removes, left in (
        (StoreFacts(facts=(fact("f9"),)), 6),
        (StoreFacts(facts=(fact("f1"),)), 2),
        (StoreFacts(facts=(), evicted=("f1",)), 2),
        (EraseFacts(("f1",), RECEIPT), 2),
        (StoreGeometry({"g": np.zeros(2)}), 0),
        (StoreGeometry({"g": np.zeros(2)}), 6),
        (StoreGeometry({"g": np.ones(2)}), 0),
    ):
        ledger.apply(
            StoreFacts(facts=(fact("f1", at=5), fact("f2", "b"), fact("f3", "a", "attic")))
        )
        ledger.save_derived([*every, entry("", "", "p", 2), entry("home", value=7)])
        assert len(kept(ledger)) == 6
        found = ledger.derived("sums", "k", domain="home")
        assert found is not None
        assert found["a"].tolist() == [7, 7, 7]
        assert ledger.derived("sums", "other", domain="home") is None
        assert ledger.derived("heads", "k", domain="home") is None
        ledger.apply(removes)
        assert len(kept(ledger)) == left
    assert kept(ledger) == []
