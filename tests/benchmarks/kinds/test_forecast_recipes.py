"""The rows of the recipes for forecasting networks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from benchmarks.kinds import forecast_recipes
from edge.growth import NETWORK_RECIPES
from tests.edge.growth.test_forecaster_training import PERIOD, STEPS, a_stream


def test_every_recipe_meets_plain_training(monkeypatch):
    """Each recipe has an outcome on each stream that was chosen, with plain training as rival."""
    series = SimpleNamespace(
        group="isp",
        name="isp",
        values=a_stream(1),
        elapsed_s=np.full(STEPS, 3600.0),
        period=PERIOD,
    )
    other = SimpleNamespace(group="nab")
    monkeypatch.setattr(forecast_recipes, "load_streams", lambda *_, **__: ([series, other], []))
    monkeypatch.setattr(forecast_recipes, "ROUNDS", 4)
    rows = list(forecast_recipes.forecast_recipe_rows(None, seeds=(1,)))
    assert [one.recipe for one in rows] == list(NETWORK_RECIPES)
    assert {one.plain for one in rows} == {rows[0].error}
    assert all(0 < one.error < 2 for one in rows)
