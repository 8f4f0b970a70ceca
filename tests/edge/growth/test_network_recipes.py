"""Recipes for the training of a forecasting network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.core.forecasting import ForecasterTrainingJob
from edge.storage.network_weights import shipped_weights

pytest.importorskip("torch", reason="torch is not installed")

from edge.growth import forecaster_training as training
from edge.growth.network_recipes import NETWORK_RECIPES, REPLAY
from tests.edge.growth.test_forecaster_training import PERIOD, STEPS, a_stream

FEW = 8


def trained(name: str, stream: training.ForecastTrainingSet) -> dict[str, np.ndarray]:
    """The shipped network after a few steps by a recipe; its file holds arrays in any order."""
    start, recipe = shipped_weights("cfc"), NETWORK_RECIPES[name]
    made = training.train_network("cfc", [stream], [1.0], FEW, 3, start=start, recipe=recipe)
    return dict(made)


@pytest.fixture(scope="module")
def stream() -> training.ForecastTrainingSet:
    """The training set of one stream."""
    return training.make_training_set(a_stream(1), np.full(STEPS, 3600.0), PERIOD)


@pytest.mark.parametrize("name", NETWORK_RECIPES)
def test_equal_arguments_give_equal_bits(name, stream):
    """Each recipe gives finite arrays, the same bits again, and others than the start."""
    made, again = trained(name, stream), trained(name, stream)
    assert all(np.isfinite(array).all() for array in made.values())
    assert all(np.array_equal(made[one], again[one]) for one in made)
    assert any(not np.array_equal(made[one], shipped_weights("cfc")[one]) for one in made)


@pytest.mark.parametrize("name", NETWORK_RECIPES)
def test_rates_are_shares(name):
    """A rate for each step, between 0 and 1; None leaves the schedule to torch."""
    for steps in (2, 9, 400):
        rates = NETWORK_RECIPES[name].rates(steps)
        assert rates is None or (len(rates) == steps and 0 < min(rates) <= max(rates) <= 1)


@pytest.mark.parametrize("name", NETWORK_RECIPES)
def test_windows_stay_inside(name):
    """The first sample of a window is one of those asked for, at every step."""
    random = np.random.default_rng(0)
    for length in (1, 2, 50):
        for step in range(40):
            low, high = NETWORK_RECIPES[name].window_range(length, step, 40, random)
            assert 0 <= low < high <= length


def test_old_windows_come_first():
    """The second half sees new windows, and now and then any."""
    random, recipe = np.random.default_rng(0), NETWORK_RECIPES["rewarm"]
    early = {recipe.window_range(100, step, 2_000, random) for step in range(1_000)}
    late = [recipe.window_range(100, step, 2_000, random) for step in range(1_000, 2_000)]
    assert early == {(0, 75)}
    assert set(late) == {(75, 100), (0, 100)}
    assert late.count((0, 100)) / 1_000 == pytest.approx(REPLAY, abs=0.03)


def test_the_warm_up_moves_the_readout_alone(stream):
    """In the first tenth of the steps the network's other parameters stay as they are."""
    recipe, start = NETWORK_RECIPES["warm-start"], shipped_weights("cfc")
    assert [recipe.frozen("ff1.weight", step, 20) for step in range(3)] == [True, True, False]
    assert not recipe.frozen("readout.bias", 0, 20)
    made = training.train_network("cfc", [stream], [1.0], 1, 3, start=start, recipe=recipe)
    moved = {name for name in made if not np.array_equal(made[name], start[name])}
    assert moved == {"readout.weight", "readout.bias"}


def test_an_unknown_recipe_is_refused():
    """The error names the recipes that exist."""
    job = ForecasterTrainingJob(
        kind="cfc",
        start=shipped_weights("cfc"),
        values=a_stream(1),
        elapsed_s=np.full(STEPS, 3600.0),
        period=PERIOD,
        seed=1,
        rounds=2,
    )
    with pytest.raises(ValueError, match="plain, rewarm"):
        training.train_forecaster(replace(job, recipe="unheard-of"))
