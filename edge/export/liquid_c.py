"""A trained forecaster for a microcontroller: its weights in 8 bits, as C."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import firmware_bridge as bridge

from ..core.forecasting import SEASON_STEPS
from ..storage import Weights, write_files
from ..version import __version__

GOLDEN: Final = 64
"""Steps in the golden vectors.  Chosen by hand; effect not measured."""
STATE_BYTES: Final = 2  # a unit's state is an int16


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedForecaster:
    """An exported forecaster.  flash_bytes: weights and activation table; ram_bytes: the state of
    one channel; files: names of the C files."""

    inputs: int
    units: int
    horizons: tuple[int, ...]
    flash_bytes: int
    ram_bytes: int
    files: tuple[str, ...]


def export_forecaster(
    arrays: Weights, folder: Path, kind: bridge.PackageKind = "files"
) -> ExportedForecaster:
    """Write a liquid forecaster's C files into a folder, plain or as a package.

    The golden vectors are seeded noise of unit variance, as the inputs have.  Raises ExportError
    for arrays of another network.
    """
    part = bridge.quantise_liquid(arrays, SEASON_STEPS)
    noise = np.random.default_rng(0).standard_normal((GOLDEN, part.inputs))
    exported = bridge.write_liquid_c(part, bridge.to_fixed(noise))
    names = write_files(folder, bridge.make_package(exported, kind, __version__))
    return ExportedForecaster(
        inputs=part.inputs,
        units=part.units,
        horizons=part.horizons,
        flash_bytes=bridge.liquid_bytes(part),
        ram_bytes=STATE_BYTES * part.units,
        files=names,
    )
