"""Real file systems for tests: small ones that can be filled, and made read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PAGE = 4096
"""Bytes of a block of tmpfs."""
ATTEMPTS = 20
"""How often a disk that others write to is filled."""


class Disk:
    """A mounted file system in memory, with `folder` as its root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, room: int = 0) -> None:
        """Fill it up to `room` bytes."""
        for _ in range(ATTEMPTS):
            self.free()
            # A daemon that writes meanwhile may leave less room than there was.
            with self._filler.open("wb") as file, suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, self.room - room // PAGE * PAGE)
                return
        raise AssertionError("the disk could not be filled")

    def free(self) -> None:
        """Give the room back that was filled."""
        self._filler.unlink(missing_ok=True)

    @property
    def room(self) -> int:
        """Free bytes."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def remount(self, option: str) -> None:
        """Mount it again, with `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, mib: int = 16) -> Iterator[Disk]:
    """Yield a disk of this size; skip the test where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no program `mount`")
    if mounted.returncode:
        pytest.skip(f"no disk may be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield Disk(folder)
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "-l", str(folder)], check=True)
