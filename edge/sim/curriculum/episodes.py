"""One world of a curriculum, run by the simulator with all its checks."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

import numpy as np

import encoder

from ...core import ConfigError
from ..checkers import BrokenPromiseError
from ..harness import run_scenario
from ..recording import RunRecording
from ..scenarios import Scenario
from ..sweep import make_card
from ..world import build_world
from .box import Point

Cell = tuple[int, ...]
"""What happened in a world, coarsely: worlds of one cell are of one kind."""

BINS: Final = 5
"""Bins of each share in a cell, and the largest number of opened domains with a cell of its own.
Chosen by hand."""

SHARES: Final = (
    "average_accuracy",
    "online_accuracy",
    "detection_rate",
    "false_alarm_rate",
    "abstention",
)
"""Figures of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A world and its outcome.

    reward: mean of the accuracy while it ran and of that over taught domains at the end, as far as
    they are defined; 0 after a defect.  cell: coarse outcome.  defect: the broken promise, or the
    error, '' for none.
    """

    point: Point = field(repr=False)
    reward: float
    cell: Cell
    defect: str = ""


class EpisodeRunner:
    """Runs worlds of one scenario with one seed, so that the same point has the same outcome."""

    def __init__(self, base: Scenario, seed: int) -> None:
        self._model = encoder.open_model(make_card(base))
        self._seed = seed

    def __call__(self, world: Scenario, point: Point) -> Episode:
        """Run a world.  Raises ConfigError where its sources have too few samples."""
        return judge(point, lambda: self._run(world))

    def close(self) -> None:
        """Close the model."""
        self._model.close()

    def _run(self, world: Scenario) -> RunRecording:
        return run_scenario(world, build_world(world, self._seed), self._model, self._seed)


def judge(point: Point, run: Callable[[], RunRecording]) -> Episode:
    """Return the outcome of a run: a broken promise and an unexpected error are defects alike."""
    try:
        recording = run()
    except ConfigError:
        raise
    except BrokenPromiseError as error:
        return Episode(point=point, reward=0.0, cell=(-1,), defect=str(error).splitlines()[0])
    except Exception as error:  # noqa: BLE001  the search is for errors that nobody expects
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{PurePath(place.filename).name}, {place.name}"
        defect = f"{type(error).__name__} in {where}: {error}".splitlines()[0]
        return Episode(point=point, reward=0.0, cell=(-1,), defect=defect)
    metrics = recording.metrics
    rewards = [metrics[name] for name in ("average_accuracy", "online_accuracy")]
    reward = float(np.mean([one for one in rewards if one is not None] or [0.0]))
    opened = min(int(metrics["domains_opened"] or 0), BINS)
    cell = (*(_bin(metrics[name]) for name in SHARES), opened)
    return Episode(point=point, reward=reward, cell=cell)


def _bin(share: float | None) -> int:
    return -1 if share is None else min(int(share * BINS), BINS - 1)
