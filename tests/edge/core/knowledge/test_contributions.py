"""Sums of other devices: they add up, replace each other whole, and leave without a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc
from edge.core.events import (
    Acknowledgement,
    Decision,
    Enrol,
    FitGeometry,
    ForgetRequest,
    Rejected,
    StoreContribution,
    StoreGeometry,
)
from edge.core.facts import Fact, Selector
from edge.core.knowledge.cohorts import Published
from edge.core.knowledge.contributions import NAMES, Contribution, concepts_of, shrink_sums
from edge.core.receipt import Receipt
from tests.worlds import World, clouds, fact

CARD = World().model.card.fingerprint


def taught(
    domain: str, labels: str = "ab", count: int = 40, seed: int = 0, width: int = 8
) -> tuple[Fact, ...]:
    """Facts of a domain, each label around a centre of its own."""
    centres = [sum(f"{domain}{label}".encode()) for label in labels]
    rows = clouds(centres, count, seed=seed, width=width)
    return tuple(
        Fact(
            id=f"{domain}-{seed}-{n}",
            stream="s",
            domain=domain,
            label=labels[n // count],
            captured_at_ns=n,
            features=row.tobytes(),
        )
        for n, row in enumerate(rows)
    )


def given_by(world: World, device: str = "a", revision: int = 1) -> Contribution:
    """The contribution of a world's facts."""
    return world.runtime.contribute(device, revision).contribution


def sums(world: World) -> dict[str, object]:
    """Concept sums and moments of a world, which must be additive."""
    whole = world.runtime.knowledge.contribute("any", CARD, 1).contribution.arrays
    return {name: whole[name].tolist() for name in ("counts", "ones", "sums", "features", "gram")}


@settings(max_examples=20, deadline=None)
@given(owners=st.lists(st.sampled_from("xyz"), min_size=72, max_size=72))
def test_sums_of_several_devices_are_those_of_one_that_saw_what_they_published(
    owners: Sequence[str],
):
    """However facts are spread over devices: the concepts, bit for bit, and the Gram matrix of one
    device that holds the published facts, whatever is withheld."""
    rows = clouds(range(4), 18, seed=3)
    facts = [
        replace(fact(f"f{n}", "ab"[n % 2], "cd"[n % 3 // 2], n), features=row.tobytes())
        for n, row in enumerate(rows)
    ]
    parts = {o: World(f for f, p in zip(facts, owners, strict=True) if p == o) for o in "xyz"}
    listener = World()
    published: set[str] = set()
    for owner, part in parts.items():
        listener.feed(given_by(part, owner))
        plan = part.runtime.contribute(owner, 1).plan
        published |= {one for cohort in plan.current for one in cohort.ids}
    whole = World(one for one in facts if one.id in published)
    merged, alone = listener.runtime.knowledge, whole.runtime.knowledge
    assert merged.memory.digest() == alone.memory.digest()
    total = sum(
        np.asarray(given_by(part).arrays.get("gram", 0), np.int64) for part in parts.values()
    )
    assert np.array_equal(total, given_by(whole).arrays["gram"])


def test_the_order_in_which_contributions_come_is_nothing():
    """Any order and repetition of contributions gives the same digest, also after a crash."""
    given_all = [given_by(World(taught(name)), name) for name in ("hall", "yard", "roof")]
    seen = set()
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0, 0, 1)):
        world = World(taught("home"))
        for at in order:
            world.feed(given_all[at])
        seen.add(world.runtime.digest())
        world.crash()
        seen.add(world.runtime.digest())
    assert len(seen) == 1
    assert seen != {World(taught("home")).runtime.digest()}


def test_a_forget_on_one_device_reaches_the_other():
    """After the new contribution the receiver equals one of a device that never had the forgotten
    fact and holds exactly what is published."""
    mine, theirs = taught("home"), taught("hall")
    gone = theirs[5]
    sender, receiver = World(theirs), World(mine)
    nothing = Published(key=b"k", cohorts={})
    first = sender.runtime.contribute("a", 1, nothing)
    receiver.feed(first.contribution)
    before = receiver.runtime.digest()
    request = ForgetRequest(request_id="r", selector=Selector(ids=frozenset({gone.id})))
    sender.ask(request, Receipt)
    recorded = replace(nothing, cohorts=dict(enumerate(first.plan.added)))
    second = sender.runtime.contribute("a", 2, recorded)
    receiver.feed(second.contribution)
    ids = {one for cohort in second.plan.current for one in cohort.ids}
    assert gone.id not in ids
    assert len(ids) == len(theirs) - 8
    never = World(mine)
    never.feed(given_by(World(f for f in theirs if f.id in ids), "a", 1))
    assert receiver.runtime.digest() == never.runtime.digest() != before
    assert sums(receiver) == sums(never)


def test_an_empty_contribution_drops_a_device():
    """An empty contribution removes a device's sums, and an older contribution does not restore
    them."""
    world, alone = World(taught("home")), World(taught("home"))
    first = given_by(World(taught("hall")), "a", 1)
    world.feed(first)
    assert world.runtime.digest() != alone.runtime.digest()
    world.feed(given_by(World(), "a", 2))
    assert world.ask(first, Acknowledgement).count == 0
    assert world.runtime.digest() == alone.runtime.digest()
    assert world.runtime.knowledge.domains == ("home",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"card": "f" * 64}, "encoder card"),
        ({"seed": 2}, "seed 2"),
        ({"geometry": "e" * 64}, "geometry eeeeeeeeeeee"),
    ],
)
def test_sums_of_another_card_seed_or_geometry_are_refused(change: dict[str, Any], reason: str):
    """Such sums are rejected with the reason, and the device's earlier sums are removed: they may
    hold forgotten facts."""
    world, alone = World(taught("home")), World(taught("home"))
    good = given_by(World(taught("hall")), "a", 1)
    world.feed(good)
    result = world.ask(replace(good, revision=2, **change), Rejected)
    assert reason in result.reason
    assert "its earlier sums are removed" in result.reason
    assert world.runtime.digest() == alone.runtime.digest()


