from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptors.kernel import TunedKernel
from edge.core.config import Config
from edge.core.events import Enrol, FitGeometry, ForgetRequest, StoreAdaptor, StoreGeometry
from edge.core.facts import Fact, SampleScope, Selector
from edge.core.jobs import GrowthJob
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.refits import HeadRefit, RouterRefit, ThresholdsRefit
from edge.core.knowledge.saved_parts import STRUCTURE, SavedParts, pack_value, unpack_value
from tests.edge.core.knowledge.test_deferred import rows, state_of
from tests.growers import record_of
from tests.worlds import World, fact


def world_of(*domains: str) -> World:
    """A fitted world of domains of two labels, whose parts are kept."""
    facts = [
        one
        for number, name in enumerate(domains)
        for label in "ab"
        for one in rows(30, name, label, 3 * number + ord(label))
    ]
    world = World(facts)
    world.feed(FitGeometry())
    state_of(world.runtime.knowledge)
    keep(world)
    return world


def keep(world: World) -> list[str]:
    """Save changed entries; returns the names of those other than sums."""
    known = world.runtime.knowledge
    known.ledger_applied()
    entries = list(known.derived_state())
    world.ledger.save_derived(entries)
    return sorted(one.name for one in entries if one.name != "sums")


def reopened(world: World) -> Knowledge:
    """The knowledge after a restart."""
    world.crash()
    return world.runtime.knowledge


@pytest.fixture
def nothing_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whoever solves a part."""
    for kind in (ThresholdsRefit, RouterRefit, HeadRefit):
        monkeypatch.setattr(kind, "solve", None)


def test_what_is_kept_serves_after_a_restart(request):
    """Thresholds, router and adaptors are those from before, bit for bit, and nothing is solved."""
    world = world_of("x", "y")
    before, digest = state_of(world.runtime.knowledge), world.runtime.digest()
    assert keep(world) == []
    request.getfixturevalue("nothing_is_solved")
    assert state_of(reopened(world)) == before
    assert world.runtime.digest() == digest


def test_parts_of_other_facts_do_not_serve():
    """After a label, or without some facts, the kept parts are not used, and new ones are kept."""
    world = world_of("x", "y")
    world.feed(Enrol((fact("new", "a", "x", 99, seed=5),)))
    fresh = state_of(reopened(world))
    world.runtime.knowledge.reuses = False
    assert fresh == state_of(world.runtime.knowledge)
    assert keep(world) == ["head", "head", "router", "thresholds"]
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"new"}))))
    known = reopened(world)
    assert world.runtime.digest() == world.ledger.receipts[0].digest_after
    assert state_of(known)[0] != fresh[0]


def test_a_tuned_kernel_is_kept_with_the_head_that_it_was_judged_against():
    """It is there after a restart, and gone with a fact that it was tuned on."""
    world = world_of("x", "y")
    known, ones = world.runtime.knowledge, np.ones(3, np.float32)
    tuned = TunedKernel(b"key", {"centre": ones}, ones, SampleScope(), alone=True)
    solved = known.adaptor("x"), (SampleScope(), SampleScope()), tuned
    parts = SavedParts(world.ledger, known.geometry)
    world.ledger.save_derived(parts.head_entry("x", None, solved))
    known = reopened(world)
    assert known.tuned.kept("x") is None
    known.adaptor("x")
    kept = known.tuned.kept("x")
    assert kept is not None
    assert kept.key == b"key"
    assert kept.arrays["centre"].tolist() == kept.scores.tolist() == ones.tolist()
    for request, domain, left in (("r", "y", True), ("s", "x", False)):
        chosen = Selector(ids=frozenset(next(world.ledger.batches(domain)).ids[:1]))
        world.feed(ForgetRequest(request_id=request, selector=chosen, refit_geometry=False))
        assert (world.runtime.knowledge.tuned.kept("x") is not None) == left


def confused(domain: str, labels: str, count: int, seed: int) -> list[Fact]:
    """Facts that a head answers badly and a kernel well: inside a ball and around it."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((count, 8))
    inside = np.square(values[:, :3]).sum(axis=1) < 2.4
    levels = np.clip(np.square(11 + 2 * values), 0, 255).astype(np.uint8)
    return [
        Fact(
            id=f"{domain}{seed}-{at}",
            stream="s",
            domain=domain,
            label=labels[int(inside[at])],
            captured_at_ns=at + 1,
            features=levels[at].tobytes(),
        )
        for at in range(count)
    ]


