"""The digits of scikit-learn as a world of raw pixels, with the changes of a sensor."""

from typing import Final

import numpy as np

from ..digits import OPTDIGITS_MAX, load_optdigits
from .protocols import AdaptationWorld
from .sensor_changes import Units, change_sensor, to_levels
from .source_model import LabelledRows

SIDE: Final = 8
"""Pixels of a side."""


def digits_world(seed: int) -> AdaptationWorld:
    """Return the 1,797 digits with all changes, whose details depend on the seed.

    Needs scikit-learn.
    """
    digits = load_optdigits()
    pixels = digits.images.reshape(len(digits), -1).astype(np.float64)
    ink: Units = pixels * (OPTDIGITS_MAX / 255)
    return AdaptationWorld(
        name="digits",
        domains={"digits": LabelledRows(to_levels(ink), digits.labels)},
        spans=((0, ink.shape[1]),),
        changed={"digits": change_sensor(ink, SIDE, seed)},
    )