def test_a_contribution_counts_again_once_the_geometries_agree():
    """A revision that could not be used is accepted once the geometries agree."""
    sender, world = World(taught("hall")), World(taught("home"))
    frozen = given_by(sender, "a", 3)
    world.feed(FitGeometry())
    assert "geometry" in world.ask(frozen, Rejected).reason
    world.crash()
    other = World(taught("home"))
    other.ledger.apply(refused_before(world))
    other.crash()
    assert other.ask(frozen, Acknowledgement).count == frozen.samples


def refused_before(world: World) -> StoreContribution:
    """The mark that a refused contribution left."""
    held = world.ledger.contributions()["a"]
    assert not held.samples
    return StoreContribution(replace(held, geometry="0" * 64))


def test_sums_of_a_geometry_of_another_version_are_refused_with_both_versions():
    """The reason says which version the sender and the receiver have."""
    world = World(taught("home"))
    world.feed(FitGeometry())
    sent = replace(given_by(World(taught("hall"))), geometry="0" * 64, geometry_version=1)
    reason = world.ask(sent, Rejected).reason
    assert "the geometry 000000000000 of version 1, the one here" in reason
    assert f"has version {hdc.GEOMETRY_VERSION}" in reason


def test_fitting_the_geometry_sets_sums_of_the_old_one_aside():
    """A new geometry leaves out contributions made with the old one, and the acknowledgement names
    their devices."""
    world = World(taught("home"))
    world.feed(given_by(World(taught("hall")), "a"))
    assert "left out: a" in world.ask(FitGeometry(), Acknowledgement).detail
    assert world.runtime.knowledge.domains == ("home",)


@pytest.mark.parametrize("surveyed", [False, True])
def test_a_device_without_facts_answers_from_the_sums_of_another(surveyed: bool):
    """Known samples get their label and domain, distant ones are novel, by the sender's
    thresholds."""
    width = 24
    sender = World(taught("hall", "abc", 60, width=width), width=width)
    receiver = World(width=width)
    if surveyed:
        sender.feed(FitGeometry())
        freeze(receiver, sender)
    receiver.ask(given_by(sender), Acknowledgement)
    right = known = 0
    fresh = taught("hall", "abc", 20, seed=1, width=width)
    for n, one in enumerate(fresh):
        result = decision(receiver, np.frombuffer(one.features, np.uint8), n)
        right += result.guess == one.label
        known += result.known is True
        assert result.domain == "hall"
    assert right >= 0.95 * len(fresh)
    assert known >= 0.9 * len(fresh)
    strange = clouds([1], 20, width=width)
    seen = [decision(receiver, row, 100 + n).known for n, row in enumerate(strange)]
    assert seen.count(False) > 15


