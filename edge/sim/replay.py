"""Encoded features kept on disk, by card and content, so that seeds and sweeps encode only once."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

import numpy as np

import encoder

CACHE_ROWS_MAX: Final = 100_000
"""Rows a cache file keeps, the newest: some 200 MB with the shipped encoder's 2,064 columns."""

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""What SQLite says of a file that is no database, or has other tables."""

Encoded = tuple[bytes, float]
"""Features uint8 as bytes, and the microseconds that encoding took when it was done."""


def payload_key(payload: Any) -> bytes:
    """SHA-256 of a payload's content (with dtype and shape, where it is an array)."""
    if isinstance(payload, np.ndarray):
        head = f"{payload.dtype.str} {payload.shape};".encode()
        return hashlib.sha256(head + np.ascontiguousarray(payload).tobytes()).digest()
    return hashlib.sha256(payload).digest()


class FeatureCache:
    """A file of encoded features for one card.  It is a cache: a damaged one is begun anew."""

    def __init__(self, card: encoder.Card, folder: Path | None = None) -> None:
        self._width = card.width
        self._path = (folder or _cache_folder()) / f"features-{card.fingerprint[:16]}.db"

    def read(self, keys: Iterable[bytes]) -> dict[bytes, Encoded]:
        """Return what is known of some keys."""
        found: dict[bytes, Encoded] = {}
        try:
            with closing(self._open()) as db:
                for key in set(keys):
                    row = db.execute(
                        "SELECT features, encode_us FROM features WHERE key = ?", (key,)
                    ).fetchone()
                    if row is not None and len(row[0]) == self._width:
                        found[key] = (row[0], row[1])
        except (OSError, sqlite3.DatabaseError) as error:
            # Another process that writes to it does not make it a damaged one.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
                self._path.unlink(missing_ok=True)
            return {}
        return found

    def write(self, entries: Mapping[bytes, Encoded]) -> None:
        """Keep entries; where the disk does not take them, the next run encodes again."""
        rows = [(key, features, us) for key, (features, us) in entries.items()]
        try:
            with closing(self._open()) as db, db:
                db.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)
                db.execute(
                    "DELETE FROM features WHERE rowid <= (SELECT MAX(rowid) FROM features) - ?",
                    (CACHE_ROWS_MAX,),
                )
        except (OSError, sqlite3.DatabaseError):
            return

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path)
        db.execute(
            "CREATE TABLE IF NOT EXISTS features"
            " (key BLOB PRIMARY KEY, features BLOB NOT NULL, encode_us REAL NOT NULL)"
        )
        return db


class ReplayModel:
    """What the Runtime takes for an encoder: features made before, by content of the payload.

    model: encodes what `encoded` lacks.  `encode_us`: microseconds of each encoding, as measured
    when it was really done; `spent_ns`: time spent in here, by the wall clock.
    """

    def __init__(self, model: encoder.Model, encoded: Mapping[bytes, Encoded]) -> None:
        self._model = model
        self._encoded = encoded
        self.encode_us: list[float] = []
        self.spent_ns = 0

    @property
    def card(self) -> encoder.Card:
        """The card of the model."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Return the features of a payload; raises what the model raises."""
        began = perf_counter_ns()
        known = self._encoded.get(payload_key(payload)) if self._encoded else None
        if known is not None:
            features = encoder.Features(np.frombuffer(known[0], np.uint8))
            self.encode_us.append(known[1])
        else:
            features = self._model.encode(payload)
            self.encode_us.append((perf_counter_ns() - began) / 1000)
        self.spent_ns += perf_counter_ns() - began
        return features


def encode_timed(model: encoder.Model, payload: object) -> Encoded:
    """Encode one payload and say how long it took."""
    began = perf_counter_ns()
    features = model.encode(payload).values.tobytes()
    return features, (perf_counter_ns() - began) / 1000


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "auricle"
