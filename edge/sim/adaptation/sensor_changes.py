"""Changes of a sensor: what may happen to the columns of raw measurements."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .protocols import Change
from .source_model import Bytes

LEVEL: Final = 15.0
"""Levels of a feature for one unit of a measurement: 16 units, the ink of a digit, fill the byte
but for head room."""
UNITS_MAX: Final = 17.0
"""Units beyond which a changed sensor saturates: those of a byte."""

Units = NDArray[np.float64]
SensorChange = Callable[[Units, np.random.Generator, int], Units]

SENSOR_CHANGES: Final[Mapping[str, SensorChange]] = {
    "gain": lambda units, random, _: units * np.exp(random.normal(0, 0.5, units.shape[1])),
    "offset": lambda units, random, _: units * 0.6 + random.uniform(0, 6, units.shape[1]),
    "noise": lambda units, random, _: units + random.normal(0, 4, units.shape),
    "shift": lambda units, _, side: np.roll(units.reshape(len(units), -1, side), 1, axis=2).reshape(
        units.shape
    ),
    "invert": lambda units, *_: 0.5 * units + 8,
}
"""A gain or an offset of each column, noise, columns moved by one within rows of `side`, half the
contrast on a grey ground.  From the prototype."""


def change_sensor(units: Units, side: int, seed: int) -> dict[Change, Bytes]:
    """Return uint8 features of measurements [n, columns] after each change, whose details depend on
    the seed."""
    changed = {}
    for name, change in SENSOR_CHANGES.items():
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        changed[Change(name)] = to_levels(change(units, random, side))
    return changed


def to_levels(units: Units) -> Bytes:
    """Return uint8 features of measurements."""
    levels = np.rint(np.clip(units, 0, UNITS_MAX) * LEVEL)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)
