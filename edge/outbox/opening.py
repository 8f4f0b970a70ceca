"""Opening an outbox: a damaged file is set aside, and a new one begins."""

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from ..config import OutboxSettings
from ..core import StateCorruptError
from ..logs import log
from ..storage import guard_errors, open_database
from . import schema
from .boot_clock import PLAUSIBLE_NS
from .damaged_copies import set_aside
from .outbox import Outbox

SECONDS_SHIFT: Final = 16
"""The file after a damaged one starts numbering at the seconds since 1970, times 2^16: no device
that sends fewer than 65,536 messages a second has reached such a number."""


def open_outbox(path: Path, settings: OutboxSettings) -> Outbox:
    """Open the outbox; a damaged file is set aside and reported as a loss.

    Raises StateCorruptError if the clock is unset, so that no unused number is known, and
    StateVersionError for a newer file.
    """
    try:
        return Outbox(path, settings)
    except StateCorruptError as error:
        if time.time_ns() < PLAUSIBLE_NS:
            raise StateCorruptError(error.message, "set the clock, and start again") from error
        set_aside(path)
        log.warning("outbox_damaged", reason=error.message, kept_as=f"{path.name}.damaged-1")
        return Outbox(path, settings, first=int(time.time()) << SECONDS_SHIFT)


def count_waiting(path: Path) -> int:
    """Return how many messages wait in an outbox that a daemon may have open; 0 without a file.
    Raises StateError."""
    if not os.path.lexists(path):
        return 0
    with guard_errors(path, "opening the outbox"):
        db = open_database(path, writable=False, layout=schema)
        with closing(db):
            return int(db.execute("SELECT COUNT(*) FROM entries").fetchone()[0])
