"""Sums of sums: the same in any tree and any order, thresholds included, and exactly taken back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.facts import Fact
from edge.core.knowledge.contributions import (
    MEMBERS,
    NAMES,
    RANKS,
    Contribution,
    find_invalid_contribution,
)
from edge.core.knowledge.fleet_members import members_of
from edge.core.knowledge.fleet_sums import (
    FleetSums,
    ThresholdOffer,
    ThresholdPart,
    count_differing,
    digest_sums,
    join_thresholds,
    take_thresholds,
    threshold_offers,
)
from tests.worlds import World, clouds

GEOMETRY = World().runtime.knowledge.geometry


def contribution(number: int) -> Contribution:
    """The contribution of a small device of its own; some have more facts, and other labels."""
    domain, label = "de"[number % 2], "xyz"[number % 3]
    rows = clouds((number, 90), 8 + 3 * (number % 4), seed=number)
    facts = [
        Fact(
            id=f"{number}-{place}",
            stream="s",
            domain=domain,
            label=label if place % 2 else "x",
            captured_at_ns=place,
            features=row.tobytes(),
        )
        for place, row in enumerate(rows)
    ]
    return World(facts).runtime.contribute(f"device-{number}", 1).contribution


LEAVES = tuple(contribution(number) for number in range(7))


def join(parts: Sequence[Contribution]) -> Contribution:
    """The sum of contributions, as an aggregator makes it."""
    sums, best = FleetSums(GEOMETRY), dict[tuple[str, str], tuple[ThresholdOffer, Contribution]]()
    for part in parts:
        sums.change(part.arrays, 1)
        for offer in threshold_offers(part.arrays):
            key = offer.domain, offer.label
            if key not in best or offer.rank > best[key][0].rank:
                best[key] = offer, part
    chosen: dict[ThresholdOffer, ThresholdPart] = {}
    for offer, part in best.values():
        chosen.update(take_thresholds(part.arrays, [offer]))
    members = np.sort(np.concatenate([members_of(part) for part in parts]))
    arrays = {**sums.arrays(), **join_thresholds(chosen, sums.counts), MEMBERS: members}
    made = replace(parts[0], device="sum", samples=sums.samples, arrays=arrays)
    return replace(made, devices=sum(part.devices for part in parts))


def tree(parts: Sequence[Contribution], cuts: Sequence[int]) -> Contribution:
    """The sum of parts in some tree: cut into groups, each summed, then the groups."""
    left = list(parts)
    for cut in cuts:
        at = 1 + cut % max(1, len(left) - 1)
        left = [*left[at:], join(left[:at])] if len(left) > 1 else left
    return join(left)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(len(LEAVES))), cuts=st.lists(st.integers(0, 9), max_size=6))
def test_a_sum_is_the_same_in_any_tree_and_order(order: Sequence[int], cuts: Sequence[int]):
    """Sums, thresholds and ranks of a tree of any shape are those of one flat sum, bit for bit."""
    flat, grown = join(LEAVES), tree([LEAVES[at] for at in order], cuts)
    assert grown.content == flat.content
    assert grown.devices == flat.devices == len(LEAVES)
    assert find_invalid_contribution(grown, GEOMETRY) == ""


def test_a_sum_of_contributions_is_accepted_as_one():
    """It has the arrays of a contribution, and the ranks of its thresholds."""
    made = join(LEAVES)
    assert sorted(made.arrays) == sorted((*NAMES, RANKS, MEMBERS))
    assert made.samples == sum(one.samples for one in LEAVES)
    listener = World()
    listener.feed(made)
    every = World()
    for one in LEAVES:
        every.feed(one)
    assert listener.runtime.knowledge.memory.digest() == every.runtime.knowledge.memory.digest()


def test_what_is_subtracted_leaves_no_trace():
    """A sum without a member equals one that never had it."""
    with_it, never = FleetSums(GEOMETRY), FleetSums(GEOMETRY)
    for one in LEAVES:
        with_it.change(one.arrays, 1)
    for one in LEAVES[1:]:
        never.change(one.arrays, 1)
    assert with_it.digest() != never.digest()
    with_it.change(LEAVES[0].arrays, -1)
    assert with_it.digest() == never.digest() == digest_sums(with_it.arrays())
    assert with_it.counts == never.counts
    for one in LEAVES[1:]:
        with_it.change(one.arrays, -1)
    assert not with_it.counts
    assert with_it.digest() == digest_sums({})


def test_more_is_never_subtracted_than_was_added():
    """A wrong subtraction is a bug, and shows at once."""
    with pytest.raises(AssertionError):
        FleetSums(GEOMETRY).change(LEAVES[0].arrays, -1)


def test_differing_bits_are_counted():
    """No bit differs between equal sums; a changed one, and a missing concept, count."""
    one, other = FleetSums(GEOMETRY), FleetSums(GEOMETRY)
    for sums in (one, other):
        sums.change(LEAVES[0].arrays, 1)
    assert count_differing(one.arrays(), other.arrays()) == 0
    changed = {**one.arrays()}
    changed["ones"] = changed["ones"].copy()
    changed["ones"][0, 0] ^= 1
    assert count_differing(changed, other.arrays()) == 1
    assert count_differing({}, other.arrays()) > 1_000


def test_the_most_held_out_samples_set_the_thresholds():
    """Of two devices with one domain, the one with more held-out samples provides its scores, and
    the other only what it alone covers."""
    few, many = sorted(LEAVES[1::2], key=lambda one: int(one.arrays["sizes"].max()))[:3:2]
    made = join((few, many))
    size = max(int(one.arrays["sizes"].max()) for one in (few, many))
    assert made.arrays["sizes"].tolist() == [size]
    assert int(made.arrays[RANKS][:, 0].max()) == size


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("gram", lambda gram: gram * 0),
        ("gram", lambda gram: gram.astype(np.int64) * 300),
        ("sizes", lambda sizes: sizes.astype(np.int64) + 2_000),
    ],
)
def test_sums_that_no_facts_have_are_refused(name: str, changed: object):
    """A Gram matrix that does not fit the sums of features, or more held-out samples than facts."""
    arrays = dict(LEAVES[0].arrays)
    arrays[name] = changed(arrays[name])  # type: ignore[operator]
    assert find_invalid_contribution(replace(LEAVES[0], arrays=arrays), GEOMETRY) != ""


def test_ranks_out_of_range_are_refused():
    """A rank above the most samples a threshold can have would win for ever."""
    made = join(LEAVES)
    ranks = made.arrays[RANKS].astype(np.int64)
    for bad in (ranks + np.array([5_000, 0]), ranks - np.array([0, 1 << 60]), ranks[:, :1]):
        wrong = replace(made, arrays={**made.arrays, RANKS: bad})
        assert find_invalid_contribution(wrong, GEOMETRY) != ""
