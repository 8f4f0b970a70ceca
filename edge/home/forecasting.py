"""The action of `auricle forecast`: forecasts, change points and anomaly scores of a table."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError
from ..core.anomaly import FALSE_ALARMS_PER_DAY, AnomalyScore, make_scorer
from ..core.drift import DETECTORS, DetectedChange, default_detector
from ..core.forecasting import FORECASTERS, Forecast, ForecastTask
from ..datasets import Row
from ..storage import read_weights, shipped_weights

Floats = NDArray[np.float64]

DEFAULT: Final = "pool"
"""The forecaster used unless another is chosen; see docs/explanation/forecasting.md for the
comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOptions:
    """Options of a forecast.  kind: an entry of `FORECASTERS`.  horizons: steps ahead.  period:
    steps of a season, None if unknown.  weights: a file, None for the shipped one.  detector: an
    entry of `DETECTORS`, None for the default of the number of channels.  false_alarms_per_day: of
    the anomaly score."""

    kind: str = DEFAULT
    horizons: tuple[int, ...] = (1, 6, 12)
    period: int | None = None
    weights: Path | None = None
    detector: str | None = None
    false_alarms_per_day: float = FALSE_ALARMS_PER_DAY


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ForecastRow:
    """The forecast made after row `row` (from 0), the change points found in that row, and its
    anomaly score.  after_s: seconds since the first row."""

    row: int
    values: Floats
    forecast: Forecast
    changes: tuple[DetectedChange, ...]
    anomaly: AnomalyScore
    after_s: float


class ForecastScore:
    """Accuracy of the forecasts so far, by horizon: mean absolute error, that of the last value as
    the forecast, and coverage of the interval.  Memory: rows of the longest horizon."""

    def __init__(self, horizons: tuple[int, ...]) -> None:
        self._horizons = horizons
        self._waiting: deque[ForecastRow] = deque(maxlen=horizons[-1])
        # Rows: sums of errors, of errors of the last value, of values inside, of intervals.
        self._sums = np.zeros((4, len(horizons)))
        self._count = np.zeros(len(horizons))

    def add(self, row: ForecastRow) -> None:
        """Score the earlier forecasts of this row, and keep its own forecast."""
        truth = row.values
        for place, ahead in enumerate(self._horizons):
            if len(self._waiting) >= ahead:
                made = self._waiting[-ahead]
                point, last = made.forecast.point[place], made.values
                scored = np.isfinite(truth) & np.isfinite(point) & np.isfinite(last)
                low, high = made.forecast.low[place], made.forecast.high[place]
                bounded = scored & np.isfinite(low) & np.isfinite(high)
                inside = bounded & (low <= truth) & (truth <= high)
                self._sums[:, place] += (
                    np.abs(point - truth)[scored].sum(),
                    np.abs(last - truth)[scored].sum(),
                    inside.sum(),
                    bounded.sum(),
                )
                self._count[place] += scored.sum()
        self._waiting.append(row)

    def figures(self) -> list[dict[str, float | int | None]]:
        """Return a dictionary per horizon: `horizon`, `mae`, `mae_last_value`, `coverage`,
        `values`; None without scored values."""
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
    """Learn from each row, then forecast; yields one result per row.

    Raises ConfigError for an unknown forecaster or detector and for an invalid task, StateError
    for unreadable weights.
    """
    detector_kind = choice.detector or default_detector(channels)
    for what, kind, table in (
        ("forecaster", choice.kind, FORECASTERS),
        ("detector", detector_kind, DETECTORS),
    ):
        if kind not in table:
            raise ConfigError(
                f"forecasting: there is no {what} {kind!r}", f"known: {', '.join(sorted(table))}"
            )
    weights = read_weights(choice.weights) if choice.weights else shipped_weights()
    task = ForecastTask(channels, choice.horizons, period=choice.period, weights=weights)
    forecaster, detector = FORECASTERS[choice.kind](task), DETECTORS[detector_kind](channels)
    scorer = make_scorer(channels, choice.false_alarms_per_day)
    after_s = 0.0
    for number, (elapsed_s, values) in enumerate(rows):
        after_s += elapsed_s if number else 0.0
        forecast = forecaster.step(values, elapsed_s)
        changes = detector.step(values)
        anomaly = scorer.step(values, round(after_s * 1e9))
        yield ForecastRow(
            row=number,
            values=values,
            forecast=forecast,
            changes=changes,
            anomaly=anomaly,
            after_s=after_s,
        )


def row_as_data(row: ForecastRow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a row as plain data: `row`, `horizons`, `channels` (by name: `value`, and `point`,
    `low`, `high` by horizon; None where missing), `changes`, `anomaly`."""
    made = row.forecast
    return {
        "row": row.row,
        "horizons": list(made.horizons),
        "channels": {
            name: {
                "value": _number(row.values[at]),
                "point": [_number(value) for value in made.point[:, at]],
                "low": [_number(value) for value in made.low[:, at]],
                "high": [_number(value) for value in made.high[:, at]],
            }
            for at, name in enumerate(names)
        },
        "changes": [change_as_data(change, names) for change in row.changes],
        "anomaly": anomaly_as_data(row, names),
    }


def anomaly_as_data(row: ForecastRow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the anomaly score of a row as plain data, with channels by name."""
    found = row.anomaly
    return {
        "row": row.row,
        "score": round(found.score, 4),
        "p_value": float(f"{found.p_value:.4g}"),
        "limit": round(found.limit, 4),
        "channels": [names[at] for at in found.channels],
        "scale": found.scale,
        "alarm": found.alarm,
        "raised": found.raised,
    }


def change_as_data(change: DetectedChange, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a change point as plain data, with channels by name."""
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
