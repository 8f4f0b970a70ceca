"""The figures of the benchmark of fleets."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn.datasets")

from benchmarks.fleet.hostile import ATTACKS, check_attack, honest_members, spoil
from benchmarks.fleet.memory import measure_here
from benchmarks.fleet.run import summarise_costs, summarise_fleet
from edge.core.knowledge.contributions import find_invalid_contribution
from edge.sim.fleet.members import MemberTools, make_world, unpacked
from edge.sim.fleet.trial import simulate_fleet


def test_the_summary_says_what_was_measured():
    """Every figure of the summary is a number; equal digests count as one."""
    outcome = simulate_fleet(40, 3, 1)
    summary = summarise_fleet(outcome) | summarise_costs([measure_here(20)])
    assert summary["devices"] == 40
    assert summary["digest_equal"] == 1.0
    assert summary["bytes_per_device"] > 1_000
    assert summary["aggregator_disk_bytes_per_child"] > 1_000


def test_attacks_send_what_facts_could_sum_up_to():
    """A contribution that is refused anyway would be no test of the comparison."""
    import numpy as np

    world, tools = make_world(6), MemberTools.open()
    members = [one for one, _ in zip(honest_members(world, 6, tools), range(24), strict=False)]
    random = np.random.default_rng(0)
    for attack in ATTACKS:
        sent = spoil(members[0], attack, random)
        reason = find_invalid_contribution(sent, unpacked(world.geometry))
        assert not reason or attack == "shifted features", (attack, reason)
        found, wrong, _ = check_attack(members, attack, 0.05, 6)
        assert 0.0 <= found <= 1.0
        assert 0.0 <= wrong < 0.2
