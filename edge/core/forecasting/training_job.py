"""What leaves the core to train a stream's own network, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from numpy.typing import NDArray

STUDY_STEPS_MIN: Final = 300
"""Samples of a recording, at least: a fifth of them judges."""
STUDY_STEPS_MAX: Final = 200_000
STUDY_VALUES_MAX: Final = 2_000_000
"""Samples times channels, at most: 200 MB in the worker."""


@dataclass(frozen=True, slots=True, eq=False)
class ForecasterTrainingJob:
    """A recorded stream to train a network on.

    kind: "cfc" or "gru".  start: arrays to go on from.  values: float64 [steps, channels], NaN
    where missing; elapsed_s: float64 [steps], seconds since the sample before.  period: steps of a
    season, 0 where none is known.  rounds: steps of training.
    """

    kind: str
    start: Mapping[str, NDArray[Any]] = field(repr=False)
    values: NDArray[Any] = field(repr=False)
    elapsed_s: NDArray[Any] = field(repr=False)
    period: int
    seed: int
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class ForecasterTrainingResult:
    """What became of a study.  arrays: the trained network, empty where it failed or did no better
    than the one it started from; reason: why.  own, start: mean |error| on the held-out last fifth
    over that of last value, at each of the network's horizons; empty where it failed."""

    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    reason: str
    own: tuple[float, ...] = ()
    start: tuple[float, ...] = ()
