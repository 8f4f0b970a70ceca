"""Damaged files that an outbox has set aside, for a person to look at until the next erasure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..storage import SIDE_FILES

COPIES_MAX: Final = 3
"""Damaged files that are kept.  Chosen by hand; effect not measured."""


def set_aside(path: Path) -> None:
    """Rename a damaged file with its log, and keep the newest earlier ones."""
    for number in range(COPIES_MAX - 1, 0, -1):
        _rename(path, f".damaged-{number}", f".damaged-{number + 1}")
    _rename(path, "", ".damaged-1")


def damaged_copies(path: Path) -> Iterator[Path]:
    """Yield the damaged files that were set aside, with their logs."""
    for number in range(1, COPIES_MAX + 1):
        for suffix in ("", *SIDE_FILES):
            copy = path.with_name(f"{path.name}.damaged-{number}{suffix}")
            if copy.exists():
                yield copy


def remove_damaged(path: Path) -> None:
    """Remove the damaged files: they may name what is forgotten, and cannot be searched for it.
    Raises OSError."""
    for copy in damaged_copies(path):
        copy.unlink()


def _rename(path: Path, before: str, after: str) -> None:
    for suffix in ("", *SIDE_FILES):
        found = path.with_name(path.name + before + suffix)
        if found.exists():
            found.replace(path.with_name(path.name + after + suffix))
