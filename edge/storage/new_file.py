"""A new knowledge file: its card, its key and the names of its columns."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

import encoder

from ..core import ConfigError, StateError, find_invalid_columns
from .database import guard_errors, open_database, transaction
from .page_cleaner import PageCleaner
from .tables import put_meta


def write_empty(fresh: Path, card: encoder.Card, columns: Sequence[str]) -> None:
    """Write a complete knowledge file without facts, its log merged into it."""
    db = open_database(fresh, writable=True)
    try:
        with transaction(db, fresh, "writing the encoder card"):
            db.execute("INSERT INTO burial_keys (key) VALUES (?)", (os.urandom(32),))
            put_meta(db, "card", card.fingerprint.encode())
            put_meta(db, "width", str(card.width).encode())
            # Nothing was ever erased.
            db.execute("DELETE FROM meta WHERE name IN ('uncleaned', 'plain_digests')")
            if columns:
                put_meta(db, "columns", msgspec.json.encode(list(columns)))
    finally:
        db.close()
    # Making so many tables has split pages, which leaves copies of their texts.
    with guard_errors(fresh, "cleaning"), closing(PageCleaner(fresh)) as cleaner:
        cleaner.clean()


def require_columns(columns: Sequence[str], card: encoder.Card) -> None:
    """Raise ConfigError unless these names fit a card's input columns."""
    if card.kind != "vector":
        raise ConfigError(
            f"naming columns: the encoder {card.name} takes a payload of kind {card.kind}",
            "only vector encoders have named columns",
        )
    width = card.input.size("V")
    wrong = find_invalid_columns(columns, len(columns) if width == -1 else width)
    if wrong:
        raise ConfigError(f"naming columns: {wrong}", "correct the names or their number")


def refuse_existing(path: Path, doing: str) -> None:
    """Raise StateError for a path that exists."""
    if path.exists():
        raise StateError(f"{doing}: the file exists already", "choose another name")