def derived(world: World) -> dict[object, object]:
    """All that the ledger keeps besides facts, after every part was used and kept."""
    state_of(world.runtime.knowledge)
    keep(world)
    held = world.ledger._derived  # noqa: SLF001 - all entries
    return {
        place: (one.key, {name: array.tobytes() for name, array in one.arrays.items()})
        for place, one in held.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_after_a_forget_is_what_a_twin_keeps(seed):
    """Also where the domain whose kernel was tuned loses no fact, and needs no kernel any more:
    labels that it has none of are added to another domain right after the forget."""
    random = np.random.default_rng(seed)
    facts = [*confused("x", "ab", 90, seed), *confused("y", "cd", 60, 10 + seed)]
    gone = {one.id for one in facts if one.domain == "y" and random.random() < 0.3}
    gone |= {one.id for one in facts if one.domain == "x" and seed > 1 and random.random() < 0.1}
    more = Enrol(tuple(confused("y", "ae", 30, 20 + seed)))
    world = World(facts)
    world.feed(FitGeometry())
    derived(world)
    assert world.runtime.knowledge.tuned.kept("x") is not None
    chosen = Selector(ids=frozenset(gone))
    world.feed(ForgetRequest(request_id="r", selector=chosen, refit_geometry=False))
    twin = World([one for one in facts if one.id not in gone])
    twin.ledger.apply(StoreGeometry(world.ledger.geometry() or {}))
    twin.crash()
    if seed % 2:
        assert derived(world) == derived(twin)
    for one in (world, twin):
        one.feed(more)
    assert derived(world) == derived(twin)
    assert world.runtime.digest() == twin.runtime.digest()


def test_a_tuned_kernel_goes_also_while_sums_of_another_device_count():
    """Else it would be kept once that device withdraws its sums."""
    facts = confused("x", "ab", 90, 1)
    world, other = World(facts), World(confused("x", "ab", 60, 2))
    world.feed(FitGeometry())
    other.ledger.apply(StoreGeometry(world.ledger.geometry() or {}))
    other.crash()
    derived(world)
    assert world.runtime.knowledge.tuned.kept("x") is not None
    world.feed(other.runtime.contribute("b", 1).contribution)
    assert world.runtime.knowledge.contributing == ("b",)
    chosen = Selector(ids=frozenset({facts[0].id}))
    world.feed(ForgetRequest(request_id="r", selector=chosen, refit_geometry=False))
    assert world.runtime.knowledge.tuned.kept("x") is None


def test_forgetting_deletes_what_holds_traces():
    """After a forget the ledger keeps neither router nor adaptors, and no thresholds of the
    domain; those of the other domain stay."""
    world = world_of("x", "y")
    world.feed(
        ForgetRequest(
            request_id="r", selector=Selector(ids=frozenset({"xa3"})), refit_geometry=False
        )
    )
    held = [one.place[:2] for one in world.ledger._derived.values()]  # noqa: SLF001 - all entries
    assert ("thresholds", "y") in held
    assert not {("thresholds", "x"), ("router", ""), ("head", "")} & set(held)


def test_an_adaptor_of_another_record_does_not_serve():
    """A head that was solved without the record in use is not used with it."""
    world = world_of("x", "y")
    own, others = world.runtime.knowledge.training_facts("x")
    job = GrowthJob(
        id="j",
        domain="x",
        version=1,
        seed=1,
        budget=Config().budget,
        spans=world.runtime.knowledge.geometry.slices,
        own=own,
        others=others,
    )
    world.ledger.apply(StoreAdaptor(record_of(job)))
    known = reopened(world)
    before = known.adaptor("x")
    known.reuses = False
    known.refit("x")
    assert known.adaptor("x").answer(np.zeros(8, np.uint8)).tolist() == (
        before.answer(np.zeros(8, np.uint8)).tolist()
    )


def test_spoiled_structures_are_left_out():
    """A structure that is no JSON, names an absent array, or a class that is not kept, gives
    nothing."""
    whole = pack_value((1, 2.5, np.inf, None, b"\x00", {"a": (np.arange(3),)}, "text"))
    found = unpack_value(whole)
    assert isinstance(found, tuple)
    assert found[:5] == (1, 2.5, np.inf, None, b"\x00")
    assert found[5]["a"][0].tolist() == [0, 1, 2]
    for text in ("{", '{"array": "a9"}', '{"kind": "Path", "fields": {}}', '{"bytes": "zz"}', "{}"):
        spoiled = {**whole, STRUCTURE: np.frombuffer(text.encode(), np.uint8)}
        assert unpack_value(spoiled) is None
    assert unpack_value({}) is None
