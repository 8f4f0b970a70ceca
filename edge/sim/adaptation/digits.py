"""The digits of scikit-learn as a world of raw pixels, with the changes of a sensor."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..digits import OPTDIGITS_MAX, load_optdigits
from .protocols import AdaptationWorld, Change
from .source_model import Bytes, LabelledRows

LEVEL: Final = 15.0
"""Levels of a feature for one unit of ink: 16 units fill the byte but for head room."""
SIDE: Final = 8
"""Pixels of a side."""
INK_MAX: Final = 17.0
"""Ink beyond which a changed sensor saturates: that of a byte."""

Ink = NDArray[np.float64]
SensorChange = Callable[[Ink, np.random.Generator], Ink]

CHANGES: Final[Mapping[str, SensorChange]] = {
    "gain": lambda ink, random: ink * np.exp(random.normal(0, 0.5, ink.shape[1])),
    "offset": lambda ink, random: ink * 0.6 + random.uniform(0, 6, ink.shape[1]),
    "noise": lambda ink, random: ink + random.normal(0, 4, ink.shape),
    "shift": lambda ink, _: np.roll(ink.reshape(-1, SIDE, SIDE), 1, axis=2).reshape(ink.shape),
    "invert": lambda ink, _: 0.5 * ink + 8,
}
"""What may happen to the sensor: a gain or an offset of each pixel, noise, a picture moved by a
pixel, half the contrast on a grey ground.  From the prototype."""


def digits_world(seed: int) -> AdaptationWorld:
    """Return the 1,797 digits with all changes, whose details depend on the seed.

    Needs scikit-learn.
    """
    digits = load_optdigits()
    pixels = digits.images.reshape(len(digits), -1).astype(np.float64)
    ink: Ink = pixels * (OPTDIGITS_MAX / 255)
    changed: dict[Change, Bytes] = {}
    for name, change in CHANGES.items():
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        changed[Change(name)] = _levels(change(ink, random))
    return AdaptationWorld(
        name="digits",
        domains={"digits": LabelledRows(_levels(ink), digits.labels)},
        spans=((0, ink.shape[1]),),
        changed={"digits": changed},
    )


def _levels(ink: Ink) -> Bytes:
    levels = np.rint(np.clip(ink, 0, INK_MAX) * LEVEL)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)
