"""What the shipped encoders of pictures were measured to give, so that one can be chosen."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FIGURES = Path(__file__).with_name("models") / "figures.toml"
"""Written by scripts/write_encoder_figures.py from a report of `python -m benchmarks encoders`."""


class EncoderFigures(NamedTuple):
    """Measured figures of a shipped encoder of pictures, fractions of 1.

    accuracy: on PACS after its four domains, domain unknown, by heads alone.  labels10: in a new
    domain of PACS with ten labels a class.  time_ratio: of a picture on one thread, in times of
    `efficientnet_lite0`.  mib: size of the file."""

    accuracy: float
    labels10: float
    time_ratio: float
    mib: float


def shipped_figures() -> dict[str, EncoderFigures]:
    """Return the figures by the name of the encoder, the fastest first."""
    held = tomllib.loads(FIGURES.read_text(encoding="utf-8"))
    made = {
        name: EncoderFigures(*(float(table[key]) for key in EncoderFigures._fields))
        for name, table in held.items()
    }
    return dict(sorted(made.items(), key=lambda pair: pair[1].time_ratio))
