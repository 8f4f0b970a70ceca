"""What every forecaster takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]

HORIZONS: Final = (1, 6, 12)
"""Steps ahead, unless asked otherwise."""

HORIZON_MAX: Final = 288
"""Longest horizon: a day of five-minute samples.  Predictions wait that long for their truth."""

HORIZONS_MAX: Final = 8
"""Most horizons of one forecaster."""

CHANNELS_MAX: Final = 4_096
"""Most channels of one forecaster."""

PERIOD_MAX: Final = 2_048
"""Longest season in steps: a week of five-minute samples is 2,016."""


@dataclass(frozen=True, slots=True)
class ForecastTask:
    """What is to be forecast.

    channels: C, 1 to CHANNELS_MAX.  horizons: steps ahead, ascending, up to HORIZON_MAX.  seed: of
    random reservoirs.  period: steps a season has, 2 to PERIOD_MAX, where it is known.  weights:
    arrays of a trained network by name, for the kinds that have one.  Raises ConfigError.
    """

    channels: int
    horizons: tuple[int, ...] = HORIZONS
    seed: int = 1
    period: int | None = None
    weights: State | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for a task that cannot be done."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Values expected at each horizon: point, low and high, float64 [H, C] in the unit of the
    samples.  NaN where a channel has nothing to say yet."""

    horizons: tuple[int, ...]
    point: Floats
    low: Floats
    high: Floats


class Forecaster(Protocol):
    """Learns from each sample, then forecasts.  The truth for horizon h is learned h steps late."""

    def step(self, values: Floats, elapsed_s: float) -> Forecast:
        """Take one sample: float64 [C], NaN or infinite where missing; elapsed_s: seconds since the
        one before.  The array is not kept or changed.  Raises ValueError for another shape."""

    def state(self) -> State:
        """Return all that it has learned, as arrays of a bounded size; copies."""

    def restore(self, state: State) -> None:
        """Go on where `state` was taken.  Raises ValueError for the state of another task."""


def _require(fine: object, expected: str, found: object) -> None:
    if not fine:
        raise ConfigError(
            f"making a forecaster: expected {expected}, found {found!r}", "correct the task"
        )
