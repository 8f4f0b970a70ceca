"""Finished outcomes in the folder of a report, so that an interrupted comparison goes on."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from ...core import ConfigError
from ..code_version import code_version
from ..scenarios import StrategyScenario
from ..sweep import write_file
from .strategy import TaskStream
from .trial import StrategyOutcome

OUTCOME_FORMAT: Final = 1
"""Part of each outcome's key: raised when the meaning of an outcome changes."""

LEARNING: Final = ("sim/strategies", "core", "growth", "../hdc", "../nas")
"""Folders of the package whose code the strategies run."""


class SavedOutcomes:
    """The outcomes of a comparison, a file each, named by what they depend on: the scenario but
    for its names and orders, the stream, this version, the strategy and the seed.  damaged: files
    that could not be read, so that their strategies run again.

    folder: None keeps nothing.  Raises ConfigError where it cannot be written to.
    """

    def __init__(self, scenario: StrategyScenario, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "outcomes"
        # What more names and orders add has files of its own.
        spec = msgspec.structs.replace(scenario.strategies, names=(), orders=1)
        plain = msgspec.structs.replace(scenario, strategies=spec)
        self._key = msgspec.json.encode(
            (OUTCOME_FORMAT, code_version(*LEARNING), plain), order="sorted"
        )
        self.damaged: list[Path] = []
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unwritable(self._folder, error) from error

    def path(self, stream: TaskStream, strategy: str, seed: int) -> Path | None:
        """Return the file of an outcome, None without a folder."""
        if self._folder is None:
            return None
        key = hashlib.sha256(self._key)
        key.update(digest_stream(stream))
        key.update(msgspec.json.encode((strategy, seed)))
        return self._folder / f"{key.hexdigest()[:20]}-seed{seed}.json"

    def read(self, path: Path | None) -> StrategyOutcome | None:
        """Return a finished outcome, None where there is none or its file is damaged."""
        if path is None or not path.is_file():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=StrategyOutcome)
        except (msgspec.DecodeError, OSError):
            self.damaged.append(path)
            return None

    def write(self, path: Path | None, outcome: StrategyOutcome) -> None:
        """Store an outcome atomically, but for one whose process failed: it may not the next time.

        Raises ConfigError where it cannot be written.
        """
        if path is None or outcome.failure.startswith("failed"):
            return
        try:
            write_file(path, msgspec.json.encode(outcome))
        except OSError as error:
            raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"writing outcomes to {path}: {error.strerror}", "choose a writable folder")


def digest_stream(stream: TaskStream) -> bytes:
    """Return the SHA-256 of all that a strategy can see of a stream.  Cost: 1 ms a MB."""
    digest = hashlib.sha256()
    head = (stream.world, stream.variant, stream.spans, stream.labels, stream.domains)
    ended = [sorted(labels) for labels in stream.replaces]
    digest.update(msgspec.json.encode((*head, ended, stream.task_given)))
    for task in stream.tasks:
        digest.update(msgspec.json.encode((task.name, len(task.train), len(task.test))))
        for part in (task.train, task.test):
            for rows in (part.features, part.targets, part.domains):
                digest.update(rows.tobytes())
    return digest.digest()
