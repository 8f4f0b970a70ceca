"""The encoder card that a knowledge file was made with, read before the encoder is open."""

import sqlite3
from contextlib import closing
from pathlib import Path


def read_card_fingerprint(path: Path) -> str:
    """Return the fingerprint of the card that a knowledge file names; "" if there is no such file
    or it cannot be read: opening it then reports the reason.  Changes nothing."""
    if not path.is_file():
        return ""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT value FROM meta WHERE name = 'card'").fetchall()
            return bytes(rows[0][0]).decode() if rows else ""
    except (sqlite3.Error, ValueError, TypeError):
        return ""
