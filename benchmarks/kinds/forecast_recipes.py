"""Recipes for the training of a stream's own network, against today's training and the network that
is shipped.

Each recording is learned up to its last fifth, in order of time, and forecast from there on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge.core.forecasting import ForecasterTrainingJob
from edge.growth import NETWORK_RECIPES, train_forecaster
from edge.storage import shipped_weights

from ..forecast.data import BenchmarkStream, load_streams

GROUPS: Final = ("nsfnet", "etth1", "elec2", "isp")
"""Streams that are long enough for an old and a new part.  Links, power and prices drift."""
SEEDS: Final = (0, 1, 2)
"""Of the draw of windows."""
ROUNDS: Final = 400
"""Training steps: those of `auricle train` (edge/home/train_forecaster.py)."""
KIND: Final = "cfc"
"""The network that is shipped as the default."""
STEPS_MAX: Final = 8_000
"""Newest samples of a stream that are used.  Bounds the run time."""


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


def forecast_recipe_rows(
    data: Path | None, seeds: Sequence[int] = SEEDS
) -> Iterator[ForecastOutcome]:
    """Yield the outcome of every recipe on every available stream and seed.  Cost: about ten
    seconds each."""
    streams = [one for one in load_streams(data, quick=True)[0] if one.group in GROUPS]
    for stream in streams:
        for seed in seeds:
            found = {name: _errors(stream, name, seed) for name in NETWORK_RECIPES}
            for name, (error, shipped) in found.items():
                yield ForecastOutcome(
                    recipe=name,
                    stream=stream.name,
                    seed=seed,
                    error=error,
                    plain=found["plain"][0],
                    shipped=shipped,
                )


def _errors(stream: BenchmarkStream, recipe: str, seed: int) -> tuple[float, float]:
    """Return the errors of the trained and of the shipped network."""
    job = ForecasterTrainingJob(
        kind=KIND,
        start=shipped_weights(KIND),
        values=stream.values[-STEPS_MAX:],
        elapsed_s=stream.elapsed_s[-STEPS_MAX:],
        period=stream.period,
        seed=seed,
        rounds=ROUNDS,
        recipe=recipe,
    )
    made = train_forecaster(job)
    return float(np.mean(made.own)), float(np.mean(made.start))
