"""What other shipped encoders give, beside the one that a home has."""

import encoder
from encoder import EncoderFigures

from .common import say


def other_encoders(chosen: str) -> dict[str, EncoderFigures]:
    """Return the figures of the shipped encoders of pictures, that of the home first, the others
    from the fastest on; nothing if the home's own has none."""
    found = encoder.shipped_figures()
    if chosen not in found:
        return {}
    return {chosen: found.pop(chosen), **found}


def show_other_encoders(figures: dict[str, EncoderFigures]) -> None:
    """Print one line, if there are larger ones: points of accuracy that they gain, and their
    time."""
    if not figures:
        return
    (name, own), *others = figures.items()
    larger = [pair for pair in others if pair[1].time_ratio > own.time_ratio]
    if larger:
        gains = "; ".join(_gain(*pair, own) for pair in larger)
        say(
            f"larger encoders, compared with {name} on PACS (all labels / 10 a class): {gains}",
            "dim",
        )


def _gain(name: str, other: EncoderFigures, own: EncoderFigures) -> str:
    points = (100 * (other.accuracy - own.accuracy), 100 * (other.labels10 - own.labels10))
    ratio = other.time_ratio / own.time_ratio
    return f"{name} {points[0]:+.1f} / {points[1]:+.1f} points at {ratio:.1f} times the time"
