"""What this device has published of its facts: cohorts by digests, and its last revision."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from sqlite3 import Connection
from typing import Final

import msgspec

from ..core import CohortPlan, Published
from .fact_reads import Rows
from .tables import put_meta

KEY: Final = "published_key"
LAST: Final = "contributed"
DIGEST_BYTES: Final = 16
"""Length of a digest in `cohorts.members`; see `core.knowledge.cohorts`."""

Change = Callable[[str], AbstractContextManager[Connection]]


class LastRevision(msgspec.Struct, frozen=True, array_like=True):
    """The contribution last published.  content: a digest of it, empty if it holds no sums.
    forgets: number of forget requests before it."""

    revision: int = 0
    content: str = ""
    forgets: int = 0


class Publications:
    """The record of contributions in a file.  rows: runs a query; change: begins a transaction."""

    def __init__(self, rows: Rows, change: Change) -> None:
        self._rows, self._change = rows, change

    def published(self) -> Published:
        """Return what was published so far.  Cost: reads 16 bytes for each fact of it."""
        rows = self._rows("SELECT number, members FROM cohorts ORDER BY number")
        cohorts = {number: _split(members) for number, members in rows}
        return Published(key=self._meta(KEY), cohorts=cohorts)

    def record(self, plan: CohortPlan, before: Published) -> bool:
        """Record durably what is about to be published; False if something else was recorded since
        `before` was read, and the plan has to be made again."""
        rows = self._rows("SELECT COALESCE(MAX(number), 0) FROM cohorts")
        if rows[0][0] != max(before.cohorts, default=0):
            return False
        with self._change("recording what is published") as db:
            made = [(b"".join(members),) for members in plan.added]
            db.executemany("INSERT INTO cohorts (members) VALUES (?)", made)
            gone = [(number,) for number in plan.dropped]
            db.executemany("DELETE FROM cohorts WHERE number = ?", gone)
        return True

    def adopt(self, other: "Publications") -> None:
        """Take over what another file has recorded, in place of what this one has: a restored
        backup must not publish parts of what was published since."""
        rows = other._rows("SELECT number, members FROM cohorts")  # noqa: SLF001 - of the same class
        with self._change("restoring what was published") as db:
            db.execute("DELETE FROM cohorts")
            db.executemany("INSERT INTO cohorts VALUES (?, ?)", rows)
            for name in (KEY, LAST):
                put_meta(db, name, other._meta(name))  # noqa: SLF001 - of the same class

    def last(self) -> LastRevision:
        """Return the contribution last published."""
        body = self._meta(LAST)
        return msgspec.json.decode(body, type=LastRevision) if body else LastRevision()

    def revision(self, content: str, now_ns: int, forgets: int) -> int:
        """Return the revision of this device's contribution, durably: the last one for the same
        content, else a higher one.  New revisions follow the clock in seconds, so that a restored
        backup does not publish a revision below an earlier one."""
        last = self.last()
        if last.revision and (last.content, last.forgets) == (content, forgets):
            return last.revision
        same = bool(last.revision) and last.content == content
        revision = last.revision if same else max(last.revision + 1, now_ns // 10**9)
        with self._change("numbering the contribution of this device") as db:
            put_meta(db, LAST, msgspec.json.encode(LastRevision(revision, content, forgets)))
        return revision

    def _meta(self, name: str) -> bytes:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else b""


def _split(members: bytes) -> tuple[bytes, ...]:
    starts = range(0, len(members), DIGEST_BYTES)
    return tuple(members[start : start + DIGEST_BYTES] for start in starts)
