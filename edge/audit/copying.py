"""A private copy of a home, in memory where the system allows it, removed at the end."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from ..config import SETTINGS, Settings, read_settings
from ..core import StateError
from ..storage import guard_errors

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only a folder of ours inside it is used
"""The file system in memory that Linux offers: nothing of a copy there reaches a disk."""

SLACK: Final = 3
"""Free space needed, relative to the files: the copy, its log, and a rewritten database."""

PREFIX: Final = "auricle-audit-"
"""Of a copy's folder, followed by the id of the process that works on it."""

SKIPPED: Final = (".lock", "-shm", "-wal", "-journal")
"""Ends of files that belong to an open database; their content is copied with it."""

SQLITE: Final = b"SQLite format 3\x00"


@contextmanager
def copied_home(folder: Path) -> Iterator[tuple[Path, Settings]]:
    """Copy a home with all its files, and yield the copy with its settings; remove it at the end.

    Databases are copied as of one moment each, also while a daemon writes.  Only the owner can read
    the copy.  Copies that killed audits have left are removed first.  Raises StateError if a file
    cannot be read or there is no room.
    """
    settings = read_settings(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    room = _roomy(size)
    _remove_abandoned(room)
    copy = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=room))
    try:
        with guard_errors(folder, "copying"):
            for path in files:
                target = copy / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_file(path, target)
        yield copy, _inside(folder, copy, settings)
    except StateError as error:
        # A defect of the copy is one of the home, so report the path that the user can repair.
        told = error.message.replace(str(copy), str(folder))
        raise type(error)(told, error.hint) from error
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def copy_file(path: Path, target: Path) -> None:
    """Copy a file; a database with the changes in its log, and without files of an open one."""
    if path.name.endswith(SKIPPED):
        return
    with path.open("rb") as file:
        first = file.read(len(SQLITE))
    if first != SQLITE:
        shutil.copyfile(path, target)
        return
    # Without a log no process has it open, and reading must not leave files in the home.
    alone = "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True)
    with closing(source), closing(sqlite3.connect(target)) as made:
        source.backup(made)


def _inside(folder: Path, copy: Path, settings: Settings) -> Settings:
    """Return settings whose paths lie in the copy; raises StateError for a ledger elsewhere, which
    an audit would otherwise change."""
    ledger = (folder / settings.knowledge.file).absolute()
    if not ledger.is_relative_to(folder.absolute()):
        raise StateError(
            f"copying {folder}: its ledger {ledger} lies outside of it",
            f"name a file in the home as knowledge.file in {SETTINGS}",
        )
    inner = msgspec.structs.replace(
        settings.knowledge, file=str(ledger.relative_to(folder.absolute()))
    )
    card = settings.encoder.card
    outer = (folder / card).absolute()
    if outer.is_file() and not outer.is_relative_to(folder.absolute()):
        named = msgspec.structs.replace(settings.encoder, card=str(outer))
        settings = msgspec.structs.replace(settings, encoder=named)
    assert (copy / inner.file).is_relative_to(copy), "the audit changes its copy only"
    return msgspec.structs.replace(settings, knowledge=inner)


def _remove_abandoned(folder: Path) -> None:
    """Remove the copies of audits whose process is gone."""
    for path in folder.glob(f"{PREFIX}*-*"):
        process = path.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _roomy(size: int) -> Path:
    """Return the folder for a copy: memory if it has room, or else that of temporary files."""
    for folder in (MEMORY, Path(tempfile.gettempdir())):
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            free = shutil.disk_usage(folder).free
            if free > SLACK * size:
                return folder
    raise StateError(
        f"copying a home: {SLACK * size} bytes are needed in {MEMORY} or {tempfile.gettempdir()}",
        "free some space, or name another folder as TMPDIR",
    )
