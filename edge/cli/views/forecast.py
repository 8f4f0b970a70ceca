"""Views of forecasts: tables, a line for each row of a live stream, and a plot."""

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...core.anomaly import AnomalyScore
from ...core.drift import DetectedChange
from ...home import ForecastRow
from . import common as views

CHANNELS_SHOWN: Final = 12
"""Channels in the table of a file: with three horizons, 36 rows.  Chosen by hand; effect not
measured."""
CHANGES_SHOWN: Final = 8
"""Latest changes listed.  Chosen by hand; effect not measured."""
LIVE_CHANNELS: Final = 4
"""Channels in a line of a live stream, and named for a change.  Chosen by hand; effect not
measured."""
ROWS_DRAWN: Final = 288
"""A day of samples every five minutes."""
ROWS_MAX: Final = 2_016
"""A week of them: the plot reaches back this far to include the latest change."""
ROWS_BEFORE: Final = 48
"""Rows drawn before the latest change.  Chosen by hand; effect not measured."""
DATED_S: Final = 1e8
"""Smaller times (before March 1973) are seconds of a recording's own clock, not dates."""

Floats = NDArray[np.float64]


def show_forecast(row: ForecastRow, names: Sequence[str]) -> None:
    """Print the forecast after the last row, a line for each channel and horizon."""
    made = row.forecast
    rows = (
        (
            name,
            ahead,
            *(format_value(each[place, at]) for each in (made.point, made.low, made.high)),
        )
        for at, name in enumerate(names[:CHANNELS_SHOWN])
        for place, ahead in enumerate(made.horizons)
    )
    views.show_table(("channel", "steps ahead", "forecast", "low", "high"), rows)
    if len(names) > CHANNELS_SHOWN:
        views.say(f"{len(names) - CHANNELS_SHOWN} more channels; --json lists all")


def show_left_out(names: Sequence[str]) -> None:
    """Report on standard error which columns are not forecast, and why."""
    if names:
        more = f" and {len(names) - CHANNELS_SHOWN} more" if len(names) > CHANNELS_SHOWN else ""
        text = f"left out, not numeric: {', '.join(names[:CHANNELS_SHOWN])}{more}"
        views.errors.print(views.plain(text), markup=False, soft_wrap=True)


def show_errors(figures: Sequence[dict[str, Any]], rows: int, step_s: float | None) -> None:
    """Print the errors of the forecasts of all rows.  step_s: median seconds between rows, if
    known."""
    apart = "" if step_s is None else f", {step_s:,.6g} s apart"
    views.say(f"over {rows:,} rows{apart}, each forecast from the rows before it:")
    cells = (
        (
            each["horizon"],
            format_value(each["mae"]),
            format_value(each["mae_last_value"]),
            "-" if each["coverage"] is None else f"{each['coverage']:.1%}",
        )
        for each in figures
    )
    views.show_table(
        ("steps ahead", "mean error", "last value's error", "inside the interval"), cells
    )


def show_changes(changes: Sequence[DetectedChange], names: Sequence[str]) -> None:
    """Print the latest change points, and their number."""
    for change in changes[-CHANGES_SHOWN:]:
        show_change(change, names)
    if len(changes) > CHANGES_SHOWN:
        views.say(f"{len(changes)} changes in total; --json lists all")


def show_change(change: DetectedChange, names: Sequence[str]) -> None:
    """Print one change point."""
    channels = ", ".join(names[at] for at in change.channels[:LIVE_CHANNELS])
    more = f" and {len(change.channels) - LIVE_CHANNELS} more"
    rest = more if len(change.channels) > LIVE_CHANNELS else ""
    views.say(
        f"row {change.step:,}: {change.kind} since row {change.start:,}, by"
        f" {change.severity:.0%}, regime {change.regime}: {channels}{rest}"
    )


