"""Forecaster state on disk, so that time series continue after a restart.

It is session state in a file of its own next to the knowledge file, written periodically.  A crash
loses the samples since the last write.  A damaged or foreign file loses all forecaster state and
nothing else.

The newest samples of each series, and the states between them, are what a forget request replays.
They are written once, into files of a folder next to it, which carry their SHA-256 as names; the
main file lists them.  It is replaced atomically, so a crash leaves files that it does not list,
which the next write or start removes.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core import EdgeError, StateError
from ..core.forecasting import (
    BufferPart,
    LostSamples,
    ReplayBuffer,
    SampleBlock,
    SeriesSnapshot,
    SeriesTracker,
    WaitingSamples,
)
from .durable_files import sync_folder, write_bytes
from .serialization import pack_arrays, pack_data, unpack_arrays, unpack_data

SUFFIX: Final = ".series"
VERSION: Final = 2
"""Version of the forecaster and detector state: raise it if arrays of the same name and shape
change their meaning."""
BYTES_MAX: Final = 16 << 20
"""Most bytes of all series; those without samples for longest are left out.  Chosen by hand; effect
not measured."""


FOLDER_SUFFIX: Final = ".series.d"
"""Of the folder with the samples and the states between them."""
_NAME_CHARS: Final = 32
"""Hexadecimal digits of a SHA-256 that name a file: no two of a billion contents are alike."""
_NAME: Final = re.compile(rf"[0-9a-f]{{{_NAME_CHARS}}}")
_TAIL, _WAITING = "tail/", "waiting/"
"""Prefixes of the arrays of samples in the main file: of the newest part, and of those that are
processed again."""
_BUFFER = "buffer"
"""The array that lists the parts of a series, as JSON; older versions have none."""


class SavedPart(msgspec.Struct, frozen=True):
    """A part of samples.  start, samples: names of files; empty without, and samples are in the
    main file then.  summary: of the samples, in case that their file is lost."""

    summary: LostSamples
    start: str
    samples: str


class SavedBuffer(msgspec.Struct, frozen=True):
    """The newest samples of a series: see `ReplayBuffer` and `WaitingSamples`."""

    lost: LostSamples
    parts: tuple[SavedPart, ...]
    unchanged: int
    fresh: int


class SavedSeries(msgspec.Struct, frozen=True):
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
        self._parts = PartFiles(knowledge.with_name(knowledge.name + FOLDER_SUFFIX))
        self.problem = ""
        self._samples = 0

    def restore(self, series: SeriesTracker) -> int:
        """Restore the state of series from the file; return how many continue.  A series whose
        state does not fit starts from scratch, and `problem` says why."""
        self.problem, found, listed = "", 0, set[str]()
        try:
            states = _read(self.path, self._parts)
        except (OSError, ValueError, IndexError) as error:
            self.problem = f"reading {self.path}: {error}; all series start from scratch"
            return 0
        for name, state, buffer in states:
            try:
                series.restore({name: state}, {} if buffer is None else {name: buffer})
                found += 1
                listed |= set() if buffer is None else _files_of(buffer[0])
            except EdgeError as error:
                self.problem = error.message
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                self.problem = f"restoring the series {name}: {error!r}; it starts from scratch"
        with suppress(OSError):
            self._parts.keep(listed)
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
        """Replace the files with the current state, after samples were forgotten.  Raises
        StateError if that fails: the files may still hold forgotten samples."""
        try:
            if self.path.exists() or self._parts.names():
                self._write(series)
        except OSError as error:
            raise StateError(
                f"forgetting series in {self.path}: {error.strerror or error}",
                "free space or make the file writable, then send the request again",
            ) from error

    def _write(self, series: SeriesTracker) -> None:
        held, size, left = [], 0, []
        for one in series.saved():
            arrays = {**one.state, **_inline(one)}
            size += sum(array.nbytes for array in arrays.values())
            if size > BYTES_MAX:
                left.append(one.name)
                break
            held.append((one, arrays))
        held.reverse()
        self.problem = (
            f"saving series: over the size limit with {left[0]}; it and older ones are left out"
            if left
            else ""
        )
        for one, arrays in held:
            listed = msgspec.json.encode(self._parts.store(one))
            arrays[_BUFFER] = np.frombuffer(listed, np.uint8)
        if held:
            block = pack_arrays(
                {f"{n}/{key}": one for n, (_, some) in enumerate(held) for key, one in some.items()}
            )
            names = tuple(one.name for one, _ in held)
            digest = hashlib.sha256(block).hexdigest()
            saved = SavedSeries(VERSION, names, digest, np.frombuffer(block, np.uint8))
            write_bytes(self.path, pack_data(saved), private=True)
        else:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.absolute().parent)
        self._parts.keep({name for one, _ in held for name in _files_of(one.buffer)})


class PartFiles:
    """The folder of samples and states that do not change any more, each in a file that is named
    after its content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, one: SeriesSnapshot) -> SavedBuffer:
        """Write the parts of a series that have no file so far, and return what lists them.  Raises
        OSError."""
        parts = one.buffer.parts
        for part in parts:
            if part.start is not None and not part.start_file:
                part.start_file = self._write(part.start)
        for part in parts[:-1]:
            if not part.samples_file and len(part.samples):
                part.samples_file = self._write(part.samples.arrays())
        saved = tuple(
            SavedPart(part.samples.summary(), part.start_file, part.samples_file) for part in parts
        )
        return SavedBuffer(one.buffer.lost, saved, one.waiting.unchanged, one.waiting.fresh)

    def read(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of a file, None if it is missing or damaged."""
        if not _NAME.fullmatch(name):
            return None
        try:
            body = (self._folder / name).read_bytes()
            return unpack_arrays(body) if _name_of(body) == name else None
        except (OSError, ValueError):
            return None

    def names(self) -> set[str]:
        """Return the names of all files."""
        return {one.name for one in self._folder.iterdir()} if self._folder.is_dir() else set()

    def keep(self, names: set[str]) -> None:
        """Remove all files but these.  Raises OSError if one cannot be removed."""
        gone = self.names() - names
        for name in gone:
            (self._folder / name).unlink(missing_ok=True)
        if gone:
            sync_folder(self._folder)

    def _write(self, arrays: Mapping[str, NDArray[Any]]) -> str:
        body = pack_arrays(arrays)
        name = _name_of(body)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_bytes(self._folder / name, body, private=True)
        return name


def _name_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_NAME_CHARS]


def _files_of(buffer: ReplayBuffer) -> set[str]:
    """Return the names of the files that hold parts of a series."""
    return {name for one in buffer.parts for name in (one.start_file, one.samples_file) if name}


def _inline(one: SeriesSnapshot) -> dict[str, NDArray[Any]]:
    """Return the samples of a series that the main file holds."""
    tail = one.buffer.parts[-1].samples.arrays()
    found = {f"{_TAIL}{name}": array for name, array in tail.items()}
    if len(one.waiting):
        waiting = one.waiting.block().arrays()
        found |= {f"{_WAITING}{name}": array for name, array in waiting.items()}
    return found


Found = tuple[str, dict[str, NDArray[Any]], tuple[ReplayBuffer, WaitingSamples] | None]
"""Name, state and newest samples of a stored series."""


def _read(path: Path, parts: PartFiles) -> Iterator[Found]:
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
    rows = tuple(zip(saved.names, states, strict=True))
    return (_found(name, state, parts) for name, state in rows)


def _found(name: str, state: dict[str, NDArray[Any]], parts: PartFiles) -> Found:
    tail, waiting = _take(state, _TAIL), _take(state, _WAITING)
    listed = state.pop(_BUFFER, None)
    if listed is None:
        return name, state, None
    try:
        saved = msgspec.json.decode(listed.tobytes(), type=SavedBuffer)
        buffer = _restore_buffer(saved, tail, parts)
        blocks = (SampleBlock.of(waiting),) if waiting else ()
        return name, state, (buffer, WaitingSamples(blocks, saved.unchanged, saved.fresh))
    except (ValueError, KeyError, TypeError):
        return name, state, None


def _take(state: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Remove and return the arrays of a prefix, without it."""
    names = [name for name in state if name.startswith(prefix)]
    return {name[len(prefix) :]: state.pop(name) for name in names}


def _restore_buffer(
    saved: SavedBuffer, tail: dict[str, NDArray[Any]], parts: PartFiles
) -> ReplayBuffer:
    """Return the newest samples of a series.  Where a file is missing or damaged, its samples and
    all older ones count as lost.  Raises ValueError, KeyError or TypeError for other content."""
    made = ReplayBuffer(lost=saved.lost)
    made.parts = []
    for number, one in enumerate(saved.parts):
        last = number == len(saved.parts) - 1
        arrays = tail if last else parts.read(one.samples) if one.samples else None
        if arrays is None and one.summary.count:
            for before in made.parts:
                made.lost.add(before.samples.summary())
            made.lost.add(one.summary)
            made.parts = []
            continue
        samples = SampleBlock() if arrays is None else SampleBlock.of(arrays)
        start = parts.read(one.start) if one.start else None
        names = one.start if start is not None else "", "" if last else one.samples
        made.parts.append(BufferPart(start, samples, *names))
    return made
