"""Charts of the console as numbers for SVG elements: templates draw them, so that the colours of the
theme apply, and no style or script is needed."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

CHART_WIDTH: Final = 480.0
"""Width of a chart in its own units; the page scales it."""
CHART_HEIGHT: Final = 120.0
"""A quarter of the width.  Chosen by hand; effect not measured."""
BARS_MAX: Final = 16
"""Bars in a tile: 10 px each in a tile of 160 px."""
TILE_HEIGHT: Final = 60.0
"""Height of a tile's bars in their own units.  Chosen by hand; effect not measured."""
HEAT_LEVELS: Final = 5
"""Shades of a heat table: about as many as people tell apart (Miller 1956 gives seven)."""


class Bar(NamedTuple):
    """A rectangle, with the text that describes it."""

    x: float
    y: float
    width: float
    height: float
    text: str = ""


class Distribution(NamedTuple):
    """A histogram with two marks.  score, threshold: places on the x axis, None if unknown."""

    bars: tuple[Bar, ...]
    score: float | None
    threshold: float | None
    low: float
    high: float


class Range(NamedTuple):
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
    marks = [one for one in (score, threshold) if one is not None]
    low, high = min(edges[0], *marks, edges[-1]), max(edges[-1], *marks, edges[0])
    span = (high - low) or 1.0
    most = max(counts)

    def place(value: float) -> float:
        return round((value - low) / span * CHART_WIDTH, 2)

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
        low,
        high,
    )


def ranged(value: float, low: float, high: float, mean: float) -> Range:
    """Return a value beside a concept's range; the drawn width holds both, with a tenth as margin
    on each side."""
    least, most = min(value, low), max(value, high)
    margin = (most - least) / 10 or 1.0
    least, most = least - margin, most + margin

    def place(one: float) -> float:
        return round(100 * (one - least) / (most - least), 2)

    return Range(place(low), place(high), place(mean), place(value), not low <= value <= high)


def tile_bars(
    names: Sequence[str], rows: Mapping[str, Sequence[float]]
) -> dict[str, tuple[Bar, ...]]:
    """Return the bars of each observation on a page: each value between the lowest and the highest
    of its column there.  At most `BARS_MAX` columns, those that vary."""
    if not rows:
        return {}
    columns = list(zip(*rows.values(), strict=True))
    spans = [(min(column), max(column)) for column in columns]
    # Features of a picture have no names and would be hundreds: the first ones do not describe it.
    shown = [at for at, (low, high) in enumerate(spans) if high > low][:BARS_MAX]
    wide = 160.0 / max(len(shown), 1)
    found = {}
    for key, row in rows.items():
        bars = []
        for place, at in enumerate(shown):
            low, high = spans[at]
            height = round(2 + (TILE_HEIGHT - 2) * (row[at] - low) / (high - low), 1)
            text = f"{names[at]} {row[at]:.4g}"
            bars.append(
                Bar(round(place * wide + 1, 1), TILE_HEIGHT - height, wide - 2, height, text)
            )
        found[key] = tuple(bars)
    return found


def heat_level(count: int, most: int) -> int:
    """Return the shade of a count from 0 (none) to `HEAT_LEVELS` (the most), by its logarithm:
    counts differ by orders of magnitude."""
    if count <= 0 or most <= 0:
        return 0
    share = (count.bit_length()) / most.bit_length()
    return max(1, round(share * HEAT_LEVELS))
