"""The contract of change detectors, for every entry of the table."""

from __future__ import annotations

import numpy as np
import pytest

from edge.backbone.simulator import simulate_links
from edge.core.drift.kinds import DETECTORS

CHANNELS = 8
# The conformal detector compares ranks: a single jump is evidence enough after 800 samples only.
JUMP = 900


@pytest.fixture(params=sorted(DETECTORS))
def make(request):
    """The constructor of each kind."""
    return DETECTORS[request.param]


def stream(seed=0, steps=1_200, jumps=(JUMP,)):
    """Eight sensors around 100 that wander a little; at each jump half of them move for good."""
    random = np.random.default_rng(seed)
    values = 100 + np.cumsum(random.normal(0, 0.1, (steps, CHANNELS)), axis=0)
    values += random.normal(0, 0.5, values.shape)
    for at in jumps:
        values[at:, :4] += np.array([20.0, -20.0, 30.0, -15.0])
    return values


def detected(detector, values):
    """Every change that a detector reports."""
    return [change for sample in values for change in detector.step(sample)]


def test_a_jump_is_detected_at_once(make):
    """A jump of half the sensors is reported within two steps, with its start and channels."""
    found = detected(make(CHANNELS), stream())
    assert JUMP in [change.start for change in found]
    change = next(change for change in found if change.start == JUMP)
    assert change.step <= JUMP + 2
    assert change.channels == (0, 1, 2, 3)
    assert 0.1 < change.severity < 0.4
    assert change.regime == 1


def test_a_quiet_stream_raises_few_alarms(make):
    """Over 10,000 steps without a change there are at most 50 false alarms."""
    alarms = sum(len(detected(make(CHANNELS), stream(seed, 2_000, ()))) for seed in range(5))
    assert alarms <= 50


def test_the_same_samples_give_the_same_changes(make):
    """Equal samples give equal changes, and the samples are not modified."""
    values = stream()
    kept = values.copy()
    assert detected(make(CHANNELS), values) == detected(make(CHANNELS), values)
    assert np.array_equal(values, kept)


def test_a_restored_detector_continues_identically(make):
    """A detector saved just after a jump and restored elsewhere reports the same changes."""
    values = stream(jumps=(JUMP, 1_020))
    whole, first, second = (make(CHANNELS) for _ in range(3))
    expected = detected(whole, values)
    early = detected(first, values[: JUMP + 1])
    second.restore(first.state())
    assert [*early, *detected(second, values[JUMP + 1 :])] == expected
    assert all(
        np.array_equal(array, second.state()[name], equal_nan=True)
        for name, array in whole.state().items()
    )


def test_memory_is_bounded(make):
    """The state is not larger after a thousand samples than before the first."""
    detector = make(CHANNELS)
    before = sum(array.nbytes for array in detector.state().values())
    detected(detector, stream(steps=1_000))
    assert sum(array.nbytes for array in detector.state().values()) <= before < 100_000


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, 1e308, -1e308], ids=["nan", "inf", "-inf", "big", "-big"]
)
@pytest.mark.filterwarnings("error")
def test_invalid_values_cause_no_change(make, bad):
    """Missing and extreme values cause no change, and the next jump is still detected."""
    values = stream()
    values[50] = bad
    values[200:205, 2] = bad
    values[250, ::2] = bad
    found = detected(make(CHANNELS), values)
    after = {at + late for at in (50, *range(200, 206), 250) for late in range(4)}
    assert [change for change in found if change.step in after] == []
    assert any(JUMP <= change.step <= JUMP + 2 for change in found)


@pytest.mark.filterwarnings("error")
def test_constant_and_missing_channels_cause_no_change(make):
    """Constant channels and missing channels cause no change, a single channel at most two."""
    assert detected(make(3), np.full((300, 3), 7.0)) == []
    assert detected(make(3), np.zeros((300, 3))) == []
    assert detected(make(3), np.full((300, 3), np.nan)) == []
    alone = stream(steps=400, jumps=())[:, :1]
    assert len(detected(make(1), alone)) <= 2


def test_a_recurring_state_is_recognised(make):
    """A reversed change leads back to regime 0, and the same change again to regime 1."""
    values = stream(3, 1_400, ())
    for at in (900, 1_100):
        values[at : at + 100, :4] += np.array([60.0, -60.0, 90.0, -50.0])
    found = detected(make(CHANNELS), values)
    near = [
        [c.regime for c in found if at <= c.step <= at + 2] for at in (900, 1_000, 1_100, 1_200)
    ]
    assert near == [[1], [0], [1], [0]]


def test_another_shape_is_refused(make):
    """A sample with too many channels, or the state of another detector, is a ValueError."""
    with pytest.raises(ValueError, match="sample"):
        make(CHANNELS).step(np.zeros(CHANNELS + 1))
    with pytest.raises(ValueError, match="state"):
        make(CHANNELS).restore(make(CHANNELS + 1).state())


def test_link_failures_are_detected(make):
    """On a simulated backbone every failure and repair is reported within two steps."""
    world = simulate_links("nsfnet", 7, 7, days=9, quiet_days=7)
    steps = {change.step for change in detected(make(world.loads.shape[1]), world.loads)}
    late = [min((s for s in steps if s >= e.step), default=9999) - e.step for e in world.events]
    assert late
    assert max(late) <= 2
