"""Explanation of an observation for its labeller: guess, nearest examples, values or waveform."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...core import KnownExample
from ...home import Column, Explained, window_of
from .common import say

WAVE_CELLS: Final = 60
"""Cells of a waveform: with its indentation it fits 80 columns."""

BARS: Final = " ▁▂▃▄▅▆▇█"
NAME_CHARS: Final = 24
"""Characters shown of a column's name: with the numbers after it the line fits 80 columns."""

RANGE_EXAMPLES_MIN: Final = 10
"""Fewest examples for marking a value as outside their range: with ten exchangeable examples, the
next value is outside by chance in two of eleven cases."""

VERDICTS: Final = {
    True: "similar to known examples",
    False: "unlike all known examples",
    None: "too few known examples to tell whether it is new",
}


def show_explained(explained: Explained) -> None:
    """Print the guess with its p-value, the columns of a vector, and the nearest examples."""
    if not explained.guess:
        say("  no examples are known yet to compare it with")
        return
    verdict = VERDICTS[explained.known]
    say(f"  guess {explained.guess}, p-value {explained.p_value:.3f}: {verdict}")
    if explained.adaptation is not None:
        made = explained.adaptation
        say(
            f"  adapted to {made.samples:,} unlabelled samples of this domain,"
            f" {made.strength:.0%} of the measured shift"
        )
    if explained.unlabelled:
        count = f"{explained.unlabelled:,} unlabelled observations"
        say(f"  few labels here: the head has learned from {count} too")
    if explained.draft:
        say(f"  the head was unsure: {_revised(explained)}")
    if explained.columns:
        _show_columns(explained)
    for number, one in enumerate(explained.examples):
        say(f"  {'' if number else 'nearest':8}{_example(one)}")


def _revised(explained: Explained) -> str:
    if explained.draft == explained.guess:
        return f"the nearest labelled examples confirm {explained.draft}"
    return f"it said {explained.draft}, the nearest labelled examples say {explained.guess}"


def _example(one: KnownExample) -> str:
    seen_at = format_time(one.captured_at_ns) if one.captured_at_ns else "time unknown"
    return f"{one.label} in {one.domain}, {seen_at}, id {one.observation_id}"


def _show_columns(explained: Explained) -> None:
    """Print the values with the range of the nearest concept, the most different first."""
    shown, rest = explained.columns, explained.width - len(explained.columns)
    count = f"{explained.compared} example{'s' if explained.compared != 1 else ''}"
    heading = f"range of {explained.label} in {explained.domain}, {count}"
    judged = explained.compared >= RANGE_EXAMPLES_MIN
    rows = [("column", "value", "mean", heading), *(_cells(one, judged=judged) for one in shown)]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    for name, value, mean, value_range in rows:
        say(f"  {name:{widths[0]}}  {value:>{widths[1]}}  {mean:>{widths[2]}}  {value_range}")
    if rest > 0:
        say(f"  {rest} more columns differ less")


def _cells(one: Column, *, judged: bool) -> tuple[str, str, str, str]:
    mark = {-1: "<= ", 0: "", 1: ">= "}[one.clipped]
    outside = "  outside" if judged and not one.low <= one.value <= one.high else ""
    value_range = f"{one.low:.4g} to {one.high:.4g}{outside}"
    return one.name[:NAME_CHARS], f"{mark}{one.value:.4g}", f"{one.mean:.4g}", value_range


def show_window(raw: bytes, rate_hz: int) -> None:
    """Print length, level and waveform of a stored window.  rate_hz: 0 if unknown."""
    window = window_of(raw)
    if window is None or not window.size:
        say("  (the window cannot be shown: its data is not a window)")
        return
    length = f"{len(window) / rate_hz:.2f} s" if rate_hz else f"{len(window)} samples"
    level = float(np.sqrt(np.square(window, dtype=np.float64).mean()))
    peak = float(np.abs(window).max())
    # Sound has full scale 1; other measurements have no level in decibels.
    decibels = f", {20 * np.log10(level):.0f} dB of full scale" if rate_hz and level > 0 else ""
    say(f"  {length}, RMS {level:.3g}{decibels}, peak {peak:.3g}")
    say(f"  {waveform(window)}")


def waveform(window: NDArray[np.float32]) -> str:
    """Draw the envelope of a window [n, channels]: each cell shows the largest deviation from the
    mean in its part, scaled to the largest of all."""
    deviation = np.abs(window - window.mean(axis=0)).max(axis=1)
    parts = np.array_split(deviation, min(WAVE_CELLS, len(deviation)))
    peaks = np.array([part.max() for part in parts])
    top = float(peaks.max()) or 1.0
    return "".join(BARS[round(float(peak) / top * (len(BARS) - 1))] for peak in peaks)


def format_time(captured_at_ns: int) -> str:
    """Format a time of capture in UTC to the second."""
    try:
        return datetime.fromtimestamp(captured_at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{captured_at_ns} ns"
