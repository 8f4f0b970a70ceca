"""A home of facts in time order, and samples that have drifted away from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config.settings import SETTINGS
from edge.core.events import Enrol
from edge.core.facts import Fact
from edge.home.home import Home
from edge.home.new_home import create_home
from tests.homes import CARD

FACTS = 300
SECOND_NS = 10**9
SHIFT = 25
"""Levels by which drifted samples are higher: about four deviations of a window."""


def samples(count: int, shift: int = 0, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Samples around one centre, which has moved by `shift` levels."""
    centre = np.random.default_rng(1).integers(60, 160, CARD.width)
    noise = np.random.default_rng(seed).normal(0, 12, (count, CARD.width))
    return list(np.clip(centre + shift + noise, 0, 255).astype(np.uint8))


def timed_home(folder: Path, streams: str = '[streams.cam]\nsource = "stdin"\n') -> Path:
    """A home that has learned a fact a second, with a device gw1 and a stream cam."""
    create_home(folder, CARD, "", [f"sensor{number}" for number in range(CARD.width)])
    with Home(folder) as home:
        rows = (
            Fact(
                id=f"learned-{at:04}",
                stream="learn",
                domain="hall",
                label="ab"[at % 2],
                captured_at_ns=(at + 1) * SECOND_NS,
                features=home.model.encode(row).values.tobytes(),
            )
            for at, row in enumerate(samples(FACTS))
        )
        home.feed(Enrol(tuple(rows)))
        home.refit_geometry()
    with (folder / SETTINGS).open("a", encoding="utf-8") as file:
        file.write(f'\n[device]\nname = "gw1"\n{streams}')
    return folder