def freeze(receiver: World, sender: World) -> None:
    """Give a world the geometry of another."""
    receiver.ledger.apply(StoreGeometry(sender.runtime.knowledge.geometry.pack()))
    receiver.crash()


def decision(world: World, row: NDArray[np.uint8], sequence: int) -> Decision:
    """The decision on one observation of a stream of its own."""
    found = world.observe(row, sequence, stream=f"s{sequence}")
    return next(one for one in found if isinstance(one, Decision))


def test_a_domain_with_too_few_samples_elsewhere_abstains_with_a_reason():
    """Too few held-out samples for the chosen rate give a reason, on the receiver as on the
    sender."""
    world = World()
    world.feed(given_by(World(taught("hall", count=8))))
    result = decision(world, np.frombuffer(taught("hall", count=8)[0].features, np.uint8), 1)
    assert result.known is None
    assert "needs 99 samples of 'hall', found 16" in result.reason


def test_the_digest_depends_on_the_contributor():
    """The digest depends on which device contributed the sums."""
    digests = set()
    for device in "ab":
        world = World(taught("home"))
        world.feed(given_by(World(taught("hall")), device))
        digests.add(world.runtime.digest())
    assert len(digests) == 2


def test_own_facts_answer_where_they_are_the_majority():
    """Own facts answer if they are at least half of all and cover all labels; otherwise the sums of
    all devices do."""
    world = World(taught("hall", "ab", 40))
    own = world.runtime.knowledge.adaptor("hall")
    world.feed(given_by(World(taught("hall", "ab", 40, seed=1)), "as many"))
    assert type(world.runtime.knowledge.adaptor("hall")) is type(own)
    world.feed(given_by(World(taught("hall", "ab", 8, seed=4)), "one of each"))
    assert type(world.runtime.knowledge.adaptor("hall")) is not type(own)
    world.feed(given_by(World(), "one of each", 2))
    assert type(world.runtime.knowledge.adaptor("hall")) is type(own)
    world.feed(given_by(World(taught("hall", "abc", 10, seed=2)), "more"))
    assert world.runtime.knowledge.adaptor("hall").labels == ("a", "b", "c")
    row = np.frombuffer(taught("hall", "abc", 10, seed=3)[-1].features, np.uint8)
    assert world.runtime.knowledge.answer("hall", row) == "c"


def test_learning_and_forgetting_work_with_adopted_sums():
    """With contributions present, incrementally updated knowledge equals derived knowledge, moments
    included."""
    world = World(taught("home"))
    world.feed(given_by(World(taught("hall"))))
    sums(world)
    world.feed(Enrol(taught("home", seed=1)))
    world.feed(ForgetRequest(request_id="r", selector=Selector(domain="home", from_ns=50)))
    kept, digest = sums(world), world.runtime.digest()
    world.crash()
    assert (sums(world), world.runtime.digest()) == (kept, digest)
    assert world.derived() == digest


def test_a_crash_between_effects_is_mended_by_sending_again():
    """After any prefix of the effects, repeating the contribution leads to the same knowledge."""
    gift = given_by(World(taught("hall")))
    whole = World(taught("home"))
    whole.feed(gift)
    for stop in range(3):
        world = World(taught("home"))
        for effect in world.runtime.handle(gift)[:stop]:
            world.ledger.apply(effect)
        world.crash()
        world.feed(gift)
        assert world.runtime.digest() == whole.runtime.digest()


def test_no_more_devices_than_fit():
    """One device too many is rejected; contributions of the others are still replaced."""
    world, small = World(), given_by(World(taught("hall", count=8)), "d0")
    for n in range(64):
        world.ask(replace(small, device=f"d{n}"), Acknowledgement)
    result = world.ask(replace(small, device="d64"), Rejected)
    assert "64 devices are held" in result.reason
    assert world.ask(replace(small, revision=2), Acknowledgement).count == small.samples


GOOD = given_by(World(taught("hall", count=8)))


