"""Showing a person what an observation is like: its guess, nearest examples, values or waveform."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...core import KnownExample
from ...home import Column, Explained, window_of
from .common import say

WAVE_CELLS: Final = 60
"""Cells of a waveform: it fits a terminal of 80 columns with its caption."""

BARS: Final = " ▁▂▃▄▅▆▇█"
NAME_CHARS: Final = 24
"""Characters shown of a column's name: the numbers beside it stay in a terminal of 80 columns."""

RANGE_EXAMPLES_MIN: Final = 10
"""Examples whose range is worth calling a value outside of it: of ten, the next lies outside by
chance in two of eleven cases."""

VERDICTS: Final = {
    True: "like what is known there",
    False: "unlike all that is known",
    None: "too little is known to call it new",
}


def show_explained(explained: Explained) -> None:
    """Print the guess with its p-value, then a vector's columns, then the nearest examples."""
    if not explained.guess:
        say("  nothing is known yet that it could be compared with")
        return
    verdict = VERDICTS[explained.known]
    say(f"  guess {explained.guess}, p-value {explained.p_value:.3f}: {verdict}")
    if explained.columns:
        _show_columns(explained)
    for number, one in enumerate(explained.examples):
        say(f"  {'' if number else 'nearest':8}{_example(one)}")


def _example(one: KnownExample) -> str:
    seen = moment(one.captured_at_ns) if one.captured_at_ns else "time unknown"
    return f"{one.label} in {one.domain}, {seen}, id {one.observation_id}"


def _show_columns(explained: Explained) -> None:
    """Print the values, the most different from the nearest concept first, with its range."""
    shown, rest = explained.columns, explained.width - len(explained.columns)
    count = f"{explained.compared} example{'s' if explained.compared != 1 else ''}"
    heading = f"range of {explained.label} in {explained.domain}, {count}"
    judged = explained.compared >= RANGE_EXAMPLES_MIN
    rows = [("column", "value", "mean", heading), *(_cells(one, judged=judged) for one in shown)]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    for name, value, mean, spread in rows:
        say(f"  {name:{widths[0]}}  {value:>{widths[1]}}  {mean:>{widths[2]}}  {spread}")
    if rest > 0:
        say(f"  {rest} more columns differ less")


def _cells(one: Column, *, judged: bool) -> tuple[str, str, str, str]:
    mark = {-1: "<= ", 0: "", 1: ">= "}[one.clipped]
    outside = "  outside" if judged and not one.low <= one.value <= one.high else ""
    spread = f"{one.low:.4g} to {one.high:.4g}{outside}"
    return one.name[:NAME_CHARS], f"{mark}{one.value:.4g}", f"{one.mean:.4g}", spread


def show_window(raw: bytes, rate_hz: int) -> None:
    """Print the length, level and waveform of a window that was kept.  rate_hz: 0 if not known."""
    window = window_of(raw)
    if window is None or not window.size:
        say("  (its window cannot be shown: it is not one)")
        return
    long = f"{len(window) / rate_hz:.2f} s" if rate_hz else f"{len(window)} samples"
    level = float(np.sqrt(np.square(window, dtype=np.float64).mean()))
    peak = float(np.abs(window).max())
    # Full scale is 1 for sound; a window of other values has no decibels.
    decibels = f", {20 * np.log10(level):.0f} dB of full scale" if rate_hz and level > 0 else ""
    say(f"  {long}, RMS {level:.3g}{decibels}, peak {peak:.3g}")
    say(f"  {waveform(window)}")


def waveform(window: NDArray[np.float32]) -> str:
    """Draw the envelope of a window [n, channels]: each cell is the largest deviation from the mean
    in its part, on a scale from 0 to the largest of all."""
    around = np.abs(window - window.mean(axis=0)).max(axis=1)
    parts = np.array_split(around, min(WAVE_CELLS, len(around)))
    peaks = np.array([part.max() for part in parts])
    top = float(peaks.max()) or 1.0
    return "".join(BARS[round(float(peak) / top * (len(BARS) - 1))] for peak in peaks)


def moment(captured_at_ns: int) -> str:
    """Say when something was captured, in UTC to the second."""
    try:
        return datetime.fromtimestamp(captured_at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{captured_at_ns} ns"
