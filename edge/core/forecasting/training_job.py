"""The training job of a stream's own network, sent to the worker process, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from numpy.typing import NDArray

RECORDING_STEPS_MIN: Final = 300
"""Fewest samples of a recording: the last fifth of it, 60 samples, evaluates the network.  Chosen
by hand; effect not measured."""
RECORDING_STEPS_MAX: Final = 200_000
"""Most samples of a recording: the worker computes the inputs of each in a loop.  Chosen by hand;
effect not measured."""
RECORDING_VALUES_MAX: Final = 2_000_000
"""Most samples times channels: 200 MB in the worker."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ForecasterTrainingJob:
    """A recorded stream to train a network on.

    kind: "cfc" or "gru".  start: initial arrays.  values: float64 [steps, channels], NaN where
    missing; elapsed_s: float64 [steps], seconds since the previous sample.  period: steps of a
    season, 0 where unknown.  rounds: training steps.  recipe: a name of `edge.growth`'s
    NETWORK_RECIPES.
    """

    kind: str
    start: Mapping[str, NDArray[Any]] = field(repr=False)
    values: NDArray[Any] = field(repr=False)
    elapsed_s: NDArray[Any] = field(repr=False)
    period: int
    seed: int
    rounds: int
    recipe: str = "plain"


@dataclass(frozen=True, slots=True, eq=False)
class ForecasterTrainingResult:
    """The result of a training job.

    arrays: the trained network; empty where training failed or did not improve on the initial
    arrays.  reason: why.  own, start: mean absolute error of the trained and of the initial network
    on the held-out last fifth, relative to that of the last value, at each of the network's
    horizons; empty where training failed.
    """

    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    reason: str
    own: tuple[float, ...] = ()
    start: tuple[float, ...] = ()
