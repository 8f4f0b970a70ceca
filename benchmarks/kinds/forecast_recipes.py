"""Recipes for the training of a stream's own network, against today's training and the network that
is shipped.

Each recording is learned up to its last fifth, in order of time, and forecast from there on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.growth import (
    NETWORK_RECIPES,
    ForecastTrainingSet,
    make_training_set,
    predict_network,
    train_network,
)
from edge.storage import shipped_weights

from ..forecast.data import load_streams
from ..report import BenchmarkReport, BenchmarkRow

GROUPS: Final = ("etth1", "elec2", "isp")
"""Measured streams that are long enough for an old and a new part: power, prices, link loads."""
SEEDS: Final = (0, 1, 2)
"""Of the draw of windows."""
ROUNDS: Final = 200
"""Training steps: half of those of `auricle train`, for the time that it takes."""
KIND: Final = "cfc"
"""The network that is shipped as the default."""
STEPS_MAX: Final = 6_000
"""Newest samples of a stream that are used.  Bounds the run time."""
SHARE: Final = 0.8
"""Share of a recording that is learned: that of `auricle train`."""
PLAIN: Final = "plain"
"""The recipe of today's training, the rival of all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOutcome:
    """Mean error over horizons on the last fifth of a stream, relative to that of the last value,
    by a recipe; plain: by plain training from the same seed; shipped: of the network before
    training."""

    recipe: str
    stream: str
    seed: int
    error: float
    plain: float
    shipped: float


def run(data: Path | None) -> BenchmarkReport:
    """Run all recipes, streams and seeds: about six minutes of processor time."""
    found = list(forecast_recipe_rows(data))
    rows, summary = [], {}
    for recipe in NETWORK_RECIPES:
        mine = [one for one in found if one.recipe == recipe]
        for stream in dict.fromkeys(one.stream for one in mine):
            errors = [one.error for one in mine if one.stream == stream]
            rows.append(BenchmarkRow(recipe, f"relative_error_{stream}", float(np.mean(errors))))
        ratios = [one.error / one.plain for one in mine]
        summary[f"ratio_to_plain_{recipe}"] = float(np.mean(ratios)) if ratios else float("nan")
    for stream, error in {one.stream: one.shipped for one in found}.items():
        rows.append(BenchmarkRow("shipped", f"relative_error_{stream}", error))
    return BenchmarkReport("network-recipes", tuple(rows), summary, ())


def forecast_recipe_rows(
    data: Path | None, seeds: Sequence[int] = SEEDS
) -> Iterator[ForecastOutcome]:
    """Yield the outcome of every recipe on every available stream and seed."""
    streams = [one for one in load_streams(data, quick=True)[0] if one.group in GROUPS]
    start = shipped_weights(KIND)
    for stream in streams:
        values, elapsed = stream.values[-STEPS_MAX:], stream.elapsed_s[-STEPS_MAX:]
        whole = make_training_set(values, elapsed, stream.period)
        shipped = _error(start, whole)
        for seed in seeds:
            plain = float("nan")
            for name, recipe in NETWORK_RECIPES.items():
                first = _first(whole)
                made = train_network(KIND, [first], [1.0], ROUNDS, seed, start=start, recipe=recipe)
                error = _error(made, whole)
                plain = error if name == PLAIN else plain
                yield ForecastOutcome(
                    recipe=name,
                    stream=stream.name,
                    seed=seed,
                    error=error,
                    plain=plain,
                    shipped=shipped,
                )


def _first(whole: ForecastTrainingSet) -> ForecastTrainingSet:
    """Return all but the last fifth, which `auricle train` keeps for its verdict, too."""
    cut = int(SHARE * len(whole.inputs))
    return ForecastTrainingSet(whole.inputs[:cut], whole.ratios[:cut], whole.targets[:cut])


def _error(arrays: Mapping[str, NDArray[np.float32]], whole: ForecastTrainingSet) -> float:
    """Return the mean error on the last fifth, relative to that of the last value."""
    cut = int(SHARE * len(whole.inputs))
    expected = whole.targets[cut:]
    errors = np.abs(predict_network(KIND, arrays, whole)[cut:] - expected)
    by_horizon = np.nanmean(errors, axis=(0, 1)) / np.nanmean(np.abs(expected), axis=(0, 1))
    return float(by_horizon.mean())
