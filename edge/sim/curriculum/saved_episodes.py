"""Finished episodes in the folder of a search, so that an interrupted one goes on."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ...core import ConfigError
from ..code_version import code_version
from ..scenarios import Scenario
from .box import Point
from .episodes import Cell, Episode

EPISODE_FORMAT: Final = 1
"""Part of the file's key: raised when the meaning of an episode changes."""

RUN_BY: Final = ("sim", "core", "growth", "storage", "../hdc", "../nas", "../encoder")
"""Folders of the package whose code an episode runs."""


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    curriculum: str
    point: tuple[float, ...]
    reward: float
    cell: Cell
    defect: str


class SavedEpisodes:
    """The episodes of a search, a line each in a file named by what they depend on: scenario, seed
    and this version's source.  A line that a crash cut short is run again.

    folder: None keeps nothing.  Raises ConfigError where it cannot be written to.
    """

    def __init__(self, scenario: Scenario, seed: int, folder: Path | None) -> None:
        self._path: Path | None = None
        self._kept: dict[tuple[str, tuple[float, ...]], Episode] = {}
        if folder is None:
            return
        key = msgspec.json.encode(
            (EPISODE_FORMAT, code_version(*RUN_BY), scenario, seed), order="sorted"
        )
        self._path = folder / f"episodes-{hashlib.sha256(key).hexdigest()[:20]}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        except OSError as error:
            raise _failed(self._path, error) from error
        for line in lines:
            try:
                one = msgspec.json.decode(line, type=_Saved)
            except msgspec.DecodeError:
                continue
            self._kept[one.curriculum, one.point] = Episode(
                point=np.array(one.point), reward=one.reward, cell=one.cell, defect=one.defect
            )

    def get(self, curriculum: str, point: Point, run: Callable[[], Episode]) -> Episode:
        """Return the episode of a curriculum at a point: the saved one, or a new one that is saved
        before it is returned.  Raises ConfigError where it cannot be written."""
        key = curriculum, tuple(point.tolist())
        if key not in self._kept:
            self._kept[key] = found = run()
            self._append(key, found)
        return self._kept[key]

    def _append(self, key: tuple[str, tuple[float, ...]], one: Episode) -> None:
        if self._path is None:
            return
        saved = _Saved(
            curriculum=key[0], point=key[1], reward=one.reward, cell=one.cell, defect=one.defect
        )
        try:
            with self._path.open("ab") as file:
                # A line that was cut short ends here.
                head = b"\n" if file.tell() else b""
                file.write(head + msgspec.json.encode(saved))
        except OSError as error:
            raise _failed(self._path, error) from error

    def remove(self) -> None:
        """Delete the file: the search's own report holds what it found."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _failed(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"keeping finished worlds in {path}: {error.strerror}", "choose a writable folder"
    )
