"""Times of forgotten samples of series, which are not learned again: keyed by stream, bounded."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from ..core import SeriesRange, limits
from .tables import hash_id, put_meta

NAME: Final = "series_tombstones"
"""In `meta`: the ranges of all series, the newest last."""


class BuriedRange(NamedTuple):
    """A range of times.  stream: hash of its name under the key of that number, in hex."""

    key: int
    stream: str
    from_ns: int
    until_ns: int


class SeriesTombstones:
    """Answers whether samples were forgotten.  keys: of the tombstones, by number.  body: of the
    entry in `meta`."""

    def __init__(self, keys: Sequence[tuple[int, bytes]], body: bytes | None) -> None:
        self.ranges = msgspec.json.decode(body, type=list[BuriedRange]) if body else []
        self.keys = keys
        self._known: dict[str, tuple[BuriedRange, ...]] = {}

    def hold(self, stream: str, at_ns: int) -> bool:
        """Return whether samples of a stream at this time were forgotten."""
        if not self.ranges:
            return False
        found = self._known.get(stream)
        if found is None:
            names = {(number, _hash(key, stream)) for number, key in self.keys}
            found = tuple(one for one in self.ranges if (one.key, one.stream) in names)
            self._known[stream] = found
        return any(one.from_ns <= at_ns < one.until_ns for one in found)

    def bury(
        self, db: sqlite3.Connection, number: int, key: bytes, ranges: Iterable[SeriesRange]
    ) -> None:
        """Write ranges under a key's number, and delete the oldest beyond the limit."""
        made = (
            BuriedRange(number, _hash(key, one.stream), one.from_ns, one.until_ns) for one in ranges
        )
        self.write(db, made)

    def adopt(self, db: sqlite3.Connection, other: "SeriesTombstones") -> None:
        """Write the ranges of another file, whose keys this one has by now."""
        keys = dict(other.keys)
        numbers = dict(db.execute("SELECT key, number FROM burial_keys").fetchall())
        self.write(db, (one._replace(key=numbers[keys[one.key]]) for one in other.ranges))

    def write(self, db: sqlite3.Connection, ranges: Iterable[BuriedRange]) -> None:
        """Write more ranges."""
        every = list(dict.fromkeys((*self.ranges, *ranges)))[-limits.SERIES_RANGES_MAX :]
        if every != self.ranges:
            put_meta(db, NAME, msgspec.json.encode(every))


def _hash(key: bytes, stream: str) -> str:
    return hash_id(key, f"series {stream}").hex()
