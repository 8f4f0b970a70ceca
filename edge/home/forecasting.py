"""What `auricle forecast` does: rows in, forecasts and changes out, and how good they were."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError
from ..core.drift import DETECTORS, DetectedChange, default_detector
from ..core.forecasting import FORECASTERS, Forecast, ForecastTask
from ..datasets import Row
from ..storage import read_weights, shipped_weights

Floats = NDArray[np.float64]

DEFAULT: Final = "pool"


@dataclass(frozen=True, slots=True)
class ForecastOptions:
    """How to forecast: a kind of the table, steps ahead, steps of a season, a file of weights; and
    which detector of changes, None for what suits the number of channels."""

    kind: str = DEFAULT
    horizons: tuple[int, ...] = (1, 6, 12)
    period: int | None = None
    weights: Path | None = None
    detector: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRow:
    """What is expected after row `row` (from 0), and what changed in it.  after_s: seconds since
    the first row."""

    row: int
    values: Floats
    forecast: Forecast
    changes: tuple[DetectedChange, ...]
    after_s: float


class ForecastScore:
    """How good forecasts were so far, by horizon: mean absolute errors, the last value's, and the
    share of values inside the interval.  Memory: the longest horizon."""

    def __init__(self, horizons: tuple[int, ...]) -> None:
        self._horizons = horizons
        self._waiting: deque[ForecastRow] = deque(maxlen=horizons[-1])
        # Rows: sum of errors, of the last value's, of values inside, of values with an interval.
        self._sums = np.zeros((4, len(horizons)))
        self._count = np.zeros(len(horizons))

    def take(self, look: ForecastRow) -> None:
        """Judge the forecasts that were made for this row, and keep its own."""
        truth = look.values
        for place, ahead in enumerate(self._horizons):
            if len(self._waiting) >= ahead:
                made = self._waiting[-ahead]
                point, last = made.forecast.point[place], made.values
                told = np.isfinite(truth) & np.isfinite(point) & np.isfinite(last)
                low, high = made.forecast.low[place], made.forecast.high[place]
                bounded = told & np.isfinite(low) & np.isfinite(high)
                inside = bounded & (low <= truth) & (truth <= high)
                self._sums[:, place] += (
                    np.abs(point - truth)[told].sum(),
                    np.abs(last - truth)[told].sum(),
                    inside.sum(),
                    bounded.sum(),
                )
                self._count[place] += told.sum()
        self._waiting.append(look)

    def figures(self) -> list[dict[str, float | int | None]]:
        """A dictionary a horizon: `horizon`, `mae`, `mae_last_value`, `coverage`, `values`; None
        where nothing could be judged."""
        rows = []
        for place, ahead in enumerate(self._horizons):
            error, last, inside, bounded = self._sums[:, place].tolist()
            count = int(self._count[place])
            rows.append(
                {
                    "horizon": ahead,
                    "mae": error / count if count else None,
                    "mae_last_value": last / count if count else None,
                    "coverage": inside / bounded if bounded else None,
                    "values": count,
                }
            )
        return rows


def forecast_file(
    rows: Iterable[Row], channels: int, choice: ForecastOptions
) -> Iterator[ForecastRow]:
    """Forecast after every row, learning from it first.

    Raises ConfigError for a kind that is not in the table or a task that cannot be done, StateError
    for a file of weights that cannot be read.
    """
    watched = choice.detector or default_detector(channels)
    for what, kind, table in (
        ("forecaster", choice.kind, FORECASTERS),
        ("detector", watched, DETECTORS),
    ):
        if kind not in table:
            raise ConfigError(
                f"forecasting: there is no {what} {kind!r}", f"known: {', '.join(sorted(table))}"
            )
    weights = read_weights(choice.weights) if choice.weights else shipped_weights()
    task = ForecastTask(channels, choice.horizons, period=choice.period, weights=weights)
    forecaster, detector = FORECASTERS[choice.kind](task), DETECTORS[watched](channels)
    after_s = 0.0
    for number, (elapsed_s, values) in enumerate(rows):
        after_s += elapsed_s if number else 0.0
        forecast = forecaster.step(values, elapsed_s)
        yield ForecastRow(number, values, forecast, detector.step(values), after_s)


def row_as_data(look: ForecastRow, names: tuple[str, ...]) -> dict[str, Any]:
    """A look as plain data: `row`, `channels` (by name: `value`, and `point`, `low`, `high` by
    horizon; None where there is nothing to say), `changes`."""
    made = look.forecast
    return {
        "row": look.row,
        "horizons": list(made.horizons),
        "channels": {
            name: {
                "value": _number(look.values[at]),
                "point": [_number(value) for value in made.point[:, at]],
                "low": [_number(value) for value in made.low[:, at]],
                "high": [_number(value) for value in made.high[:, at]],
            }
            for at, name in enumerate(names)
        },
        "changes": [change_as_data(change, names) for change in look.changes],
    }


def change_as_data(change: DetectedChange, names: tuple[str, ...]) -> dict[str, Any]:
    """A change as plain data, its channels by name."""
    return {
        "row": change.step,
        "start": change.start,
        "kind": change.kind,
        "severity": round(change.severity, 4),
        "channels": [names[at] for at in change.channels],
        "regime": change.regime,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
