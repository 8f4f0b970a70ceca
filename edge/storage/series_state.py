"""Series on disk: what forecasters have learned outlives a restart.

It is session state: a file of its own beside the knowledge, written now and then.  A crash costs
what came since; a file that is damaged or foreign costs all of it, and nothing else.
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
"""Of what forecasters and detectors keep: raise it where arrays of the same name and shape come to
mean something else."""
BYTES_MAX: Final = 16 << 20
"""Of all series together; those that are silent longest are left out."""


@dataclass(frozen=True, slots=True)
class SavedSeries:
    """The file: a version, and series in one safetensors block with its SHA-256."""

    version: int
    names: tuple[str, ...]
    sha256: str
    block: NDArray[Any]


class SeriesStateFile:
    """The file beside a knowledge file.  trouble: why it could not be used or written, or nothing.

    Saving costs one copy of the state and one synced file.
    """

    def __init__(self, knowledge: Path) -> None:
        self.path = knowledge.with_name(knowledge.name + SUFFIX)
        self.trouble = ""
        self._samples = 0

    def restore(self, series: SeriesTracker) -> int:
        """Let series go on where the file has them; returns how many do.  A series that does not
        fit begins anew, and `trouble` says why."""
        self.trouble, found = "", 0
        try:
            states = _read(self.path)
        except (OSError, ValueError, IndexError) as error:
            self.trouble = f"reading {self.path}: {error}; all series begin anew"
            return 0
        for name, state in states:
            try:
                series.restore({name: state})
                found += 1
            except EdgeError as error:
                self.trouble = error.message
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                self.trouble = f"restoring the series {name}: {error!r}; it begins anew"
        return found

    def save(self, series: SeriesTracker) -> None:
        """Write what series know, where samples came since the last time; `trouble` says why it
        could not be written, or which series had no room."""
        if series.samples == self._samples:
            return
        try:
            self._write(series)
            self._samples = series.samples
        except OSError as error:
            self.trouble = f"writing {self.path}: {error.strerror or error}"

    def discard(self, series: SeriesTracker) -> None:
        """Write anew what series know, after some were forgotten, in place of what the file holds.
        Raises StateError where that fails: the file may then hold what is to be forgotten."""
        try:
            if not self.path.exists():
                return
            self._write(series)
        except OSError as error:
            raise StateError(
                f"forgetting series in {self.path}: {error.strerror or error}",
                "make room or the file writable, then send the request again",
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
        self.trouble = f"saving series: no room for {left[0]} and older ones" if left else ""
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
    """Return series of a file with their states; none where there is no file.  Raises ValueError
    for a file that is none of this version, or damaged; OSError."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return iter(())
    if not path.is_file():
        raise ValueError("it is no file")
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