def named(text: str) -> NDArray[np.uint8]:
    """Names as a contribution carries them."""
    return np.frombuffer(text.encode(), np.uint8)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutilated_sums_are_refused_and_change_nothing(data: st.DataObject):
    """A corrupted array gives a reason, or sums that could be true; never an exception."""
    name = data.draw(st.sampled_from(NAMES))
    arrays = dict(GOOD.arrays)
    array = arrays[name].copy()
    kind = data.draw(
        st.sampled_from(("drop", "cut", "float", "infinite", "value", "shape", "extra"))
    )
    match kind:
        case "drop":
            del arrays[name]
        case "cut":
            arrays[name] = array[: len(array) // 2]
        case "float":
            arrays[name] = array.astype(np.float32)
        case "infinite":
            arrays[name] = np.full(array.shape, np.inf)
        case "shape":
            arrays[name] = array.reshape(-1, 1)
        case "extra":
            arrays["extra"] = array
        case "value":
            value = data.draw(st.integers(-(2**63), 2**63 - 1))
            wide = array.astype(np.int64).reshape(-1)
            if wide.size:
                wide[data.draw(st.integers(0, wide.size - 1))] = value
            arrays[name] = wide.reshape(array.shape)
    world = World(taught("home", count=3))
    before = world.runtime.digest()
    messages = world.feed(replace(GOOD, arrays=arrays))
    if isinstance(messages[0], Rejected):
        assert messages[0].reason.startswith("adopting sums of a: ")
        assert world.runtime.digest() == before
    else:
        decision(world, np.zeros(8, np.uint8), 1)
        assert len(world.runtime.digest()) == 64


def changed(name: str, at: tuple[int, ...], value: int) -> dict[str, Any]:
    """Good arrays with one number changed."""
    array = GOOD.arrays[name].astype(np.int64)
    array[at] = value
    return {"arrays": {**GOOD.arrays, name: array}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": GOOD.samples + 1}, "counts holds"),
        (changed("counts", (0,), GOOD.samples), "counts holds"),
        (changed("counts", (0,), 0), "counts holds"),
        (changed("ones", (0, 0), 41), "ones holds"),
        (changed("ones", (0, 0), -1), "ones holds"),
        (changed("features", (0, 0), 255 * 40 + 1), "features holds"),
        (changed("gram", (0,), -1), "gram holds"),
        (changed("gram", (0,), 255 * 255 * GOOD.samples + 1), "gram holds"),
        (changed("held", (0,), 1), "held holds"),
        (changed("held", (1,), 2), "held holds"),
        (changed("scales", (0, 0, 1), 0), "scales holds"),
        (changed("scales", (0, 0, 0), (1 << 40) + 1), "scales holds"),
        (changed("usual", (0, 0), -1), "usual holds"),
        (changed("usual", (0, 2), 0), "usual holds"),
        (changed("scores", (0,), -(1 << 40) - 1), "scores holds"),
        (changed("skews", (0,), 1 << 41), "skews holds"),
        ({"arrays": {**GOOD.arrays, "names": named("hall\tb\nhall\ta")}}, "names must be sorted"),
        ({"arrays": {**GOOD.arrays, "names": named("hall\ta\nhall\ta")}}, "names must be sorted"),
        ({"arrays": {**GOOD.arrays, "names": named("hall\ta\nhall\t ")}}, "names must be sorted"),
    ],
)
def test_sums_that_no_facts_give_are_refused(change: dict[str, Any], reason: str):
    """Impossible sums are rejected with the name of the array, and change nothing."""
    world = World(taught("home", count=3))
    before = world.runtime.digest()
    assert reason in world.ask(replace(GOOD, **change), Rejected).reason
    assert world.runtime.digest() == before


def test_the_encoding_is_compact_and_names_survive():
    """Every array uses the narrowest integer type that holds it."""
    assert {GOOD.arrays[name].dtype.itemsize for name in ("counts", "ones", "names")} == {1}
    assert concepts_of(GOOD.arrays) == (("hall", "a"), ("hall", "b"))
    assert shrink_sums(np.array([-1, 200])).dtype == np.int16


def test_a_home_with_a_geometry_of_version_1_opens_and_is_fitted_again():
    """Its digest stays as it was until the next fit, which replaces the geometry."""
    world = World(taught("home"))
    world.feed(FitGeometry())
    packed = world.runtime.knowledge.geometry.pack()
    world.ledger.apply(StoreGeometry({n: a for n, a in packed.items() if n != "version"}))
    world.crash()
    before = world.runtime.digest()
    assert world.runtime.knowledge.geometry.version == 1
    world.crash()
    assert world.runtime.digest() == before
    world.feed(FitGeometry())
    assert world.runtime.knowledge.geometry.version == hdc.GEOMETRY_VERSION
    assert world.runtime.digest() != before
