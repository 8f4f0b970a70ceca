"""The interface of forecasters: task, forecast, and the limits of both."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..structs import FrozenStruct

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]

HORIZONS: Final = (1, 6, 12)
"""Default horizons in steps: those at which the shipped networks were trained."""

HORIZON_MAX: Final = 288
"""Longest horizon: a day of five-minute samples.  Experts keep their inputs for that long."""

HORIZONS_MAX: Final = 8
"""Most horizons of one forecaster: memory and time grow with them.  Chosen by hand; effect not
measured."""

CHANNELS_MAX: Final = 4_096
"""Most channels of one forecaster: memory and time grow with them.  Chosen by hand; effect not
measured."""

PERIOD_MAX: Final = 2_048
"""Longest season in steps: a week of five-minute samples is 2,016."""


class ForecastTask(FrozenStruct, frozen=True):
    """A forecasting task.

    channels: C, 1 to CHANNELS_MAX.  horizons: steps ahead, ascending, up to HORIZON_MAX.  seed: of
    random reservoirs.  period: steps of a season, 2 to PERIOD_MAX, or None to find the day from the
    sampling interval.  weights: arrays of a trained network by name, for the kinds that have one.
    Raises ConfigError for values outside these limits.
    """

    channels: int
    horizons: tuple[int, ...] = HORIZONS
    seed: int = 1
    period: int | None = None
    weights: State | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for an invalid task."""
        ahead = self.horizons
        rising = ahead == tuple(sorted(set(ahead))) and 1 <= len(ahead) <= HORIZONS_MAX
        _require(1 <= self.channels <= CHANNELS_MAX, f"1 to {CHANNELS_MAX} channels", self.channels)
        _require(
            rising and ahead[0] >= 1 and ahead[-1] <= HORIZON_MAX,
            f"1 to {HORIZONS_MAX} ascending horizons of 1 to {HORIZON_MAX} steps",
            ahead,
        )
        _require(
            self.period is None or 2 <= self.period <= PERIOD_MAX,
            f"a season of 2 to {PERIOD_MAX} steps",
            self.period,
        )


class Forecast(FrozenStruct, frozen=True, eq=False):
    """The forecast at each horizon: point, low and high, float64 [H, C] in the unit of the samples;
    NaN for channels without a value so far.  Nine of ten outcomes should lie from low to high."""

    horizons: tuple[int, ...]
    point: Floats
    low: Floats
    high: Floats


class Forecaster(Protocol):
    """Learns from each sample, then forecasts.  Outcomes for horizon h are learned h steps late."""

    def step(self, values: Floats, elapsed_s: float) -> Forecast:
        """Learn from one sample and forecast.

        values: float64 [C], NaN or infinite where missing; the array is neither kept nor changed.
        elapsed_s: seconds since the previous sample.  Raises ValueError for another shape.
        """

    def state(self) -> State:
        """Return everything learned as arrays of a bounded size; copies."""

    def restore(self, state: State) -> None:
        """Continue from a state.  Raises StateError for the state of another task."""


def _require(valid: object, expected: str, found: object) -> None:
    if not valid:
        raise ConfigError(
            f"making a forecaster: expected {expected}, found {found!r}", "correct the task"
        )
