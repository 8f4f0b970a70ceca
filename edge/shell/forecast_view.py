"""How forecasts are shown: tables, a line a row while a stream comes in, and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..core.drift import Change
from . import views
from .lookahead import Look

CHANNELS_SHOWN: Final = 12
CHANGES_SHOWN: Final = 8
LIVE_CHANNELS: Final = 4


def show_forecast(look: Look, names: Sequence[str]) -> None:
    """Print what is expected after the last row, a line for each channel and horizon."""
    made = look.forecast
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
        views.say(f"{len(names) - CHANNELS_SHOWN} more channels: --json shows all")


def show_left_out(names: Sequence[str]) -> None:
    """Say on standard error which columns are not forecast, and why."""
    if names:
        more = f" and {len(names) - CHANNELS_SHOWN} more" if len(names) > CHANNELS_SHOWN else ""
        told = f"left out, since they begin with words: {', '.join(names[:CHANNELS_SHOWN])}{more}"
        views.errors.print(views.plain(told), markup=False, soft_wrap=True)


def show_record(figures: Sequence[dict[str, Any]], rows: int, step_s: float | None) -> None:
    """Print how good the forecasts of all rows were.  step_s: usual seconds between rows."""
    apart = "" if step_s is None else f", {step_s:,.6g} s apart"
    views.say(f"over {rows:,} rows{apart}, each forecast from those before it:")
    cells = (
        (
            each["horizon"],
            format_value(each["mae"]),
            format_value(each["mae_last_value"]),
            "-" if each["coverage"] is None else f"{each['coverage']:.1%}",
        )
        for each in figures
    )
    views.show_table(("steps ahead", "mean error", "last value's", "inside the interval"), cells)


def show_changes(changes: Sequence[Change], names: Sequence[str]) -> None:
    """Print the latest changes, and how many there were."""
    for change in changes[-CHANGES_SHOWN:]:
        show_change(change, names)
    if len(changes) > CHANGES_SHOWN:
        views.say(f"{len(changes)} changes in all: --json shows them")


def show_change(change: Change, names: Sequence[str]) -> None:
    """Print one change."""
    who = ", ".join(names[at] for at in change.channels[:LIVE_CHANNELS])
    more = f" and {len(change.channels) - LIVE_CHANNELS} more"
    rest = more if len(change.channels) > LIVE_CHANNELS else ""
    views.say(
        f"row {change.step:,}: {change.kind} since row {change.start:,}, by"
        f" {change.severity:.0%}, regime {change.regime}: {who}{rest}"
    )


def show_live(look: Look, names: Sequence[str]) -> None:
    """Print a line for a row of a stream: the first horizon of the first channels."""
    made = look.forecast
    parts = [
        f"{name} {format_value(look.values[at])} → {format_value(made.point[0, at])}"
        f" [{format_value(made.low[0, at])}, {format_value(made.high[0, at])}]"
        for at, name in enumerate(names[:LIVE_CHANNELS])
    ]
    views.say(f"row {look.row:,}  {'  '.join(parts)}")
    for change in look.changes:
        show_change(change, names)


def format_value(value: float | None) -> str:
    """Five digits, or a dash for what is not known."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.5g}"


def draw_forecast(looks: Sequence[Look], names: Sequence[str], path: Path) -> None:
    """Draw the first channels' last rows and what is expected next, as PNG.  Needs matplotlib."""
    from ..sim.links import draw_series

    shown = min(LIVE_CHANNELS, len(names))
    values = np.stack([look.values[:shown] for look in looks])
    made = looks[-1].forecast
    changes = [change.step - looks[0].row for look in looks for change in look.changes]
    path.write_bytes(
        draw_series(
            values,
            names[:shown],
            made.horizons,
            (made.point[:, :shown], made.low[:, :shown], made.high[:, :shown]),
            [at for at in changes if at >= 0],
        )
    )
