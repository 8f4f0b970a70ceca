"""Training of the forecasting networks."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.forecasting.experts.cells import CELLS
from edge.core.forecasting.history import INPUTS, SEASON_STEPS
from edge.storage.network_weights import SHIPPED, shipped_weights

pytest.importorskip("torch", reason="torch is not installed")
training = pytest.importorskip("edge.growth.forecaster_training")

STEPS, PERIOD = 900, 24


def a_stream(seed: int, channels: int = 3) -> np.ndarray:
    """Seasons with noise, a jump, and missing values."""
    random = np.random.default_rng(seed)
    at = 2 * np.pi * np.arange(STEPS)[:, None] / PERIOD
    made = 50 + 10 * np.sin(at + np.arange(channels)) + random.normal(0, 0.5, (STEPS, channels))
    made[600:] += 40
    made[300:305, 0] = np.nan
    return made


@pytest.fixture(scope="module")
def stream():
    """The training set of one stream."""
    return training.make_training_set(a_stream(1), np.full(STEPS, 3600.0), PERIOD)


def test_targets_lead_to_later_values(stream):
    """A target has the sign of the movement over its horizon, and is NaN across jumps, missing
    values and the end."""
    values = a_stream(1)
    assert stream.inputs.shape == (STEPS, 3, len(INPUTS))
    for place, ahead in enumerate(SEASON_STEPS):
        given = stream.targets[:, :, place]
        moved = values[ahead:] - values[:-ahead]
        same = np.sign(given[:-ahead]) == np.sign(moved)
        assert same[~np.isnan(given[:-ahead])].all()
        assert np.isnan(given[600 - ahead : 600]).all()
        assert np.isnan(given[300 - ahead : 305, 0]).all()
        assert np.isnan(given[-ahead:]).all()
        assert np.isfinite(given[700 : STEPS - ahead]).all()


@pytest.mark.parametrize("kind", SHIPPED)
def test_serving_equals_training(kind, stream):
    """The serving cells give the outputs of the trained network."""
    arrays = shipped_weights(kind)
    few = training.ForecastTrainingSet(
        stream.inputs[:150], stream.ratios[:150], stream.targets[:150]
    )
    expected = training.predict_network(kind, arrays, few)
    cell = CELLS[kind](arrays, 3)
    for step in range(150):
        state = cell.step(stream.inputs[step], float(stream.ratios[step]))
        made = state @ arrays["readout.weight"].T + arrays["readout.bias"]
        np.testing.assert_allclose(made, expected[step], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", SHIPPED)
def test_training_repeats_and_learns(kind, stream):
    """A seed gives the same bits again, another seed others, and errors fall below the last
    value's."""
    short = [training.train_network(kind, [stream], [1.0], 2, seed) for seed in (3, 3, 4)]
    assert all((short[0][name] == short[1][name]).all() for name in short[0])
    assert any((short[0][name] != short[2][name]).any() for name in short[0])
    made = training.train_network(kind, [stream], [1.0], 10, 3)
    few = training.ForecastTrainingSet(
        stream.inputs[:250], stream.ratios[:250], stream.targets[:250]
    )
    errors = np.abs(training.predict_network(kind, made, few) - few.targets)
    assert np.nanmean(errors[50:]) < 0.9 * np.nanmean(np.abs(few.targets[50:]))


@pytest.mark.parametrize("kind", SHIPPED)
def test_the_shipped_networks_forecast(kind):
    """On an unseen stream the shipped networks beat the last value at each horizon."""
    fresh = training.make_training_set(a_stream(9), np.full(STEPS, 3600.0), PERIOD)
    errors = np.abs(training.predict_network(kind, shipped_weights(kind), fresh) - fresh.targets)[
        100:
    ]
    baseline = np.nanmean(np.abs(fresh.targets[100:]), axis=(0, 1))
    assert (np.nanmean(errors, axis=(0, 1)) < [0.95, 0.6, 0.6] * baseline).all()
