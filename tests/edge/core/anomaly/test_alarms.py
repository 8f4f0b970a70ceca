"""The limit of the alarms: a chosen rate a day needs to know how many samples a day has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edge.core.anomaly.alarms import AlarmGate

SECOND = 10**9
DAY = 86_400 * SECOND
NOW = 20_000 * DAY
STEPS = 3_000
YEARS = 730 * DAY


def limit(times: Sequence[int]) -> float:
    """The limit after samples at these times with scores that seldom rise."""
    gate = AlarmGate(1 / 7)
    scores = np.random.default_rng(0).exponential(0.5, len(times))
    for score, at_ns in zip(scores, times, strict=True):
        gate.step(float(score), at_ns)
    return gate.limit


def regular(step_s: int, count: int = STEPS) -> list[int]:
    """Times at a fixed interval."""
    return [NOW + step_s * SECOND * number for number in range(count)]


def test_faster_samples_have_a_higher_limit():
    """The chosen rate counts days, not samples."""
    limits = [limit(regular(step)) for step in (3_600, 300, 10)]
    assert limits == sorted(limits)
    assert limits[0] < limits[2]


@pytest.mark.parametrize("wrong", [0, 1, NOW - YEARS, NOW + YEARS])
@pytest.mark.parametrize("place", [0, 1, 2, 40, 2_000])
@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_time_changes_the_limit_little(wrong: int, place: int, count: int):
    """A clock that is unset, or years off, for a few samples: the limit stays within a tenth, also
    while the clock is wrong."""
    times = regular(300)
    right = limit(times)
    for number in range(place, place + count):
        times[number] = wrong + 300 * SECOND * (number - place) if wrong else 0
    assert limit(times) == pytest.approx(right, rel=0.1)


@pytest.mark.parametrize("shift", [-YEARS, -3_600 * SECOND, 3_600 * SECOND, YEARS])
def test_a_clock_that_is_set_changes_the_limit_little(shift: int):
    """From the middle on all times are shifted."""
    times = regular(300)
    right = limit(times)
    moved = times[: STEPS // 2] + [at + shift for at in times[STEPS // 2 :]]
    assert limit(moved) == pytest.approx(right, rel=0.1)


def test_a_pause_is_no_measured_time():
    """A machine that is off at night has the limit of one that runs all day."""
    times = [NOW + number // 1_000 * DAY + number % 1_000 * 10 * SECOND for number in range(STEPS)]
    assert limit(times) == pytest.approx(limit(regular(10)), rel=0.1)


def test_bursts_count_as_they_are():
    """Ten samples a second apart each hour are 240 a day."""
    times = [NOW + number // 10 * 3_600 * SECOND + number % 10 * SECOND for number in range(STEPS)]
    assert limit(times) == pytest.approx(limit(regular(360)), rel=0.1)


def test_samples_out_of_order_count_once():
    """Neighbours that change places leave the limit as it is."""
    times = regular(60)
    swapped = [times[number ^ 1] for number in range(STEPS)]
    assert limit(swapped) == pytest.approx(limit(times), rel=0.01)


def test_the_first_limit_is_that_of_five_minute_samples():
    """Before times say how fast samples come."""
    gate = AlarmGate(1 / 7)
    first = gate.limit
    gate.step(0.1, NOW)
    assert gate.limit == first
