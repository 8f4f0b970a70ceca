"""What was derived from the facts, kept to open and to answer sooner: sums, thresholds, heads.

Nothing depends on it: an entry that is missing, damaged or of other facts is derived again.  An
entry goes in the transaction that takes out a fact which it may hold traces of.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

from numpy.typing import NDArray

from ..core import Concept, Derived
from .fact_reads import RowReader
from .serialization import pack_arrays, unpack_arrays

ENTRY_BYTES_MAX: Final = 64 << 20
"""Most bytes of one entry.  Larger ones are left out: writing one takes as long as deriving it.
Chosen by hand; effect not measured."""

ENTRIES_AT_ONCE: Final = 32
"""Entries that `delete_some` deletes: they take 8 ms of processor time with 100,000 facts, and all
240 take 30 (measured once)."""


def read_derived(
    rows: RowReader, place: tuple[str, str, str, str], key: str
) -> Mapping[str, NDArray[Any]] | None:
    """Return the arrays of an entry of an equal key, None if it is missing or damaged."""
    found = rows(
        "SELECT CAST(arrays AS BLOB), sha256 FROM derived WHERE name = ? AND domain = ?"
        " AND label = ? AND part = ? AND key = ?",
        (*place, key),
    )
    if not found:
        return None
    body, checksum = found[0]
    if not isinstance(body, bytes) or _checksum(place, key, body) != checksum:
        return None
    try:
        return unpack_arrays(body)
    except ValueError:
        return None


def write_derived(db: sqlite3.Connection, entries: Iterable[Derived]) -> None:
    """Write entries in place of those before."""
    packed = ((one, pack_arrays(one.arrays)) for one in entries)
    db.executemany(
        "INSERT OR REPLACE INTO derived (name, domain, label, part, key, arrays, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (*one.place, one.key, body, _checksum(one.place, one.key, body))
            for one, body in packed
            if len(body) <= ENTRY_BYTES_MAX
        ),
    )


def delete_traces(db: sqlite3.Connection, concepts: Iterable[Concept]) -> None:
    """Delete every entry that may hold traces of facts of these concepts; see `Derived.holds`."""
    db.executemany(
        "DELETE FROM derived WHERE domain IN ('', ?) AND label IN ('', ?)", list(concepts)
    )


def delete_some(db: sqlite3.Connection) -> bool:
    """Delete a few entries; True while there are more."""
    db.execute(
        "DELETE FROM derived WHERE number IN (SELECT number FROM derived LIMIT ?)",
        (ENTRIES_AT_ONCE,),
    )
    return db.execute("SELECT 1 FROM derived LIMIT 1").fetchone() is not None


def _checksum(place: tuple[str, ...], key: str, body: bytes) -> bytes:
    """Return the SHA-256 of an entry, each text preceded by its length."""
    state = hashlib.sha256()
    for text in (*place, key):
        raw = text.encode()
        state.update(len(raw).to_bytes(4, "little") + raw)
    state.update(body)
    return state.digest()
