"""Copies of the knowledge file that migrations and restores leave beside it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

COPY_SUFFIX: Final = re.compile(r"\.(v\d+|before-restore.*)")
"""Suffixes of these copies."""


def own_copies(path: Path) -> Iterator[Path]:
    """Yield the copies of a knowledge file."""
    for other in path.absolute().parent.iterdir():
        suffix = other.name.removeprefix(path.name)
        if other.name.startswith(path.name) and COPY_SUFFIX.fullmatch(suffix):
            yield other


def remove_copies(path: Path) -> None:
    """Remove the copies of a knowledge file: an erasure must reach them.  Raises OSError."""
    for copy in own_copies(path):
        copy.unlink()
