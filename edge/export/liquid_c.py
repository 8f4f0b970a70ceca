"""A trained forecaster for a microcontroller: its weights in 8 bits, as C."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import firmware_bridge as bridge

from ..core.forecasting import SEASON_STEPS
from ..storage import Weights, write_files

GOLDEN: Final = 64
STATE_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class ExportedForecaster:
    """A forecaster that was written.  flash_bytes: of weights and table; ram_bytes: a channel's
    state."""

    inputs: int
    units: int
    horizons: tuple[int, ...]
    flash_bytes: int
    ram_bytes: int
    files: tuple[str, ...]


def export_forecaster(arrays: Weights, folder: Path) -> ExportedForecaster:
    """Write a liquid forecaster's C files into a folder.

    The golden vectors are seeded noise of the size that inputs have.  Raises ExportError for
    arrays of another network.
    """
    part = bridge.quantise_liquid(arrays, SEASON_STEPS)
    noise = np.random.default_rng(0).standard_normal((GOLDEN, part.inputs))
    names = write_files(folder, bridge.write_liquid_c(part, bridge.to_fixed(noise)))
    sizes = bridge.liquid_bytes(part), STATE_BYTES * part.units
    return ExportedForecaster(part.inputs, part.units, part.horizons, *sizes, names)