def show_anomalies(alarms: Sequence[ForecastRow], last: AnomalyScore, names: Sequence[str]) -> None:
    """Print the latest alarms of the anomaly score and their number, and the score of the last
    row."""
    for row in alarms[-CHANGES_SHOWN:]:
        show_anomaly(row, names)
    if len(alarms) > CHANGES_SHOWN:
        views.say(f"{len(alarms)} anomalies in total; --json lists all")
    views.say(
        f"anomaly score of the last row: {last.score:.2f}, alarms from {last.limit:.2f};"
        f" p-value {last.p_value:.2g}"
    )


def show_anomaly(row: ForecastRow, names: Sequence[str]) -> None:
    """Print one alarm of the anomaly score."""
    found = row.anomaly
    channels = ", ".join(names[at] for at in found.channels[:LIVE_CHANNELS])
    more = f" and {len(found.channels) - LIVE_CHANNELS} more"
    rest = more if len(found.channels) > LIVE_CHANNELS else ""
    over = "beyond the range so far" if found.scale == 1 else f"over {found.scale} rows"
    views.say(
        f"row {row.row:,}: anomaly {over}, score {found.score:.1f} of {found.limit:.1f}:"
        f" {channels}{rest}"
    )


def show_live(row: ForecastRow, names: Sequence[str]) -> None:
    """Print a line for a row of a live stream: the first horizon of the first channels."""
    made = row.forecast
    parts = [
        f"{name} {format_value(row.values[at])} → {format_value(made.point[0, at])}"
        f" [{format_value(made.low[0, at])}, {format_value(made.high[0, at])}]"
        for at, name in enumerate(names[:LIVE_CHANNELS])
    ]
    views.say(f"row {row.row:,}  {'  '.join(parts)}")
    for change in row.changes:
        show_change(change, names)
    if row.anomaly.raised:
        show_anomaly(row, names)


def format_value(value: float | None) -> str:
    """Format a value with five digits, an unknown one as a dash."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.5g}"


class ForecastPlot:
    """A plot of the first channels over the newest rows.  Memory: O(1)."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names[:LIVE_CHANNELS]
        self._rows: deque[ForecastRow] = deque(maxlen=ROWS_MAX)
        self._last: ForecastRow | None = None

    def take(self, row: ForecastRow) -> None:
        """Add a row; the plot shows the forecast of the newest."""
        self._rows.append(row)
        self._last = row

    def draw(self, path: Path, began_s: float) -> None:
        """Write the plot as PNG.  began_s: time of the first row in seconds since 1970, NaN without
        times.  Needs matplotlib."""
        from ...plots import Series, draw_series

        assert self._last is not None, "a recording has a row"
        rows = list(self._rows)
        changed = [at for at, row in enumerate(rows) if row.changes or row.anomaly.raised]
        first = min([len(rows) - ROWS_DRAWN, *(at - ROWS_BEFORE for at in changed[-1:])])
        rows = rows[max(0, first) :]
        timed, made = math.isfinite(began_s), self._last.forecast
        after = [row.after_s for row in rows]
        step = median(b - a for a, b in pairwise(after)) if timed and len(rows) > 1 else 1.0
        at: Floats = np.array(after) + began_s if timed else np.arange(1.0 - len(rows), 1.0)
        dated = timed and began_s > DATED_S
        axis = "time, UTC" if dated else "seconds" if timed else "rows from the last one"
        shown = len(self._names)
        series = Series(
            values=np.stack([row.values[:shown] for row in rows]),
            names=self._names,
            at=at,
            dated=dated,
            axis=axis,
            horizons=at[-1] + step * np.array(made.horizons, np.float64),
            expected=(made.point[:, :shown], made.low[:, :shown], made.high[:, :shown]),
            changes=[(n, change.channels) for n, row in enumerate(rows) for change in row.changes],
            anomalies=[
                (n, row.anomaly.channels) for n, row in enumerate(rows) if row.anomaly.raised
            ],
        )
        path.write_bytes(draw_series(series))
