"""One world of a curriculum, run by the simulator with all its checks."""

import traceback
from collections import OrderedDict
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
from ..replay import payload_key
from ..scenarios import Scenario
from ..sweep import make_card
from ..world import build_world
from .box import Point

Cell = tuple[int, ...]
"""What happened in a world, coarsely: worlds of one cell are of one kind."""

BINS: Final = 5
"""Bins of each share in a cell, and the largest number of opened domains with a cell of its own.
Chosen by hand."""

REMEMBERED_MAX: Final = 4_096
"""Payloads whose features are kept: 11 MB with the default encoder's 2,688 columns, and more than
the samples of a few episodes."""

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


class RememberedModel:
    """An encoder that keeps the features of its last `REMEMBERED_MAX` payloads by content: worlds
    share samples, and a world encodes its held-out ones several times."""

    def __init__(self, model: encoder.Model) -> None:
        self._model = model
        self._kept: OrderedDict[bytes, encoder.Features] = OrderedDict()

    @property
    def card(self) -> encoder.Card:
        """The card of the model."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Return the features of a payload; passes on the model's exceptions."""
        if not isinstance(payload, bytes | np.ndarray):
            return self._model.encode(payload)
        key = payload_key(payload)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        features = self._kept[key] = self._model.encode(payload)
        if len(self._kept) > REMEMBERED_MAX:
            self._kept.popitem(last=False)
        return features

    def close(self) -> None:
        """Close the model."""
        self._model.close()


class EpisodeRunner:
    """Runs worlds of one scenario with one seed, so that the same point has the same outcome."""

    def __init__(self, base: Scenario, seed: int) -> None:
        self._model = RememberedModel(encoder.open_model(make_card(base)))
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
