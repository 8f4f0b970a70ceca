"""The file of an aggregator: one stored contribution for each child, and what is done with it.

Disk grows with the number of children, memory does not: arrays are read one child at a time.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import msgspec

from ..core import ThresholdOffer
from .database import WriterLock, connect, guard_errors, open_database, transaction
from .durable_files import PRIVATE
from .file_copies import remove_copies
from .schema import MigratedLayout
from .tables import put_meta

REFUSALS_MAX: Final = 1_000
"""Refusals kept, the newest.  Chosen by hand; effect not measured."""

REFUSALS_OF_ONE_MAX: Final = 8
"""Refusals kept of one child, so that it cannot push out those of the others.  Chosen by hand."""

MIGRATIONS: Final = [
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE children (
        device TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        revision INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        devices INTEGER NOT NULL,
        at_ns INTEGER NOT NULL,
        own INTEGER NOT NULL,
        tokens REAL NOT NULL,
        tokens_at_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX children_by_own ON children (own);
    CREATE TABLE sums (device TEXT PRIMARY KEY, arrays_bytes INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE offers (
        device TEXT NOT NULL,
        domain TEXT NOT NULL,
        label TEXT NOT NULL,
        samples INTEGER NOT NULL,
        tie INTEGER NOT NULL,
        row INTEGER NOT NULL,
        PRIMARY KEY (device, domain, label)
    ) WITHOUT ROWID;
    CREATE INDEX offers_by_rank ON offers (domain, label, samples DESC, tie DESC, row DESC);
    CREATE TABLE waiting (device TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, payload BLOB NOT NULL);
    CREATE TABLE refusals (
        number INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE TABLE applied (
        device TEXT NOT NULL,
        aggregate TEXT NOT NULL,
        revision INTEGER NOT NULL,
        at_ns INTEGER NOT NULL,
        PRIMARY KEY (device, aggregate)
    ) WITHOUT ROWID;
    CREATE TABLE outliers (
        device TEXT NOT NULL,
        domain TEXT NOT NULL,
        label TEXT NOT NULL,
        spreads REAL NOT NULL,
        share REAL NOT NULL,
        PRIMARY KEY (device, domain, label)
    ) WITHOUT ROWID;
    CREATE TABLE requests (
        number INTEGER PRIMARY KEY,
        verb TEXT NOT NULL,
        device TEXT NOT NULL,
        at_ns INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE members (member INTEGER PRIMARY KEY, device TEXT NOT NULL);
    CREATE INDEX members_by_device ON members (device);
    CREATE TABLE clashes (device TEXT PRIMARY KEY, other TEXT NOT NULL);
    DELETE FROM sums;
    DELETE FROM offers;
    DELETE FROM meta WHERE name = 'saved';
    UPDATE children SET state = 'refused', samples = 0, devices = 0 WHERE state = 'summed';
    """,
    "ALTER TABLE sums ADD COLUMN head BLOB NOT NULL DEFAULT x'';",
    """
    ALTER TABLE children ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE children DROP COLUMN placed;
    CREATE TABLE places (
        member INTEGER PRIMARY KEY, device TEXT NOT NULL, at_ns INTEGER NOT NULL
    );
    CREATE INDEX places_by_device ON places (device, at_ns);
    """,
]
"""The second step knows whose facts a sum holds; earlier files do not, so their children count
again when their messages, which the broker retains, arrive at the next start.  The third keeps the
signed manifest of a sum of several devices, so that its message can wait again.  The last one
keeps the places of devices that have left a child's sums, of several devices too; the column before
it knew only those of single devices."""

MATCHING: Final = """
    SELECT COUNT(*) FROM children
    WHERE ? IN ('', state) AND (? = '' OR instr(lower(device), lower(?)) > 0)
"""
"""Counts the children of a state, and with a part of the name, given twice; empty for all."""

LISTED: Final = MATCHING.replace("COUNT(*)", "*") + " ORDER BY device LIMIT ? OFFSET ?"
"""Lists them."""

PLACE_NS: Final = 24 * 3_600 * 10**9
"""How long another child that loses the same device does not take its place.  Chosen by hand: a
device that forgets is back within minutes."""

