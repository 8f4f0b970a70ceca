"""The contract of anomaly scorers, for every entry of the table."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.anomaly import SCORERS, AnomalyScore, ScoringTask, alarm_starts

FIVE_MINUTES_NS = 300 * 10**9


@pytest.fixture(params=sorted(SCORERS))
def make(request):
    """The constructor of each kind, from channels and a rate."""
    return lambda channels, per_day=1 / 7: SCORERS[request.param](ScoringTask(channels, per_day))


def waves(steps=1_500, channels=1, seed=0):
    """Daily waves of five-minute samples with noise."""
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(steps)[:, None] / 288 + np.arange(channels)
    return 50 + 10 * np.sin(angle) + random.normal(0, 0.5, (steps, channels))


def scored(scorer, values, first=0):
    """The scores of samples five minutes apart."""
    return [
        scorer.step(row, (first + number) * FIVE_MINUTES_NS) for number, row in enumerate(values)
    ]


def test_a_spike_raises_one_alarm_at_once(make):
    """A value far beyond the range raises an alarm at that sample only, named with channel and
    scale."""
    values = waves()
    values[1_200] += 100
    found = scored(make(1), values)
    assert found[1_200].raised
    assert found[1_200].channels == (0,)
    assert found[1_200].scale == 1
    assert found[1_200].p_value < 1e-3
    assert not any(one.raised for one in found[1_201:1_260])


def test_an_unusual_shape_within_the_range_raises_an_alarm(make):
    """Values that jump to and fro within the range are an anomaly of a window."""
    values = waves()
    values[1_200:1_264, 0] = 50 + 7 * (-1.0) ** np.arange(64)
    found = scored(make(1), values)
    raised = [one for one in found[1_200:1_264] if one.raised]
    assert len(raised) == 1
    assert raised[0].scale in {16, 32, 64}


def processes(channels):
    """Normal series, 8,000 samples each: noise, waves, neighbours that are alike, and for one
    channel a random walk.  Several of these exceed it (docs/explanation/anomalies.md)."""
    random = np.random.default_rng(3)
    noise = random.normal(size=(8_000, channels))
    alike = np.zeros((8_000, channels))
    for at in range(1, len(alike)):
        alike[at] = 0.9 * alike[at - 1] + noise[at]
    walk = [np.cumsum(noise, axis=0)] if channels == 1 else []
    return (noise, waves(8_000, channels, 4), alike, *walk)


@pytest.mark.parametrize("channels", [1, 4])
def test_p_values_are_calibrated(make, channels):
    """At most about a share p of the samples of normal series has a p-value up to p, also while
    scores of neighbours are alike."""
    for values in processes(channels):
        found = np.array([one.p_value for one in scored(make(channels), values, 1)[400:]])
        assert found.min() > 0
        assert found.max() <= 1
        for share, excess in ((0.1, 2.0), (0.01, 2.0), (0.001, 3.0)):
            assert (found <= share).mean() <= excess * share
        assert (found <= 0.1).mean() >= 0.05


def test_a_joint_shift_names_its_channels(make):
    """A lasting shift of two of six channels is an alarm that names both first."""
    values = np.random.default_rng(1).normal(0, 1, (900, 6))
    values[700:, [1, 4]] += 6
    found = scored(make(6), values)
    raised = next(at for at, one in enumerate(found) if one.alarm and at >= 700)
    assert raised < 730
    assert set(found[raised + 20].channels[:2]) == {1, 4}


def test_normal_series_stay_quiet(make):
    """At one false alarm a week, 30 days of normal series raise at most ten alarms in all."""
    alarms = sum(one.raised for seed in range(3) for one in scored(make(1), waves(2_880, 1, seed)))
    assert alarms <= 10


def test_a_lower_rate_has_a_higher_limit(make):
    """The limit of the score falls with the chosen rate of false alarms per day."""
    often, seldom = (scored(make(1, rate), waves(1_000))[-1] for rate in (2.0, 1 / 7))
    assert often.limit < seldom.limit
    assert often.score == seldom.score


def test_the_warm_up_is_silent_and_short(make):
    """The first samples have p-value 1 and no alarm; after 300 samples scores differ from 0."""
    found = scored(make(2), waves(400, 2))
    assert found[0] == AnomalyScore(limit=found[0].limit)
    assert not any(one.alarm for one in found[:100])
    assert any(one.score > 0 for one in found[300:])


def test_the_same_samples_give_the_same_scores(make):
    """Equal samples give equal scores, and the samples are not modified."""
    values = waves(600, 3)
    kept = values.copy()
    assert scored(make(3), values) == scored(make(3), values)
    assert np.array_equal(values, kept)


@pytest.mark.parametrize("cut", [5, 130, 470])
def test_a_restored_scorer_continues_identically(make, cut):
    """A scorer saved at any sample and restored elsewhere gives the same scores."""
    values = waves(600, 2)
    values[550] += 30
    whole, first, second = (make(2) for _ in range(3))
    expected = scored(whole, values)
    early = scored(first, values[:cut])
    second.restore(first.state())
    assert [*early, *scored(second, values[cut:], cut)] == expected
    assert all(
        np.array_equal(array, second.state()[name], equal_nan=True)
        for name, array in whole.state().items()
    )


def test_memory_is_bounded(make):
    """The state has the same size after a thousand samples, and that of 512 channels is bounded."""
    scorer = make(1)
    before = sum(array.nbytes for array in scorer.state().values())
    scored(scorer, waves(1_000))
    assert sum(array.nbytes for array in scorer.state().values()) == before < 40_000
    assert sum(array.nbytes for array in make(512).state().values()) < 8 << 20


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, 1e308, -1e308], ids=["nan", "inf", "-inf", "big", "-big"]
)
@pytest.mark.filterwarnings("error")
def test_missing_values_raise_no_alarm(make, bad):
    """Missing and extreme values raise no alarm by themselves, and a later spike still does."""
    values = waves(1_300, 2)
    values[0, 1] = bad
    values[600] = bad
    values[700:703, 1] = bad
    values[1_200] += 100
    found = scored(make(2), values)
    assert not any(one.raised for one in found[600:604] + found[700:703])
    assert found[1_200].raised


@pytest.mark.filterwarnings("error")
def test_constant_channels_raise_no_alarm(make):
    """Constant, zero and missing channels have no anomaly."""
    for values in (np.full((600, 2), 7.0), np.zeros((600, 1)), np.full((600, 3), np.nan)):
        assert not any(one.alarm for one in scored(make(values.shape[1]), values))


def test_samples_without_times_use_a_rate_per_sample(make):
    """Without usable times, the rate is that of five-minute samples."""
    timed, untimed = make(1), make(1)
    values = waves(1_000)
    last = scored(timed, values)[-1]
    assert [untimed.step(row, 0) for row in values][-1] == last


def test_another_shape_is_refused(make):
    """A sample with too many channels, or the state of another scorer, is a ValueError."""
    with pytest.raises(ValueError, match="sample"):
        make(3).step(np.zeros(4), 0)
    with pytest.raises(ValueError, match="state"):
        make(3).restore(make(4).state())


def test_alarms_start_after_a_quiet_time():
    """At a fixed limit, an alarm starts once and again only after 64 quiet samples."""
    scores = [0.0] * 300
    for at in (10, 12, 60, 200):
        scores[at] = 5.0
    assert list(alarm_starts(scores, 4.0)) == [10, 200]
