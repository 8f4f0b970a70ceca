"""Durable file writes: written, synced, renamed in a synced folder, so they survive a power cut."""

import os
from collections.abc import Mapping
from pathlib import Path

SIDE_FILES = ("-wal", "-shm")


def sync_file(path: Path) -> None:
    """Sync a file's content to disk.  Raises OSError."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Sync a folder's entries to disk.  Raises OSError."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


PRIVATE = 0o600
"""POSIX mode: only the owner reads and writes."""


def replace_file(fresh: Path, target: Path, *, private: bool = False) -> None:
    """Rename a complete file durably: after a crash one of the two names holds all of it.
    private: only its owner may read it."""
    if private:
        fresh.chmod(PRIVATE)
    sync_file(fresh)
    fresh.replace(target)
    sync_folder(target.absolute().parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically and durably.  Raises OSError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, body: bytes, *, private: bool = False) -> None:
    """Write a file atomically and durably.  private: only its owner may read it, at any time.
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
    """Write files below a folder by their relative paths, each atomically; create missing folders.
    Returns the sorted paths.  Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        fresh = folder / f"{name}.new"
        fresh.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_bytes(content)
            replace_file(fresh, folder / name)
        finally:
            fresh.unlink(missing_ok=True)
    return tuple(sorted(contents))


def remove_file(path: Path) -> None:
    """Remove a database file, its log and its index, if they exist."""
    for suffix in ("", *SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
