"""Accuracy and time of the other encoders, relative to the home's own."""

from typing import Final

import encoder
from encoder import EncoderFigures

from .common import say

GAIN_MIN: Final = 0.005
"""Least gain of accuracy that is reported, with all labels or with ten a class: the standard error
of the figures."""

SIDE_BY_SIDE: Final = "the commands are in docs/howto/encoder.md, section Other forms of an encoder"
"""How two encoders become one."""


def other_encoders(chosen: str) -> dict[str, EncoderFigures]:
    """Return the figures of the encoders of pictures, that of the home first, the others from the
    fastest on; nothing if the home's own has none."""
    found = encoder.shipped_figures()
    if chosen not in found:
        return {}
    return {chosen: found.pop(chosen), **found}


def show_other_encoders(figures: dict[str, EncoderFigures]) -> None:
    """Print points of accuracy that others gain and their time in one line, and what makes a home
    with them in the next.  Those that gain nothing are left out."""
    if not figures:
        return
    (name, own), *others = figures.items()
    better = [
        (other, figures)
        for other, figures in others
        if max(figures.accuracy - own.accuracy, figures.labels10 - own.labels10) >= GAIN_MIN
    ]
    if not better:
        return
    gains = "; ".join(_gain(*pair, own) for pair in better)
    say(
        f"other encoders, in points of accuracy more than {name} on PACS (pictures in four"
        f" styles), with all labels / with ten labels a class in a new style: {gains}",
        "dim",
    )
    ways = []
    if any(other in encoder.SHIPPED for other, _ in better):
        ways.append("one of them: auricle init FOLDER --encoder NAME")
    if any(other not in encoder.SHIPPED for other, _ in better):
        ways.append(f"two side by side: {SIDE_BY_SIDE}")
    say("; ".join(ways), "dim")


def _gain(name: str, other: EncoderFigures, own: EncoderFigures) -> str:
    points = (100 * (other.accuracy - own.accuracy), 100 * (other.labels10 - own.labels10))
    ratio = other.time_ratio / own.time_ratio
    return f"{name} {points[0]:+.1f} / {points[1]:+.1f} points at {ratio:.1f} times the time"
