from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import EdgeError
from edge.backbone.routing import route_demands
from edge.backbone.simulator import simulate_links
from edge.backbone.topologies import TOPOLOGIES

NAMES = st.sampled_from(sorted(TOPOLOGIES))
SEEDS = st.integers(0, 50)


@settings(max_examples=6, deadline=None)
@given(name=NAMES, seed=SEEDS, schedule=SEEDS)
def test_traffic_is_conserved(name, seed, schedule):
    """At every step the loads add up to each demand times the links that it crosses."""
    world = simulate_links(name, seed, schedule, days=2, quiet_days=1)
    down = {one.link: one for one in world.outages}
    for step in (0, *(event.step for event in world.events), len(world.loads) - 1):
        out = frozenset(link for link, one in down.items() if one.start <= step < one.stop)
        hops = route_demands(world.topology, out).sum(axis=1)
        assert world.loads[step].sum() == world.demands[step] @ hops


@settings(max_examples=4, deadline=None)
@given(name=NAMES, seed=SEEDS)
def test_repair_restores_the_exact_loads(name, seed):
    """Outside of outages the loads are those of a world in which nothing ever failed."""
    world = simulate_links(name, seed, 1, days=3, quiet_days=1, double_share=0.5)
    whole = world.demands @ route_demands(world.topology)
    hit = np.zeros(len(whole), bool)
    for one in world.outages:
        hit[one.start : one.stop] = True
    assert hit.any()
    assert np.array_equal(world.loads[~hit], whole[~hit])
    assert not np.array_equal(world.loads[hit], whole[hit])


def test_a_seed_gives_the_same_bits_and_another_does_not():
    """Loads and events follow from the arguments; a schedule leaves the traffic as it is."""
    first, again = (simulate_links("nsfnet", 3, 2, 9, 7) for _ in range(2))
    assert first.loads.tobytes() == again.loads.tobytes()
    assert [event.step for event in first.events] == [event.step for event in again.events]
    other = simulate_links("nsfnet", 3, 5, 9, 7)
    assert np.array_equal(other.demands, first.demands)
    assert [event.step for event in other.events] != [event.step for event in first.events]
    assert not np.array_equal(simulate_links("nsfnet", 4, 2, 9, 7).demands, first.demands)


def test_events_match_the_simulated_failures():
    """A failed link carries nothing until its repair, and the buckets follow from the shifts."""
    world = simulate_links("euro28", 1, 1, days=9, quiet_days=7, double_share=0.5)
    assert world.events[0].step >= world.quiet_steps == 7 * 288
    assert {event.kind for event in world.events} == {"failure", "repair"}
    for event in world.events:
        now, then = world.loads[event.step], world.loads[event.step - 1]
        silent, loud = (now, then) if event.kind == "failure" else (then, now)
        assert not silent[list(event.links)].any()
        assert loud[list(event.links)].all()
        for shift, bucket in zip(event.shifts, event.buckets, strict=True):
            expected = "drastic" if shift >= 0.5 else "moderate" if shift >= 0.1 else "none"
            assert bucket == expected
    untouched = [bucket == "none" for bucket in world.events[0].buckets]
    assert any(untouched)
    assert not all(untouched)


def test_loads_look_like_traffic():
    """Loads are whole and not negative, swing by day, and fall at the weekend."""
    world = simulate_links("euro28", 0, days=7, quiet_days=7)
    assert not world.events
    assert np.array_equal(world.loads, np.rint(world.loads))
    assert world.loads.min() >= 0
    total = world.loads.sum(axis=1).reshape(7, 288)
    assert (total.max(axis=1) > 1.5 * total.min(axis=1)).all()
    assert total[5:].mean() < 0.85 * total[:5].mean()


def test_bursts_are_short_and_change_no_route():
    """Bursts raise some loads for a step or two; all else is to the bit as without them."""
    calm = simulate_links("nsfnet", 1, 1, 3, 1)
    world = simulate_links("nsfnet", 1, 1, 3, 1, bursts_per_1000=20)
    assert [event.step for event in world.events] == [event.step for event in calm.events]
    hit = (world.loads != calm.loads).any(axis=1)
    assert 5 < hit.sum() < 60
    assert (world.loads[hit] >= calm.loads[hit]).all()
    assert np.array_equal(world.loads[~hit], calm.loads[~hit])


@pytest.mark.parametrize(
    "wrong",
    [
        {"topology": "moon"},
        {"days": 0},
        {"quiet_days": 15},
        {"double_share": 1.5},
        {"bursts_per_1000": -1.0},
    ],
)
def test_arguments_that_make_no_world_are_refused(wrong):
    """An unknown topology or an impossible span is refused with a hint."""
    with pytest.raises(EdgeError, match="simulating link loads") as caught:
        simulate_links(**wrong)
    assert caught.value.hint
