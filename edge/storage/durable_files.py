"""Files that are there after a power cut: written, synced, and named in a synced folder."""

import os
from collections.abc import Mapping
from pathlib import Path

SIDE_FILES = ("-wal", "-shm")


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk.  Raises OSError."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until a folder's names are on the disk.  Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


PRIVATE = 0o600
"""POSIX mode: only the owner reads and writes."""


def replace_file(fresh: Path, target: Path, *, private: bool = False) -> None:
    """Give a finished file its name, durably: after a crash either name holds all of it.
    private: nobody but its owner may read it."""
    if private:
        fresh.chmod(PRIVATE)
    sync_file(fresh)
    fresh.replace(target)
    sync_folder(target.absolute().parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file durably, whole or not at all.  Raises OSError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, body: bytes, *, private: bool = False) -> None:
    """Write a file durably, whole or not at all.  private: nobody but its owner may ever read it.
    Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    try:
        if private:
            fresh.touch(PRIVATE)
        fresh.write_bytes(body)
        replace_file(fresh, path, private=private)
    finally:
        fresh.unlink(missing_ok=True)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write files into a folder, made where it is not there, each whole or not at all; returns
    their names, sorted.  Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        fresh = folder / f"{name}.new"
        try:
            fresh.write_bytes(content)
            replace_file(fresh, folder / name)
        finally:
            fresh.unlink(missing_ok=True)
    return tuple(sorted(contents))


def remove_file(path: Path) -> None:
    """Remove a database file with its log and index, as far as they exist."""
    for suffix in ("", *SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
