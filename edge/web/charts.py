"""Charts of the console as numbers for SVG elements: templates draw them, so that the colours of
the theme apply, and no style or script is needed."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

CHART_WIDTH: Final = 480.0
"""Width of a chart in its own units; the page scales it."""
CHART_HEIGHT: Final = 120.0
"""A quarter of the width.  Chosen by hand; effect not measured."""
BARS_MAX: Final = 16
"""Bars in a tile: 10 px each."""
TILE_WIDTH: Final = 160.0
"""Width of a tile's bars in their own units: that of a tile in pixels."""
TILE_HEIGHT: Final = 60.0
"""Height of a tile's bars in their own units.  Chosen by hand; effect not measured."""
BEYOND: Final = 1.0
"""How far the axis of a distribution reaches beyond its scores, in their own range: a score that is
farther away is drawn at the end, so that the distribution stays readable."""
HEAT_LEVELS: Final = 5
"""Shades of a heat table: about as many as people can distinguish (Miller 1956 gives seven)."""


class Bar(NamedTuple):
    """A rectangle, with the text that describes it."""

    x: float
    y: float
    width: float
    height: float
    text: str = ""


class Distribution(NamedTuple):
    """A histogram with two marks.  score, threshold: places on the x axis, None if unknown.
    beyond: the score lies farther away than the axis reaches."""

    bars: tuple[Bar, ...]
    score: float | None
    threshold: float | None
    beyond: bool = False


class ValueRange(NamedTuple):
    """A column's value against the range of a concept, in percent of the drawn width."""

    low: float
    high: float
    mean: float
    value: float
    outside: bool


def distribution(
    edges: Sequence[float],
    counts: Sequence[int],
    score: float | None = None,
    threshold: float | None = None,
) -> Distribution | None:
    """Return the histogram of a domain's held-out scores; None without any.  The axis is widened so
    that both marks lie on it."""
    if len(edges) != len(counts) + 1 or not any(counts):
        return None
    reach = BEYOND * (edges[-1] - edges[0])
    marks = [one for one in (score, threshold) if one is not None]
    low = max(edges[0] - reach, min(edges[0], *marks, edges[-1]))
    high = min(edges[-1] + reach, max(edges[-1], *marks, edges[0]))
    span = (high - low) or 1.0
    most = max(counts)

    def place(value: float) -> float:
        return round((min(max(value, low), high) - low) / span * CHART_WIDTH, 2)

    bars = []
    for start, end, count in zip(edges, edges[1:], counts, strict=False):
        height = round(count / most * CHART_HEIGHT, 2)
        text = f"{count} held-out scores from {start:.3g} to {end:.3g}"
        width = max(place(end) - place(start) - 1, 0.5)
        bars.append(Bar(place(start), CHART_HEIGHT - height, round(width, 2), height, text))
    return Distribution(
        tuple(bars),
        None if score is None else place(score),
        None if threshold is None else place(threshold),
        score is not None and not low <= score <= high,
    )


def ranged(value: float, low: float, high: float, mean: float) -> ValueRange:
    """Return a value and a concept's range; the drawn width holds both, with a tenth as margin
    on each side."""
    least, most = min(value, low), max(value, high)
    margin = (most - least) / 10 or 1.0
    least, most = least - margin, most + margin

    def place(one: float) -> float:
        return round(100 * (one - least) / (most - least), 2)

    return ValueRange(place(low), place(high), place(mean), place(value), not low <= value <= high)


def tile_bars(
    names: Sequence[str],
    rows: Mapping[str, Sequence[float]],
    low: Sequence[float],
    high: Sequence[float],
) -> dict[str, tuple[Bar, ...]]:
    """Return the bars of each observation: the first `BARS_MAX` values, each between the ends of
    its column's range."""
    shown = min(len(names), BARS_MAX)
    wide = TILE_WIDTH / max(shown, 1)
    found = {}
    for key, row in rows.items():
        bars = []
        for at in range(shown):
            share = (row[at] - low[at]) / ((high[at] - low[at]) or 1.0)
            height = round(2 + (TILE_HEIGHT - 2) * min(max(share, 0.0), 1.0), 1)
            left = round(at * wide + 1, 1)
            text = f"{names[at]} {row[at]:.4g}"
            bars.append(Bar(left, TILE_HEIGHT - height, round(wide - 2, 1), height, text))
        found[key] = tuple(bars)
    return found


def heat_level(count: int, most: int) -> int:
    """Return the shade of a count from 0 (none) to `HEAT_LEVELS` (the most), by its logarithm:
    counts differ by orders of magnitude."""
    if count <= 0 or most <= 0:
        return 0
    share = (count.bit_length()) / most.bit_length()
    return max(1, round(share * HEAT_LEVELS))