ChildState = Literal["summed", "withdrawn", "refused", "dropped"]
"""Of a child: its sums count; it has sent an empty contribution; its newest revision cannot be
used; an operator has dropped it."""

RequestVerb = Literal["drop", "admit", "reset", "check"]
T = TypeVar("T")


LAYOUT: Final = MigratedLayout(0x41554147, MIGRATIONS)
"""Of the file; the application id is 'AUAG'."""


class ChildRow(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A child.  at_ns: when the revision was applied.  own: the aggregate's own revision that first
    takes it in, 0 until there is one.  tokens: messages that it may send now, as of tokens_at_ns.
    """

    device: str
    state: ChildState
    revision: int
    samples: int = 0
    devices: int = 0
    at_ns: int = 0
    own: int = 0
    tokens: float = 0.0
    tokens_at_ns: int = 0


class ChildPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which children are listed.  state: theirs, empty for all.  find: part of their names, in any
    case of ASCII letters.  limit: most of them; offset: so many before."""

    state: str = ""
    find: str = ""
    limit: int = 100_000
    offset: int = 0


class RefusalRow(msgspec.Struct, frozen=True, array_like=True):
    """A contribution that was refused, and why."""

    device: str
    at_ns: int
    reason: str


class AppliedRow(msgspec.Struct, frozen=True, array_like=True):
    """An aggregate has taken in this revision of a child, or a newer one, at this time."""

    device: str
    aggregate: str
    revision: int
    at_ns: int


class OutlierRow(msgspec.Struct, frozen=True, array_like=True):
    """A child that the last check found far from the others in a concept."""

    device: str
    domain: str
    label: str
    spreads: float
    share: float


class RequestRow(msgspec.Struct, frozen=True, array_like=True):
    """Something that an operator wants done, by whoever has the file open for writing."""

    number: int
    verb: RequestVerb
    device: str
    at_ns: int


class AggregateFile:
    """An aggregator's file.  One process writes it; any may read it, and add requests.

    Raises StateError if it cannot be opened, or another process writes it.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path, self.writable = path, writable
        self._lock = WriterLock(path) if writable else None
        try:
            self._db = open_database(path, writable=writable, layout=LAYOUT)
            if writable:
                _make_private(path)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def change(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Return a transaction: all of its changes are durable at its end, or none happened."""
        return transaction(self._db, self.path, doing)

    def shrink_log(self) -> None:
        """Truncate the write-ahead log and delete the backups that migrations made: neither may
        keep withdrawn sums."""
        with guard_errors(self.path, "emptying the log of"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            remove_copies(self.path)

    # --- single values --------------------------------------------------------------------------

    def meta(self, name: str) -> bytes:
        """Return a named value, empty if there is none."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else b""

    def put_meta(self, name: str, value: bytes) -> None:
        """Write a named value, in a transaction."""
        put_meta(self._db, name, value)

    # --- children -------------------------------------------------------------------------------

    def child(self, device: str) -> ChildRow | None:
        """Return a child."""
        rows = self._rows("SELECT * FROM children WHERE device = ?", (device,))
        return _as(ChildRow, rows[0]) if rows else None

    def children(self) -> Iterator[ChildRow]:
        """Yield the children by name."""
        for row in self._db.execute("SELECT * FROM children ORDER BY device"):
            yield _as(ChildRow, row)

    def list_children(self, page: "ChildPage") -> tuple[list[ChildRow], int]:
        """Return a page of the children by name, and how many there are on all pages."""
        values = (page.state, page.find, page.find)
        rows = self._rows(LISTED, (*values, page.limit, page.offset))
        return [_as(ChildRow, row) for row in rows], int(self._rows(MATCHING, values)[0][0])

    def count(self, state: ChildState) -> tuple[int, int]:
        """Return how many children are in a state, and of how many devices."""
        query = "SELECT COUNT(*), COALESCE(SUM(devices), 0) FROM children WHERE state = ?"
        found = self._rows(query, (state,))[0]
        return int(found[0]), int(found[1])

    def sample_count(self) -> int:
        """Return the number of facts in the sum."""
        query = "SELECT COALESCE(SUM(samples), 0) FROM children WHERE state = 'summed'"
        return int(self._rows(query)[0][0])

    def put_child(self, row: ChildRow) -> None:
        """Write a child, in a transaction."""
        self._db.execute(
            "INSERT OR REPLACE INTO children VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            msgspec.structs.astuple(row),
        )

    def mark_published(self, own: int) -> None:
        """Note that the aggregate's own revision takes in all children, in a transaction."""
        self._db.execute("UPDATE children SET own = ? WHERE own = 0", (own,))

    # --- sums -----------------------------------------------------------------------------------

    def sums(self, device: str) -> tuple[int, bytes] | None:
        """Return a child's arrays, compressed, with their size; None if it has none."""
        rows = self._rows("SELECT arrays_bytes, body FROM sums WHERE device = ?", (device,))
        return (int(rows[0][0]), bytes(rows[0][1])) if rows else None

    def every_sums(self) -> Iterator[tuple[str, tuple[int, bytes]]]:
        """Yield the arrays of each child that has any, by name."""
        for (device,) in self._rows("SELECT device FROM sums ORDER BY device"):
            found = self.sums(device)
            if found is not None:
                yield device, found

    def message(self, device: str) -> bytes:
        """Return the message of a child whose sums are of several devices; empty without it."""
        rows = self._rows("SELECT head, body FROM sums WHERE device = ? AND head != x''", (device,))
        return b"".join(rows[0]) if rows else b""

    def replace_sums(
        self,
        device: str,
        packed: tuple[int, bytes] | None,
        offers: Iterable[ThresholdOffer],
        head: bytes = b"",
    ) -> None:
        """Write, or delete, a child's arrays with the ranks of its thresholds, in a transaction.
        head: what is before the arrays in a message that is to be kept."""
        self._db.execute("DELETE FROM offers WHERE device = ?", (device,))
        if packed is None:
            self._db.execute("DELETE FROM sums WHERE device = ?", (device,))
            return
        self._db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?)", (device, *packed, head))
        self._db.executemany(
            "INSERT INTO offers VALUES (?, ?, ?, ?, ?, ?)", [(device, *one) for one in offers]
        )

    def best_offers(self) -> dict[ThresholdOffer, str]:
        """Return the highest offer of each domain and concept, with the child that makes it."""
        found: dict[ThresholdOffer, str] = {}
        for key in self._rows("SELECT DISTINCT domain, label FROM offers"):
            (row,) = self._rows(
                "SELECT domain, label, samples, tie, row, device FROM offers WHERE domain = ?"
                " AND label = ? ORDER BY samples DESC, tie DESC, row DESC, device LIMIT 1",
                key,
            )
            found[ThresholdOffer(*row[:5])] = row[5]
        return found

    def concept_count(self) -> int:
        """Count the concepts that any child has thresholds of."""
        rows = self._rows("SELECT COUNT(*) FROM (SELECT DISTINCT domain, label FROM offers)")
        domains = self._rows("SELECT COUNT(*) FROM (SELECT DISTINCT domain FROM offers)")
        return int(rows[0][0]) - int(domains[0][0])

    # --- whose facts a child's sums hold --------------------------------------------------------

    def replace_members(self, device: str, members: Iterable[int]) -> None:
        """Write the numbers of the devices in a child's sums, in a transaction; what clashed with
        the numbers that it had before may be tried again."""
        self._db.execute("DELETE FROM members WHERE device = ?", (device,))
        self._db.executemany(
            "INSERT INTO members VALUES (?, ?)", ((member, device) for member in members)
        )
        self._db.execute("DELETE FROM clashes WHERE device = ? OR other = ?", (device, device))

    def members(self) -> list[int]:
        """Return the numbers of all devices in the sum, sorted."""
        return [row[0] for row in self._rows("SELECT member FROM members ORDER BY member")]

    def sharing(self, device: str, members: Iterable[int]) -> dict[str, tuple[int, bool]]:
        """Return the other children whose sums hold some of these devices too, with how many, most
        first, and whether this child has the place of all of these."""
        query = (
            "SELECT members.device, COUNT(*), COUNT(places.member) FROM members"
            " JOIN json_each(?) ON members.member = value"
            " LEFT JOIN places ON places.member = members.member AND places.device = ?"
            " WHERE members.device != ? GROUP BY members.device ORDER BY 2 DESC, 1"
        )
        rows = self._rows(query, (_as_list(members), device, device))
        return {str(name): (int(shared), shared == kept) for name, shared, kept in rows}

    def keep_places(self, device: str, members: Iterable[int], at_ns: int, most: int) -> None:
        """Keep the places of the devices that a child's sums hold, and will not hold once it has
        these members, in a transaction.  most: how many a child may keep, the newest."""
        self._db.execute(
            "INSERT INTO places SELECT member, ?, ? FROM members"
            " WHERE device = ? AND member NOT IN (SELECT value FROM json_each(?))"
            " ON CONFLICT (member) DO UPDATE SET device = excluded.device, at_ns = excluded.at_ns"
            " WHERE places.at_ns < excluded.at_ns - ?",
            (device, at_ns, device, _as_list(members), PLACE_NS),
        )
        self._db.execute(
            "DELETE FROM places WHERE member IN (SELECT member FROM places WHERE device = ?"
            " ORDER BY at_ns DESC, member LIMIT -1 OFFSET ?)",
            (device, most),
        )

    def leave_places(self, device: str) -> None:
        """Delete the places that are kept for a child, in a transaction."""
        self._db.execute("DELETE FROM places WHERE device = ?", (device,))

    def put_clash(self, device: str, other: str) -> None:
        """Note that a child waits because another one's sums hold the same devices, in a
        transaction."""
        self._db.execute("INSERT OR REPLACE INTO clashes VALUES (?, ?)", (device, other))

    def clash(self, device: str) -> str:
        """Return the child whose sums a child's waiting message clashes with; empty if none."""
        rows = self._rows("SELECT other FROM clashes WHERE device = ?", (device,))
        return str(rows[0][0]) if rows else ""

    # --- what waits, was refused, or is asked for -----------------------------------------------

    def wait(self, device: str, at_ns: int, payload: bytes) -> None:
        """Keep the newest message of a child for later, in a transaction."""
        self._db.execute(
            "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)", (device, at_ns, payload)
        )

    def waiting(self) -> list[tuple[str, int]]:
        """Return the children with a message that waits, and since when, oldest first."""
        return [
            (row[0], row[1]) for row in self._rows("SELECT device, at_ns FROM waiting ORDER BY 2")
        ]

    def waiting_payload(self, device: str) -> bytes:
        """Return a message that waits; empty if there is none."""
        rows = self._rows("SELECT payload FROM waiting WHERE device = ?", (device,))
        return bytes(rows[0][0]) if rows else b""

    def stop_waiting(self, device: str) -> None:
        """Delete a message that waits, in a transaction."""
        self._db.execute("DELETE FROM waiting WHERE device = ?", (device,))

    def refuse(self, row: RefusalRow) -> None:
        """Record a refusal, in a transaction; the newest `REFUSALS_MAX` are kept, and
        `REFUSALS_OF_ONE_MAX` of a child."""
        self._db.execute(
            "INSERT INTO refusals (device, at_ns, reason) VALUES (?, ?, ?)",
            msgspec.structs.astuple(row),
        )
        self._db.execute(
            "DELETE FROM refusals WHERE number IN (SELECT number FROM refusals WHERE device = ?"
            " ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (row.device, REFUSALS_OF_ONE_MAX),
        )
        self._db.execute(
            "DELETE FROM refusals WHERE number IN (SELECT number FROM refusals"
            " ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (REFUSALS_MAX,),
        )

    def refusals(self, limit: int = REFUSALS_MAX) -> list[RefusalRow]:
        """Return refusals, newest first."""
        query = "SELECT device, at_ns, reason FROM refusals ORDER BY number DESC LIMIT ?"
        return [_as(RefusalRow, row) for row in self._rows(query, (limit,))]

    def last_refusal(self, device: str) -> str:
        """Return why a child's last refused contribution was refused; empty if none was."""
        query = "SELECT reason FROM refusals WHERE device = ? ORDER BY number DESC LIMIT 1"
        rows = self._rows(query, (device,))
        return str(rows[0][0]) if rows else ""

    def apply(self, row: AppliedRow) -> None:
        """Record that an aggregate has taken a revision in, in a transaction; the first time of a
        revision stays."""
        self._db.execute(
            "INSERT INTO applied VALUES (?, ?, ?, ?) ON CONFLICT (device, aggregate) DO UPDATE SET"
            " revision = excluded.revision, at_ns = excluded.at_ns"
            " WHERE excluded.revision > revision",
            msgspec.structs.astuple(row),
        )

    def forget_applied(self, device: str) -> None:
        """Delete which aggregates have taken a child's revisions in, in a transaction."""
        self._db.execute("DELETE FROM applied WHERE device = ?", (device,))

    def applied(self, device: str) -> list[AppliedRow]:
        """Return which aggregates have taken a child's revisions in, the first one first."""
        query = "SELECT * FROM applied WHERE device = ? ORDER BY revision DESC, at_ns, aggregate"
        return [_as(AppliedRow, row) for row in self._rows(query, (device,))]

    def unacknowledged(self, aggregate: str, own: int) -> list[ChildRow]:
        """Return the children whose revision an aggregate above has taken in with this aggregate's
        revision `own`, and that are not told so yet."""
        query = (
            "SELECT children.* FROM children LEFT JOIN applied ON applied.device = children.device"
            " AND applied.aggregate = ? WHERE children.own BETWEEN 1 AND ?"
            " AND COALESCE(applied.revision, -1) < children.revision"
        )
        return [_as(ChildRow, row) for row in self._rows(query, (aggregate, own))]

    def put_outliers(self, rows: Iterable[OutlierRow]) -> None:
        """Replace the result of the last check, in a transaction."""
        self._db.execute("DELETE FROM outliers")
        self._db.executemany(
            "INSERT INTO outliers VALUES (?, ?, ?, ?, ?)", map(msgspec.structs.astuple, rows)
        )

    def outliers(self) -> list[OutlierRow]:
        """Return what the last check found, farthest first."""
        rows = self._rows("SELECT * FROM outliers ORDER BY spreads DESC, device, domain, label")
        return [_as(OutlierRow, row) for row in rows]

    def requests(self) -> list[RequestRow]:
        """Return what operators want done, oldest first."""
        rows = self._rows("SELECT number, verb, device, at_ns FROM requests ORDER BY number")
        return [_as(RequestRow, row) for row in rows]

    def finish_request(self, number: int) -> None:
        """Delete a request that is done, in a transaction."""
        self._db.execute("DELETE FROM requests WHERE number = ?", (number,))

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with guard_errors(self.path, "reading"):
            return self._db.execute(query, values).fetchall()


def _make_private(path: Path) -> None:
    """Let only its owner read a file and its log, before any sums are in them; SQLite gives a later
    log the mode of the file."""
    with guard_errors(path, "protecting"):
        for end in ("", "-wal", "-shm"):
            one = path.with_name(path.name + end)
            if one.exists():
                one.chmod(PRIVATE)


def has_aggregate(path: Path) -> bool:
    """Return whether an aggregator's file is there and laid out; one that has just been started
    may still be empty."""
    if not path.is_file():
        return False
    with guard_errors(path, "reading"), closing(connect(path, "mode=ro")) as db:
        return bool(db.execute("PRAGMA user_version").fetchone()[0])


def leave_request(path: Path, verb: RequestVerb, device: str, at_ns: int) -> int:
    """Ask whoever writes an aggregator's file to do something; return the request's number."""
    db = open_database(path, writable=True, layout=LAYOUT)
    try:
        with transaction(db, path, "asking the aggregator"):
            added = db.execute(
                "INSERT INTO requests (verb, device, at_ns) VALUES (?, ?, ?)",
                (verb, device, at_ns),
            )
            return int(added.lastrowid or 0)
    finally:
        db.close()


def _as_list(members: Iterable[int]) -> str:
    return msgspec.json.encode(list(members)).decode()


def _as(kind: type[T], row: tuple[Any, ...]) -> T:
    return msgspec.convert(row, kind)
