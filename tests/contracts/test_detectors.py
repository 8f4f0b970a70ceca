"""What every detector of changes promises: crossed with the whole table."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.drift.kinds import DETECTORS
from edge.sim.links.simulator import simulate_links

CHANNELS = 8
# The test with a budget compares ranks: it has to see many samples before it can be sure of one.
JUMP = 900


@pytest.fixture(params=sorted(DETECTORS))
def make(request):
    """Makes a detector of each kind."""
    return DETECTORS[request.param]


def stream(seed=0, steps=1_200, jumps=(JUMP,)):
    """Eight sensors around 100 that wander a little; at each jump half of them move for good."""
    random = np.random.default_rng(seed)
    values = 100 + np.cumsum(random.normal(0, 0.1, (steps, CHANNELS)), axis=0)
    values += random.normal(0, 0.5, values.shape)
    for at in jumps:
        values[at:, :4] += np.array([20.0, -20.0, 30.0, -15.0])
    return values


def told(detector, values):
    """Every change that a detector names."""
    return [change for sample in values for change in detector.step(sample)]


def test_a_jump_is_named_at_once(make):
    """A jump of half the sensors is named within two steps, with its start and its channels."""
    found = told(make(CHANNELS), stream())
    assert JUMP in [change.start for change in found]
    change = next(change for change in found if change.start == JUMP)
    assert change.step <= JUMP + 2
    assert change.channels == (0, 1, 2, 3)
    assert 0.1 < change.severity < 0.4
    assert change.regime == 1


def test_a_quiet_stream_is_left_alone(make):
    """Over 10,000 steps without a change there are at most five false alarms in a thousand."""
    alarms = sum(len(told(make(CHANNELS), stream(seed, 2_000, ()))) for seed in range(5))
    assert alarms <= 50


def test_the_same_samples_give_the_same_changes(make):
    """A detector has no randomness of its own, and leaves the samples as they are."""
    values = stream()
    kept = values.copy()
    assert told(make(CHANNELS), values) == told(make(CHANNELS), values)
    assert np.array_equal(values, kept)


def test_a_restored_detector_goes_on_as_if_nothing_had_happened(make):
    """Saved just after a jump and restored elsewhere, it names the same changes to the last bit."""
    values = stream(jumps=(JUMP, 1_020))
    whole, first, second = (make(CHANNELS) for _ in range(3))
    expected = told(whole, values)
    early = told(first, values[: JUMP + 1])
    second.restore(first.state())
    assert [*early, *told(second, values[JUMP + 1 :])] == expected
    assert all(
        np.array_equal(array, second.state()[name], equal_nan=True)
        for name, array in whole.state().items()
    )


def test_memory_is_bounded(make):
    """The state is as large after a thousand samples as before the first."""
    detector = make(CHANNELS)
    before = sum(array.nbytes for array in detector.state().values())
    told(detector, stream(steps=1_000))
    assert sum(array.nbytes for array in detector.state().values()) == before < 100_000


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, 1e308, -1e308], ids=["nan", "inf", "-inf", "big", "-big"]
)
@pytest.mark.filterwarnings("error")
def test_bad_values_never_poison_it(make, bad):
    """Values that are missing or absurd name no change, and the next jump is found all the same."""
    values = stream()
    values[50] = bad
    values[200:205, 2] = bad
    values[250, ::2] = bad
    found = told(make(CHANNELS), values)
    after = {at + late for at in (50, *range(200, 206), 250) for late in range(4)}
    assert [change for change in found if change.step in after] == []
    assert any(JUMP <= change.step <= JUMP + 2 for change in found)


@pytest.mark.filterwarnings("error")
def test_dull_streams_are_no_change(make):
    """Constant channels, channels that never come, one channel alone: nothing to name."""
    assert told(make(3), np.full((300, 3), 7.0)) == []
    assert told(make(3), np.zeros((300, 3))) == []
    assert told(make(3), np.full((300, 3), np.nan)) == []
    alone = stream(steps=400, jumps=())[:, :1]
    assert len(told(make(1), alone)) <= 2


def test_a_state_that_comes_back_is_recognised(make):
    """A change and its undoing lead back to the first state, the same change again to the same."""
    values = stream(3, 1_400, ())
    for at in (900, 1_100):
        values[at : at + 100, :4] += np.array([60.0, -60.0, 90.0, -50.0])
    found = told(make(CHANNELS), values)
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


def test_failures_of_links_are_found(make):
    """On a simulated backbone every failure and repair is named within two steps."""
    world = simulate_links("nsfnet", 7, 7, days=9, quiet_days=7)
    steps = {change.step for change in told(make(world.loads.shape[1]), world.loads)}
    late = [min((s for s in steps if s >= e.step), default=9999) - e.step for e in world.events]
    assert late
    assert max(late) <= 2
