"""The chart of a measured time series: newest values, forecast with interval, change points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .drawing import ALARM, ALARM_MARK, FAINT, INK, NEW, open_figure, render_png, shorten

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """A measured time series to draw.

    values: the latest [steps, channels]; names: of the channels.  at: the time of each row,
    [steps], in seconds since 1970 if `dated`, else in any unit; axis: the name of the time axis.
    horizons: times of the forecasts; expected: points, lows, highs [horizons, channels]. changes:
    row of `values` and affected channels of each detected change; anomalies: of each alarm of the
    anomaly score.
    """

    values: Floats
    names: Sequence[str]
    at: Floats
    dated: bool
    axis: str
    horizons: Floats
    expected: tuple[Floats, Floats, Floats]
    changes: Sequence[tuple[int, tuple[int, ...]]]
    anomalies: Sequence[tuple[int, tuple[int, ...]]] = ()


def draw_series(series: Series) -> bytes:
    """Draw the latest values of a few channels, their forecast and the detected changes, as a
    PNG."""
    count = series.values.shape[1]
    with open_figure((10.4, 1.8 + 2.1 * count), count) as (figure, panels):
        at, ahead = series.at, np.concatenate([series.at[-1:], series.horizons])
        if series.dated:
            at, ahead = ((each * 1e6).astype("datetime64[us]") for each in (at, ahead))
        for channel, axes in enumerate(panels):
            values = series.values[:, channel]
            axes.plot(at, values, color=INK, linewidth=1.3, label="measured")
            lines = [np.concatenate([values[-1:], each[:, channel]]) for each in series.expected]
            shade = {"color": NEW, "alpha": 0.2, "linewidth": 0}
            axes.fill_between(ahead, lines[1], lines[2], label="90 % interval", **shade)
            axes.plot(ahead, lines[0], color=NEW, linewidth=1.8, label="forecast")
            _mark_changes(axes, channel, [(at[row], who) for row, who in series.changes])
            own = [row for row, who in series.anomalies if channel in who]
            if own:
                axes.plot(at[own], values[own], "o", color=ALARM, markersize=6, label="anomaly")
            axes.set_title(shorten(series.names[channel]))
            if channel < count - 1:
                axes.tick_params(labelbottom=False)
            axes.sharex(panels[-1])
        if series.dated:
            _date(panels[-1])
        panels[-1].set_xlabel(series.axis)
        found = {
            label: handle
            for axes in panels
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(found.values(), found.keys(), loc="outside upper right", ncols=len(found))
        return render_png(figure)


def _mark_changes(axes: Any, channel: int, changes: Sequence[tuple[Any, tuple[int, ...]]]) -> None:
    """Draw a line with the alarm marker for each change of this channel, a faint line for
    others."""
    for place, who in changes:
        own = channel in who
        colour, width = (ALARM, 1.2) if own else (FAINT, 0.8)
        label = "change detected" if own else "change of another channel"
        axes.axvline(place, color=colour, linewidth=width, linestyle="--", label=label)
        if own:
            axes.plot(
                [place],
                [0.95],
                ALARM_MARK,
                color=ALARM,
                markersize=7,
                transform=axes.get_xaxis_transform(),
            )


def _date(axes: Any) -> None:
    from matplotlib import dates

    # These parts of matplotlib have no types.
    untyped: Any = dates
    locator = untyped.AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
