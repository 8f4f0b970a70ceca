"""Forecaster state on disk, so that time series continue after a restart.

It is session state in a file of its own next to the knowledge file, written periodically.  A crash
loses the samples since the last write.  A damaged or foreign file loses all forecaster state and
nothing else.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import EdgeError, StateError
from ..core.forecasting import SeriesTracker
from .durable_files import sync_folder, write_bytes
from .serialization import pack_arrays, pack_data, unpack_arrays, unpack_data

SUFFIX: Final = ".series"
VERSION: Final = 2
"""Version of the forecaster and detector state: raise it if arrays of the same name and shape
change their meaning."""
BYTES_MAX: Final = 16 << 20
"""Most bytes of all series; those without samples for longest are left out.  Chosen by hand; effect
not measured."""


@dataclass(frozen=True, slots=True)
class SavedSeries:
    """The content of the file: a version, and the series in one safetensors block with its
    SHA-256."""

    version: int
    names: tuple[str, ...]
    sha256: str
    block: NDArray[Any]


class SeriesStateFile:
    """The series file of a knowledge file.  problem: why it could not be read or written, or "".

    Cost of saving: one copy of the state and one synced file.
    """

    def __init__(self, knowledge: Path) -> None:
        self.path = knowledge.with_name(knowledge.name + SUFFIX)
        self.problem = ""
        self._samples = 0

    def restore(self, series: SeriesTracker) -> int:
        """Restore the state of series from the file; return how many continue.  A series whose
        state does not fit starts from scratch, and `problem` says why."""
        self.problem, found = "", 0
        try:
            states = _read(self.path)
        except (OSError, ValueError, IndexError) as error:
            self.problem = f"reading {self.path}: {error}; all series start from scratch"
            return 0
        for name, state in states:
            try:
                series.restore({name: state})
                found += 1
            except EdgeError as error:
                self.problem = error.message
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                self.problem = f"restoring the series {name}: {error!r}; it starts from scratch"
        return found

    def save(self, series: SeriesTracker) -> None:
        """Write the state of all series if samples arrived since the last call.  `problem` says why
        it could not be written, or which series exceed the limit."""
        if series.samples == self._samples:
            return
        try:
            self._write(series)
            self._samples = series.samples
        except OSError as error:
            self.problem = f"writing {self.path}: {error.strerror or error}"

    def rewrite(self, series: SeriesTracker) -> None:
        """Replace the file with the current state, after some series were forgotten.  Raises
        StateError if that fails: the file may still hold the forgotten series."""
        try:
            if not self.path.exists():
                return
            self._write(series)
        except OSError as error:
            raise StateError(
                f"forgetting series in {self.path}: {error.strerror or error}",
                "free space or make the file writable, then send the request again",
            ) from error

    def _write(self, series: SeriesTracker) -> None:
        held, size, left = [], 0, []
        for name, state in series.states():
            size += sum(array.nbytes for array in state.values())
            if size > BYTES_MAX:
                left.append(name)
                break
            held.append((name, state))
        held.reverse()
        self.problem = (
            f"saving series: over the size limit with {left[0]}; it and older ones are left out"
            if left
            else ""
        )
        if not held:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.absolute().parent)
            return
        block = pack_arrays(
            {f"{n}/{key}": one for n, (_, state) in enumerate(held) for key, one in state.items()}
        )
        names = tuple(name for name, _ in held)
        digest = hashlib.sha256(block).hexdigest()
        saved = SavedSeries(VERSION, names, digest, np.frombuffer(block, np.uint8))
        write_bytes(self.path, pack_data(saved), private=True)


def _read(path: Path) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Return the series in a file with their states, none if it is missing.  Raises ValueError for
    a file that is damaged or has another version; OSError."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return iter(())
    if not path.is_file():
        raise ValueError("it is not a regular file")
    if size > 2 * BYTES_MAX:
        raise ValueError(f"expected at most {2 * BYTES_MAX:,} bytes, found {size:,}")
    saved = unpack_data(path.read_bytes(), SavedSeries)
    if saved.version != VERSION:
        raise ValueError(f"expected version {VERSION}, found {saved.version}")
    block = saved.block.tobytes()
    if hashlib.sha256(block).hexdigest() != saved.sha256:
        raise ValueError("it is damaged: its checksum differs")
    arrays = unpack_arrays(block)
    states: list[dict[str, NDArray[Any]]] = [{} for _ in saved.names]
    for name, array in arrays.items():
        place, _, key = name.partition("/")
        states[int(place)][key] = array
    return zip(saved.names, states, strict=True)
