"""A cache of encoded features on disk, by card and content, shared by seeds and sweeps."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import FeatureModel

CACHE_ROWS_MAX: Final = 100_000
"""Newest rows that a cache file keeps: 269 MB with the default encoder's 2,688 columns."""

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLite result codes for a file that is not a database, or has other tables."""

Encoded = tuple[bytes, float]
"""Features (uint8 as bytes), and the microseconds that encoding took."""


def payload_key(payload: Any) -> bytes:
    """Return the SHA-256 of a payload; for an array, of its dtype, shape and content."""
    if isinstance(payload, np.ndarray):
        head = f"{payload.dtype.str} {payload.shape};".encode()
        return hashlib.sha256(head + np.ascontiguousarray(payload).tobytes()).digest()
    return hashlib.sha256(payload).digest()


class FeatureCache:
    """A file of encoded features for one card.  A damaged file is deleted: it is only a cache."""

    def __init__(self, card: encoder.Card, folder: Path | None = None) -> None:
        self._width = card.width
        self._path = (folder or cache_folder()) / f"features-{card.fingerprint[:16]}.db"

    def read(self, keys: Iterable[bytes]) -> dict[bytes, Encoded]:
        """Return the cached entries of some keys."""
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
            # A lock held by another process is not damage.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
                self._path.unlink(missing_ok=True)
            return {}
        return found

    def write(self, entries: Mapping[bytes, Encoded]) -> None:
        """Store entries; if the disk fails, the next run encodes again."""
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
    """An encoder that returns cached features, by content of the payload.

    model: encodes payloads missing in `encoded`.  encode_us: microseconds of each encoding, as
    measured when it ran; spent_ns: wall-clock time spent in `encode`.
    """

    def __init__(self, model: FeatureModel, encoded: Mapping[bytes, Encoded]) -> None:
        self._model = model
        self._encoded = encoded
        self.encode_us: list[float] = []
        self.spent_ns = 0

    @property
    def card(self) -> encoder.Card:
        """The card of the model."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Return the features of a payload; passes on the model's exceptions."""
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
    """Encode one payload and measure the time."""
    began = perf_counter_ns()
    features = model.encode(payload).values.tobytes()
    return features, (perf_counter_ns() - began) / 1000


def encode_cached(card: encoder.Card, payloads: Sequence[Any]) -> NDArray[np.uint8]:
    """Return the features of payloads, uint8 [n, width], with the cache of sweeps."""
    keys = [payload_key(payload) for payload in payloads]
    cache = FeatureCache(card)
    found = cache.read(keys) if card.file is not None else {}
    missing = {key: one for key, one in zip(keys, payloads, strict=True) if key not in found}
    if missing:
        with encoder.open_model(card) as model:
            fresh = {key: encode_timed(model, payload) for key, payload in missing.items()}
        if card.file is not None:
            cache.write(fresh)
        found = {**found, **fresh}
    return np.stack([np.frombuffer(found[key][0], np.uint8) for key in keys])


def cache_folder() -> Path:
    """Return the folder of cached features of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "auricle"
