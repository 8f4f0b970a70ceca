"""Opening an outbox even where the file is damaged."""

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from ..config import OutboxSettings
from ..core import StateCorruptError
from ..logs import log
from ..storage import SIDE_FILES, guard_errors, open_database
from . import schema
from .boot_clock import PLAUSIBLE_NS
from .outbox import Outbox

COPIES_MAX: Final = 3
SECONDS_SHIFT: Final = 16
"""A file in place of a damaged one begins with the seconds since 1970, times 2^16: higher than any
number of a device that sends less than 65,536 messages a second."""


def open_outbox(path: Path, settings: OutboxSettings) -> Outbox:
    """Open the outbox; a damaged file is set aside, and told as a loss.  Raises StateCorruptError
    where the clock cannot tell a number that was never used, StateVersionError for a newer file."""
    try:
        return Outbox(path, settings)
    except StateCorruptError as error:
        if time.time_ns() < PLAUSIBLE_NS:
            raise StateCorruptError(error.message, "set the clock, and start again") from error
        _set_aside(path)
        log.warning("outbox_damaged", reason=error.message, kept_as=f"{path.name}.damaged-1")
        return Outbox(path, settings, first=int(time.time()) << SECONDS_SHIFT)


def count_waiting(path: Path) -> int:
    """Return how many messages wait in an outbox that a daemon may be using; 0 where there is no
    file.  Raises StateError."""
    if not os.path.lexists(path):
        return 0
    with guard_errors(path, "opening the outbox"):
        db = open_database(path, writable=False, layout=schema)
        with closing(db):
            return int(db.execute("SELECT COUNT(*) FROM entries").fetchone()[0])


def _set_aside(path: Path) -> None:
    """Rename a damaged file with its log; of earlier ones the newest are kept."""
    for number in range(COPIES_MAX - 1, 0, -1):
        _rename(path, f".damaged-{number}", f".damaged-{number + 1}")
    _rename(path, "", ".damaged-1")


def _rename(path: Path, before: str, after: str) -> None:
    for suffix in ("", *SIDE_FILES):
        found = path.with_name(path.name + before + suffix)
        if found.exists():
            found.replace(path.with_name(path.name + after + suffix))
