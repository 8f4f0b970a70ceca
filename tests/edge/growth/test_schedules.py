"""Learning rates by step."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from edge.growth import schedules


@pytest.mark.parametrize("steps", [1, 2, 10, 24, 100])
def test_rates_rise_once_and_fall_to_the_lowest(steps):
    """A linear rise to 1, then a cosine decay."""
    rates = schedules.rewarm(steps)
    top = rates.index(max(rates))
    assert len(rates) == steps
    assert rates[top] == 1.0
    assert list(rates[: top + 1]) == sorted(rates[: top + 1])
    assert list(rates[top:]) == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(schedules.LOWEST if steps > 1 else 1.0)


def test_the_cosine_is_half_way_in_the_middle():
    """Of 110 steps 11 rise; after half of the other 99 the rate is in the middle."""
    rates = schedules.rewarm(110)
    assert rates[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert (rates[59] + rates[60]) / 2 == pytest.approx((1 + schedules.LOWEST) / 2, abs=1e-3)


def test_a_schedule_without_a_budget_has_a_fixed_start():
    """More steps change no earlier rate; after the decay the rate stays constant."""
    long = schedules.unbounded(50)
    assert schedules.unbounded(20) == long[:20]
    settled = schedules.WARM_STEPS + schedules.COOLING_STEPS
    assert long[schedules.WARM_STEPS - 1] == 1.0
    assert long[settled:] == pytest.approx([schedules.CONSTANT] * (50 - settled))
    assert list(long[1:settled]) == sorted(long[1:settled], reverse=True)


def test_annealing_ends_at_the_lowest_rate():
    """Each step multiplies by the same number."""
    rates = (schedules.CONSTANT, *schedules.annealing(6))
    shares = [after / before for before, after in itertools.pairwise(rates)]
    assert shares == pytest.approx([shares[0]] * 6)
    assert rates[-1] == pytest.approx(schedules.LOWEST)
