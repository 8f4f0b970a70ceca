"""Training of the forecasting networks."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.forecasting.experts.cells import CELLS
from edge.core.forecasting.history import INPUTS, SEASON_STEPS
from edge.storage.network_weights import SHIPPED, shipped_weights

pytest.importorskip("torch", reason="torch is not installed")
liquid = pytest.importorskip("edge.growth.liquid_training")

STEPS, PERIOD = 900, 24


def a_stream(seed: int, channels: int = 3) -> np.ndarray:
    """Seasons with noise, a jump, and a hole."""
    random = np.random.default_rng(seed)
    at = 2 * np.pi * np.arange(STEPS)[:, None] / PERIOD
    made = 50 + 10 * np.sin(at + np.arange(channels)) + random.normal(0, 0.5, (STEPS, channels))
    made[600:] += 40
    made[300:305, 0] = np.nan
    return made


@pytest.fixture(scope="module")
def lessons():
    """The lessons of one stream."""
    return liquid.make_lessons(a_stream(1), np.full(STEPS, 3600.0), PERIOD)


def test_targets_are_what_came(lessons):
    """A target times unit and root of the steps leads from a value to the one some steps on; none
    leads over a jump or a hole or past the end."""
    values = a_stream(1)
    assert lessons.inputs.shape == (STEPS, 3, len(INPUTS))
    for place, ahead in enumerate(SEASON_STEPS):
        given = lessons.targets[:, :, place]
        way = values[ahead:] - values[:-ahead]
        same = np.sign(given[:-ahead]) == np.sign(way)
        assert same[~np.isnan(given[:-ahead])].all()
        assert np.isnan(given[600 - ahead : 600]).all()
        assert np.isnan(given[300 - ahead : 305, 0]).all()
        assert np.isnan(given[-ahead:]).all()
        assert np.isfinite(given[700 : STEPS - ahead]).all()


@pytest.mark.parametrize("kind", SHIPPED)
def test_what_is_trained_is_what_serves(kind, lessons):
    """The cells that serve give the outputs of the network that was trained."""
    arrays = shipped_weights(kind)
    few = liquid.Lessons(lessons.inputs[:150], lessons.ratios[:150], lessons.targets[:150])
    wanted = liquid.predict(kind, arrays, few)
    cell = CELLS[kind](arrays, 3)
    for step in range(150):
        state = cell.step(lessons.inputs[step], float(lessons.ratios[step]))
        made = state @ arrays["readout.weight"].T + arrays["readout.bias"]
        np.testing.assert_allclose(made, wanted[step], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", SHIPPED)
def test_training_repeats_and_learns(kind, lessons):
    """A seed gives the same bits again, another seed others, and errors fall below last value's."""
    short = [liquid.train_network(kind, [lessons], [1.0], 2, seed) for seed in (3, 3, 4)]
    assert all((short[0][name] == short[1][name]).all() for name in short[0])
    assert any((short[0][name] != short[2][name]).any() for name in short[0])
    made = liquid.train_network(kind, [lessons], [1.0], 10, 3)
    few = liquid.Lessons(lessons.inputs[:250], lessons.ratios[:250], lessons.targets[:250])
    apart = np.abs(liquid.predict(kind, made, few) - few.targets)
    assert np.nanmean(apart[50:]) < 0.9 * np.nanmean(np.abs(few.targets[50:]))


@pytest.mark.parametrize("kind", SHIPPED)
def test_the_shipped_networks_forecast(kind):
    """On a stream that nobody trained on, the shipped networks beat last value at each horizon."""
    fresh = liquid.make_lessons(a_stream(9), np.full(STEPS, 3600.0), PERIOD)
    apart = np.abs(liquid.predict(kind, shipped_weights(kind), fresh) - fresh.targets)[100:]
    usual = np.nanmean(np.abs(fresh.targets[100:]), axis=(0, 1))
    assert (np.nanmean(apart, axis=(0, 1)) < [0.95, 0.6, 0.6] * usual).all()
