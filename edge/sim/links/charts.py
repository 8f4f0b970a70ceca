"""Charts of link loads around a failure: the load, forecasts before and after it, and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...backbone import LinkEvent
from ...plots import (
    ALARM,
    ALARM_MARK,
    FAINT,
    GOOD,
    INK,
    KNOWN,
    NEW,
    open_figure,
    render_png,
    render_svg,
    shorten,
)
from .trial import LinkTrial

Floats = NDArray[np.float64]

BEFORE_STEPS: Final = 36
"""Three hours before the event.  Chosen by hand."""
AFTER_STEPS: Final = 60
"""Five hours after the event: the shortest outage."""
# Origins of the forecasts that are drawn, in steps from the event: two before, two after.
ORIGINS: Final = (-22, -1, 0, 24)


def choose_event(trial: LinkTrial) -> LinkEvent | None:
    """Return the failure that moves the most traffic; None without a failure."""
    failures = [event for event in trial.events if event.kind == "failure"]
    return max(failures, key=lambda event: _moved(trial, event).max(), default=None)


def choose_link(trial: LinkTrial, event: LinkEvent) -> int:
    """Return the surviving link whose load an event changes most."""
    return int(np.argmax(_moved(trial, event)))


def _moved(trial: LinkTrial, event: LinkEvent) -> Floats:
    moved: Floats = np.abs(trial.loads[event.step] - trial.loads[event.step - 1])
    moved[list(event.links)] = 0.0
    return moved


def draw_event(trial: LinkTrial, event: LinkEvent, name: str) -> str:
    """Draw the load of one link around a failure, forecasts made before and after it, and the
    errors over all links, as an inline SVG.  name: prefix that makes its ids unique on the page."""
    with _event_figure(trial, event) as figure:
        return render_svg(figure, name)


def render_event_png(trial: LinkTrial, event: LinkEvent) -> bytes:
    """Draw the same chart as a PNG."""
    with _event_figure(trial, event) as figure:
        return render_png(figure)


@contextmanager
def _event_figure(trial: LinkTrial, event: LinkEvent) -> Iterator[Any]:
    first = max(trial.start, event.step - BEFORE_STEPS)
    last = min(len(trial.loads), event.step + AFTER_STEPS)
    with open_figure((10.4, 6.0), 2, heights=(5, 2)) as (figure, (top, bottom)):
        _draw_load(top, trial, event, (first, last))
        _draw_errors(bottom, trial, event, (first, last))
        for axes in (top, bottom):
            _mark(axes, trial, event, (first, last))
            axes.set_xlim(first - event.step, last - 1 - event.step)
        top.tick_params(labelbottom=False)
        bottom.set_xlabel("steps of five minutes from the failure")
        yield figure


def _draw_load(axes: Any, trial: LinkTrial, event: LinkEvent, span: tuple[int, int]) -> None:
    link = choose_link(trial, event)
    channels = trial.world.topology.channels
    steps = np.arange(*span)
    axes.plot(steps - event.step, trial.loads[steps, link], color=INK, linewidth=1.5, label="load")
    horizons = np.array(sorted(set(trial.settings.horizons)))
    for number, origin in enumerate(ORIGINS):
        at = event.step + origin
        colour = NEW if origin >= 0 else KNOWN
        ahead = np.concatenate([[0], horizons]) + origin
        start = trial.loads[at, link]
        lines = [
            np.concatenate([[start], each[at, :, link]])
            for each in (trial.points, trial.lows, trial.highs)
        ]
        label = {1: "forecast before", 2: "forecast from the first sample after"}.get(number)
        axes.fill_between(ahead, lines[1], lines[2], color=colour, alpha=0.16, linewidth=0)
        axes.plot(ahead, lines[0], color=colour, linewidth=1.8, label=label)
        axes.plot([origin], [start], "o", color=colour, markersize=4.5)
    failed = shorten(channels[event.links[0]])
    axes.set_title(f"{shorten(channels[link])} when {failed} fails", pad=24)
    axes.set_ylabel("Mbit/s")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=3, borderpad=0)


def _draw_errors(axes: Any, trial: LinkTrial, event: LinkEvent, span: tuple[int, int]) -> None:
    """Draw the mean error over links at the longest horizon, by the step of the target."""
    ahead = max(trial.settings.horizons)
    targets = np.arange(max(span[0], trial.start + ahead), span[1])
    origins = targets - ahead
    ours = np.abs(trial.points[origins, -1] - trial.loads[targets]).mean(axis=1)
    last = np.abs(trial.loads[origins] - trial.loads[targets]).mean(axis=1)
    for errors, colour, label in ((last, FAINT, "last value"), (ours, KNOWN, "forecast")):
        axes.plot(targets - event.step, errors, color=colour, linewidth=1.5, label=label)
    axes.set_ylabel(f"error, {ahead} ahead")
    # Errors just after an event are ten times larger than the rest.
    axes.set_yscale("log")
    axes.legend(loc="upper left", ncols=2, borderpad=0)


def _mark(axes: Any, trial: LinkTrial, event: LinkEvent, span: tuple[int, int]) -> None:
    """Draw failures and repairs as lines, alarms as markers at the top."""
    for other in trial.events:
        if span[0] <= other.step < span[1]:
            colour = ALARM if other.kind == "failure" else GOOD
            axes.axvline(other.step - event.step, color=colour, linewidth=1.1, linestyle="--")
    alarms = [c.step - event.step for c in trial.changes if span[0] <= c.step < span[1]]
    axes.plot(
        alarms,
        [0.965] * len(alarms),
        ALARM_MARK,
        color=ALARM,
        markersize=7,
        transform=axes.get_xaxis_transform(),
    )
