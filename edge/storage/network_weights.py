"""Weights of trained forecasting networks: shipped with the package, or from a user's file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import EdgeError, StateError
from .durable_files import write_files
from .serialization import pack_arrays, unpack_arrays

BYTES_MAX: Final = 16 << 20
"""Largest weights file that is read; the shipped ones have a thousandth of it.  Chosen by hand;
effect not measured."""
SHIPPED: Final = ("cfc", "gru")

Weights = dict[str, NDArray[Any]]


def shipped_weights(kind: str = "cfc") -> Weights:
    """Return the arrays of a shipped network, `cfc` or `gru`, float32.  Cost: one small file."""
    from importlib.resources import files

    path = files("edge.core.forecasting") / "weights" / f"{kind}.safetensors"
    return unpack_arrays(path.read_bytes())


def is_liquid(arrays: Mapping[str, Any]) -> bool:
    """Return whether a network's core is liquid (CfC); otherwise it is a GRU."""
    return "ff1.weight" in arrays


def find_invalid_network(arrays: Weights) -> str:
    """Return why arrays are not those of a network that serves, finite floats that take the inputs
    of `History` and read out every horizon; empty if they are."""
    from ..core.forecasting import CELLS, INPUTS, SEASON_STEPS

    if sum(one.nbytes for one in arrays.values()) > BYTES_MAX:
        return f"more than {BYTES_MAX >> 20} MiB"
    if not arrays or not all(a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays.values()):
        return "arrays that are not finite floats"
    try:
        cell = CELLS["cfc" if is_liquid(arrays) else "gru"](arrays, 1)
        wanted = len(SEASON_STEPS), cell.state.shape[1]
        found = [arrays[n].shape for n in ("readout.weight", "readout.bias") if n in arrays]
        if found != [wanted, wanted[:1]]:
            return f"readouts of shape {found}, not {wanted}"
        cell.step(np.zeros((1, len(INPUTS)), np.float32))
    except EdgeError as error:
        return error.message
    except (KeyError, ValueError, IndexError) as error:
        return f"a network without the {len(INPUTS)} expected inputs ({error})"
    return ""


def read_weights(path: Path) -> Weights:
    """Return the float arrays of a user's weights file; raises StateError for any other file."""
    try:
        size = path.stat().st_size
        arrays = unpack_arrays(path.read_bytes()) if size <= BYTES_MAX else {}
    except OSError as error:
        raise _unread(path, error.strerror or "an error") from error
    except ValueError as error:
        raise _unread(path, str(error).split("\n")[0]) from error
    if size > BYTES_MAX:
        raise _unread(path, f"{size:,} bytes")
    wrong = find_invalid_network(arrays)
    if wrong:
        raise _unread(path, wrong)
    return arrays


def _unread(path: Path, found: str) -> StateError:
    return StateError(
        f"reading weights from {path}: expected a safetensors file of a network, at most"
        f" {BYTES_MAX >> 20} MiB; found: {found}",
        "make one with `auricle train FILE.csv --out WEIGHTS.safetensors`",
    )


def write_weights(path: Path, arrays: Weights) -> None:
    """Write the arrays of a network; raises StateError if the file cannot be written."""
    try:
        write_files(path.absolute().parent, {path.name: pack_arrays(arrays)})
    except OSError as error:
        raise StateError(
            f"writing weights to {path}: {error.strerror}", "name a file in a writable folder"
        ) from error
