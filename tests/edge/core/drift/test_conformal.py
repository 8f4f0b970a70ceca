from __future__ import annotations

import numpy as np

from edge.core.drift.conformal import STEPS_PER_FALSE_ALARM, ConformalCusum


def noise(seed, steps=3_000, channels=6):
    """Heavy-tailed noise around a level: outliers are common."""
    return 100 + np.random.default_rng(seed).standard_t(4, (steps, channels))


def test_the_false_alarm_rate_is_bounded():
    """On noise with heavy tails alarms are rarer than one in STEPS_PER_FALSE_ALARM steps."""
    alarms = 0
    for seed in range(6):
        detector = ConformalCusum(6)
        alarms += sum(len(detector.step(sample)) for sample in noise(seed))
    assert alarms <= 6 * 3_000 / STEPS_PER_FALSE_ALARM


def test_a_larger_variance_is_detected():
    """Noise that becomes four times as large is reported within 20 steps."""
    values = noise(9, 2_000)
    values[1_500:] = 100 + 4 * (values[1_500:] - 100)
    detector = ConformalCusum(6)
    steps = [change.step for sample in values for change in detector.step(sample)]
    assert any(1_500 <= step < 1_520 for step in steps)
