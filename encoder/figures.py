"""What encoders of pictures were measured to give, so that one can be chosen."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FIGURES = Path(__file__).with_name("models") / "figures.toml"
"""Written by scripts/write_encoder_figures.py from a report of `python -m
benchmarks encoders --quick`."""


class EncoderFigures(NamedTuple):
    """Measured figures of an encoder of pictures, fractions of 1.

    On every third picture of PACS, by heads alone: accuracy, after its four domains, domain
    unknown; labels10, with ten labels a class in a new domain, photos known.  time_ratio: of a
    picture on one thread, in times of `efficientnet_lite0`.  mib: size of the file."""

    accuracy: float
    labels10: float
    time_ratio: float
    mib: float


def shipped_figures() -> dict[str, EncoderFigures]:
    """Return the figures of the shipped encoders, and of two of them side by side (`side_by_side`),
    by name, the fastest first."""
    held = tomllib.loads(FIGURES.read_text(encoding="utf-8"))
    made = {
        name: EncoderFigures(*(float(table[key]) for key in EncoderFigures._fields))
        for name, table in held.items()
    }
    return dict(sorted(made.items(), key=lambda pair: pair[1].time_ratio))
