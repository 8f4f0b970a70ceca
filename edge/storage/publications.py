"""What this device has published of its facts: cohorts and parts of bundles by digests, its last
revision, who holds any of it, and the orders to drop it.

A forgotten fact ends what it has shaped on other devices, too.  Contributions are replaced there;
a bundle is recalled, by an order that `edge.fleet` publishes until the bundle's record is deleted.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from sqlite3 import Connection
from typing import Any, Final, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from ..core import CohortPlan, DeviceOrder, FrozenStruct, Published, digest_content
from .fact_reads import RowReader
from .fleet_place import FleetPlace
from .tables import put_meta

TABLES: Final = ("cohorts", "exports", "exported_parts", "holders", "recalls")
KEY: Final = "published_key"
LAST: Final = "contributed"

DIGEST_BYTES: Final = 16
"""Length of a digest in `cohorts` and `exported_parts`; see `core.knowledge.cohorts`."""

WITHDRAWN: Final = "withdrawn"
ABOVE: Final = "applied_above"
JOINED: Final = "fleet_joined"
LEFT: Final = "fleets_left"

LEFT_MAX: Final = 16
"""Places in fleets that this device has left, and still withdraws its sums from: those that wait
for a broker, then the newest.  Chosen by hand; effect not measured."""

ABOVE_MAX: Final = 64
"""Aggregates remembered that hold this device's sums, those named last: sixty levels fit a report.
Chosen by hand."""

REFUSED: Final = "fleet_refusals"

REFUSALS_MAX: Final = 64
"""Refused contributions remembered, the newest of each device: as many as are kept at all."""

WITHDRAWALS_MAX: Final = 256
"""Withdrawals of contributions remembered, the newest.  Chosen by hand; effect not measured."""

EXPORTS_MAX: Final = 256
"""Bundles remembered: one a day for most of a year.  Older ones cannot be recalled.  Chosen by
hand."""

HOLDERS_MAX: Final = 1_024
"""Reports of other devices kept: 64 members with 16 bundles each.  Chosen by hand."""

NAMED: Final = (KEY, LAST, WITHDRAWN, ABOVE, JOINED, LEFT)
"""The named values of what was published."""

PartKind = Literal["geometry", "adaptor"]
Change = Callable[[str], AbstractContextManager[Connection]]


class LastRevision(msgspec.Struct, frozen=True, array_like=True):
    """The contribution last published.  content: a digest of it, empty if it holds no sums.
    forgets: number of forget requests before it."""

    revision: int = 0
    content: str = ""
    forgets: int = 0


class AboveRow(msgspec.Struct, frozen=True, array_like=True):
    """An aggregate that has taken in a revision of this device, or a newer one, at a time."""

    aggregate: str
    revision: int
    at_ns: int


class AppliedAbove(msgspec.Struct, frozen=True, array_like=True):
    """The last report of an aggregator that sums this device, with what earlier reports name.
    refused: why it does not."""

    aggregator: str = ""
    rows: tuple[AboveRow, ...] = ()
    refused: str = ""


class FleetRefusal(msgspec.Struct, frozen=True, array_like=True):
    """A contribution of another device that was refused, and why."""

    device: str
    at_ns: int
    reason: str


class Withdrawal(msgspec.Struct, frozen=True, array_like=True):
    """A forget request's order, the first revision without its facts, and when each aggregate took
    that in."""

    order_id: str
    revision: int
    dropped: dict[str, int] = {}


class ExportedPart(msgspec.Struct, frozen=True):
    """A geometry or an adaptor in a bundle.  name: keyed digest of its arrays.  members: keyed
    digests of the contents that it follows from."""

    kind: PartKind
    name: bytes
    members: tuple[bytes, ...]


class BundleVersion(FrozenStruct, frozen=True):
    """Publisher and counter, which name one bundle."""

    publisher: str
    counter: int


class ExportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds, to be recorded before it leaves the device.

    newest, forgets: number of the newest cohort, and of forget requests, when it was made; it must
    be made again if they differ.  kept, added, dropped: see `CohortPlan`.
    """

    version: BundleVersion
    newest: int
    forgets: int
    kept: tuple[int, ...]
    added: tuple[tuple[bytes, ...], ...]
    dropped: tuple[int, ...]
    parts: tuple[ExportedPart, ...]


class Shaped(FrozenStruct, frozen=True):
    """What some facts have shaped: whether a contribution, and which exported bundles."""

    contribution: bool
    exports: tuple[int, ...]


class HeldBundle(FrozenStruct, frozen=True):
    """A bundle that another device reports to hold.  revision, for a contribution: 0 for none."""

    device: str
    holds: Literal["contribution", "bundle"]
    version: BundleVersion


class Publications:
    """The record of what left the device, in a file.  rows: runs a query; change: begins a
    transaction.  sends: set it to True where orders are published to a fleet."""

    def __init__(self, rows: RowReader, change: Change) -> None:
        self._rows, self._change = rows, change
        self.sends = False

    # --- contributions --------------------------------------------------------------------------

    def published(self) -> Published:
        """Return what was published so far.  Cost: reads 16 bytes for each fact of it."""
        rows = self._rows("SELECT number, members FROM cohorts ORDER BY number")
        cohorts = {number: _split(members) for number, members in rows}
        return Published(key=self._meta(KEY), cohorts=cohorts)

    def forgets(self) -> int:
        """Return the number of forget requests so far, those that are not complete included."""
        query = "SELECT (SELECT COUNT(*) FROM receipts) + (SELECT COUNT(*) FROM pending_forgets)"
        return int(self._rows(query)[0][0])

    def record(self, plan: CohortPlan, before: Published) -> bool:
        """Record durably what is about to be sent to the fleet; False if something else was
        recorded since `before` was read, and the plan has to be made again."""
        if self._newest() != max(before.cohorts, default=0):
            return False
        with self._change("recording what is published") as db:
            _write_cohorts(db, self._newest(), plan.added, plan.dropped)
        return True

    def record_export(self, one: ExportRecord) -> bool:
        """Record durably what a bundle holds; False if facts were forgotten or something else was
        recorded since it was made: it must not leave the device then."""
        if (self._newest(), self.forgets()) != (one.newest, one.forgets):
            return False
        with self._change("recording what a bundle holds") as db:
            added = _write_cohorts(db, one.newest, one.added, one.dropped)
            _write_export(db, one.version, [*one.kept, *added], one.parts)
        return True

    def _newest(self) -> int:
        return int(self._rows("SELECT COALESCE(MAX(number), 0) FROM cohorts")[0][0])

    def earlier_parts(self, kind: PartKind) -> dict[bytes, tuple[bytes, ...]]:
        """Return the members of every geometry, or adaptor, that was exported, by name."""
        rows = self._rows("SELECT name, members FROM exported_parts WHERE kind = ?", (kind,))
        return {bytes(name): _split(members) for name, members in rows}

    def adopt(self, other: "Publications") -> None:
        """Take over what another file has recorded, in place of what this one has: a restored
        backup must not publish parts of what was published since."""
        tables, meta = other.content()
        with self._change("restoring what was published") as db:
            for name, rows in tables.items():
                db.execute(f"DELETE FROM {name}")
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    db.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
            for name, value in meta.items():
                put_meta(db, name, value)

    def content(self) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, bytes]]:
        """Return the rows of all tables, and the named values."""
        tables = {name: list(self._rows(f"SELECT * FROM {name}")) for name in TABLES}
        return tables, {name: self._meta(name) for name in NAMED}

    def last(self) -> LastRevision:
        """Return the contribution last published."""
        body = self._meta(LAST)
        return msgspec.json.decode(body, type=LastRevision) if body else LastRevision()

    def revision(self, content: str, now_ns: int, forgets: int) -> int:
        """Return the revision of this device's contribution, durably: the last one for the same
        content, else a higher one.  New revisions follow the clock in seconds, so that a restored
        backup does not publish a revision below an earlier one.  content: a digest of the sums,
        empty without any; it is kept under a key."""
        content = content and self._keyed(content)
        last = self.last()
        same = bool(last.revision) and last.content == content
        if same and last.forgets == forgets:
            return last.revision
        revision = last.revision if same else max(last.revision + 1, now_ns // 10**9)
        with self._change("numbering the contribution of this device") as db:
            put_meta(db, LAST, msgspec.json.encode(LastRevision(revision, content, forgets)))
        return revision

    def note_withdrawal(self, revision: int) -> None:
        """Record that a revision holds none of the facts whose sums were ordered to be dropped."""
        held = list(self.withdrawals())
        known = {one.order_id for one in held}
        orders = [row[0] for row in self._rows("SELECT order_id FROM recalls")]
        added = [Withdrawal(order, revision) for order in orders if order not in known]
        if added:
            self._put_withdrawals([*held, *added])

    def withdrawals(self) -> tuple[Withdrawal, ...]:
        """Return the withdrawals of contributions, oldest first."""
        body = self._meta(WITHDRAWN)
        return msgspec.json.decode(body, type=tuple[Withdrawal, ...]) if body else ()

    def note_above(self, report: AppliedAbove) -> None:
        """Record what the aggregators above have taken in; the first time of each stays.  Those
        that only an earlier report names, as of a second aggregator, may still hold the sums."""
        before, named = self.above(), {one.aggregate for one in report.rows}
        others = (one for one in before.rows if one.aggregate not in named)
        report = replace(report, rows=(*others, *report.rows)[-ABOVE_MAX:])
        if report == before:
            return
        held = [_with_times(one, report.rows) for one in self.withdrawals()]
        with self._change("recording what aggregators have taken in") as db:
            put_meta(db, ABOVE, msgspec.json.encode(report))
            if held:
                put_meta(db, WITHDRAWN, msgspec.json.encode(held))

    def above(self) -> AppliedAbove:
        """Return the last report of the aggregator that sums this device."""
        body = self._meta(ABOVE)
        return msgspec.json.decode(body, type=AppliedAbove) if body else AppliedAbove()

    def summed_by(self) -> frozenset[str]:
        """Return the aggregates that hold this device's sums: to adopt one would count its facts
        twice."""
        above = self.above()
        if above.refused or not self.last().content:
            return frozenset()
        return frozenset(one.aggregate for one in above.rows)

    def join(self, here: FleetPlace, now_ns: int) -> tuple[FleetPlace, ...]:
        """Record where this device publishes its sums; return the places that it has left, newest
        last, where they are to be withdrawn."""
        before = self.joined()
        if before == here:
            return self.left()
        moved = before is not None and before.at != here.at
        left = self._with_left(before, now_ns) if before is not None and moved else self.left()
        left = tuple(one for one in left if one.at != here.at)
        self._settle(here, left, moved=moved)
        return left

    def leave(self, now_ns: int) -> tuple[FleetPlace, ...]:
        """Record that this device is in no fleet; return the places that it has left."""
        before = self.joined()
        if before is not None:
            self._settle(None, self._with_left(before, now_ns), moved=True)
        return self.left()

    def _with_left(self, place: FleetPlace, now_ns: int) -> tuple[FleetPlace, ...]:
        """Return the places that this device has left, with one that it leaves now."""
        left = tuple(one for one in self.left() if one.at != place.at)
        last = self.last()
        taken_back = not last.content and any(one.revision == last.revision for one in self.left())
        if not last.revision or taken_back:
            # Nothing was published since the last place was left.
            return left
        # From here on a higher revision counts: the sums may be published again, in a new place.
        revision = self.revision("", now_ns, self.forgets())
        names = tuple(one.aggregate for one in self.above().rows)
        return (*left, replace(place, revision=revision, aggregates=names))

    def _settle(
        self, here: FleetPlace | None, left: tuple[FleetPlace, ...], *, moved: bool
    ) -> None:
        with self._change("recording the fleet of this device") as db:
            put_meta(db, JOINED, msgspec.json.encode(here) if here is not None else b"")
            # One whose sums may still be there stays longest.
            newest = sorted(range(len(left)), key=lambda at: (not left[at].withdrawn, at))[
                -LEFT_MAX:
            ]
            put_meta(db, LEFT, msgspec.json.encode([left[at] for at in sorted(newest)]))
            if moved:
                put_meta(db, ABOVE, msgspec.json.encode(AppliedAbove()))

    def joined(self) -> FleetPlace | None:
        """Return where this device publishes its sums; None if it is in no fleet."""
        body = self._meta(JOINED)
        return msgspec.json.decode(body, type=FleetPlace) if body else None

    def left(self) -> tuple[FleetPlace, ...]:
        """Return the places in fleets that this device has left."""
        body = self._meta(LEFT)
        return msgspec.json.decode(body, type=tuple[FleetPlace, ...]) if body else ()

    def note_withdrawn(self, place: tuple[str, str], broker: str, at_ns: int) -> None:
        """Record that a broker has taken the withdrawal from a place; the first time stays."""
        left = tuple(
            replace(one, withdrawn_at_ns=at_ns, withdrawn_by=broker)
            if one.at == place and not one.withdrawn_at_ns
            else one
            for one in self.left()
        )
        if left != self.left():
            with self._change("recording a withdrawal from a fleet") as db:
                put_meta(db, LEFT, msgspec.json.encode(left))

    def note_dropped(self, place: tuple[str, str], rows: Iterable[AboveRow]) -> None:
        """Record which aggregates of a fleet that this device has left have taken its withdrawal
        in, and with it the orders of all forget requests so far; the first time stays."""
        left, times = self.left(), dict[str, int]()
        for at, one in enumerate(left):
            if one.at == place:
                found = {row.aggregate: row.at_ns for row in rows if row.revision >= one.revision}
                times = {name: found[name] for name in one.unreported & found.keys()}
                dropped = {**one.dropped, **times}
                left = (*left[:at], replace(one, dropped=dropped), *left[at + 1 :])
        if not times:
            return
        if self.joined() is None:
            # Outside any fleet no later revision will take in what is forgotten from now on.
            self.note_withdrawal(self.last().revision)
        # An aggregate of the same name in the fleet of today reports for itself.
        elsewhere = times.keys() - {row.aggregate for row in self.above().rows}
        gone = {name: times[name] for name in elsewhere}
        held = [replace(one, dropped={**gone, **one.dropped}) for one in self.withdrawals()]
        with self._change("recording what the aggregators of a fleet have dropped") as db:
            put_meta(db, LEFT, msgspec.json.encode(left))
            put_meta(db, WITHDRAWN, msgspec.json.encode(held))

    def note_refusal(self, device: str, at_ns: int, reason: str) -> None:
        """Record that a device's newest contribution was refused; an empty reason: it was not."""
        held = self.refusals()
        others = [one for one in held if one.device != device]
        if not reason and len(others) == len(held):
            return
        made = [*others, FleetRefusal(device, at_ns, reason)] if reason else others
        with self._change("recording a refused contribution") as db:
            put_meta(db, REFUSED, msgspec.json.encode(made[-REFUSALS_MAX:]))

    def refusals(self) -> tuple[FleetRefusal, ...]:
        """Return the refusals, oldest first."""
        body = self._meta(REFUSED)
        return msgspec.json.decode(body, type=tuple[FleetRefusal, ...]) if body else ()

    def _put_withdrawals(self, held: Sequence[Withdrawal]) -> None:
        with self._change("recording a withdrawal") as db:
            put_meta(db, WITHDRAWN, msgspec.json.encode(held[-WITHDRAWALS_MAX:]))

    # --- other devices --------------------------------------------------------------------------

    def note_holder(self, device: str, held: Iterable[HeldBundle]) -> None:
        """Record what a device reports to hold of this one, in place of its last report."""
        rows = [(one.device, one.holds, one.version.publisher, one.version.counter) for one in held]
        with self._change("recording what another device holds") as db:
            db.execute("DELETE FROM holders WHERE device = ?", (device,))
            db.executemany("INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?)", rows)
            db.execute(
                "DELETE FROM holders WHERE rowid NOT IN"
                " (SELECT rowid FROM holders ORDER BY rowid DESC LIMIT ?)",
                (HOLDERS_MAX,),
            )

    def holders(self) -> list[HeldBundle]:
        """Return what other devices report to hold of this one."""
        rows = self._rows("SELECT device, holds, publisher, counter FROM holders ORDER BY 1, 2, 3")
        return [HeldBundle(one[0], one[1], BundleVersion(one[2], one[3])) for one in rows]

    def recalled(self) -> list[tuple[str, BundleVersion]]:
        """Return the orders to drop a bundle, with its version, oldest first."""
        rows = self._rows(
            "SELECT order_id, publisher, counter FROM exports WHERE order_id != '' ORDER BY number"
        )
        return [(order, BundleVersion(publisher, counter)) for order, publisher, counter in rows]

    def shaped_by(self, ids: Iterable[str]) -> Shaped:
        """Return what facts with these ids have shaped; call it before they are erased."""
        contents = self._contents(ids)
        return Shaped(self._is_published(contents), tuple(self._exports_of(contents)))

    def order(self, db: Connection, request_id: str, shaped: Shaped) -> None:
        """Order that it is dropped everywhere; in the transaction that erases the facts."""
        order = self._order_id(request_id)
        if shaped.contribution:
            db.execute("INSERT OR IGNORE INTO recalls VALUES (?)", (order,))
        for number in shaped.exports:
            db.execute(
                "UPDATE exports SET order_id = ? WHERE number = ? AND order_id = ''",
                (order, number),
            )

    def orders(self, request_id: str, ids: Iterable[str]) -> tuple[DeviceOrder, ...]:
        """Return the orders of a forget request: those given when its facts were erased, and those
        that will be given when facts with these ids are."""
        order, shaped = self._order_id(request_id), self.shaped_by(ids)
        given = self._rows("SELECT 1 FROM recalls WHERE order_id = ?", (order,))
        marked = self._rows("SELECT number FROM exports WHERE order_id = ?", (order,))
        numbers = sorted({row[0] for row in marked}.union(shaped.exports))
        made = []
        if given or shaped.contribution:
            times = next((one.dropped for one in self.withdrawals() if one.order_id == order), {})
            made += [
                DeviceOrder(device, "contribution", order, sent, times.get(device, at_ns))
                for device, (sent, at_ns) in self._contribution_holders().items()
            ]
        for number in numbers:
            made += self._bundle_orders(number, order)
        return tuple(made)

    def _contribution_holders(self) -> dict[str, tuple[bool, int]]:
        """Return who holds sums of this device, whether what takes them out is sent there, and when
        it took them out after this device had left."""
        left, here = self.left(), self.joined()
        # A withdrawal from the last fleet reaches its members as it reaches its aggregators.
        sent = self.sends or bool(left and left[-1].withdrawn)
        named = [one.device for one in self.holders() if one.holds == "contribution"]
        named += [one.aggregate for one in self.above().rows]
        found = dict.fromkeys(named, (sent, 0))
        for place in left:
            waits = not place.withdrawn_at_ns and here is not None and here.broker == place.broker
            sent = place.withdrawn or (self.sends and waits)
            for name in place.aggregates:
                found.setdefault(name, (sent, place.dropped.get(name, 0)))
        unnamed = "every device that adopts these sums"
        return found or ({unnamed: (sent, 0)} if self.last().revision else {})

    def _bundle_orders(self, number: int, order: str) -> Iterable[DeviceOrder]:
        (row,) = self._rows("SELECT publisher, counter FROM exports WHERE number = ?", (number,))
        version = BundleVersion(*row)
        for one in self.holders():
            if one.holds == "bundle" and one.version == version:
                yield DeviceOrder(one.device, "bundle", order, self.sends)
        where = f"any other device that imported bundle {version.counter} of {version.publisher}"
        yield DeviceOrder(where, "bundle", order, sent=False)

    def _order_id(self, request_id: str) -> str:
        """Return the id of a request's orders, which other devices see."""
        return self._keyed(request_id)[:16]

    def _keyed(self, text: str) -> str:
        return hmac.new(self._meta(KEY), text.encode(), hashlib.sha256).hexdigest()

    def _contents(self, ids: Iterable[str]) -> set[bytes]:
        key = self._meta(KEY)
        found = (self._rows("SELECT features FROM facts WHERE id = ?", (one,)) for one in ids)
        return {digest_content(row[0], key) for rows in found for row in rows}

    def _is_published(self, contents: set[bytes]) -> bool:
        rows = self._rows("SELECT number, members FROM cohorts") if contents else ()
        return bool(_touched(rows, contents))

    def _exports_of(self, contents: set[bytes]) -> list[int]:
        """Return the numbers of the exported bundles that any of these contents has shaped and
        that are not recalled yet."""
        rows = self._rows("SELECT number, cohorts, parts FROM exports WHERE order_id = ''")
        if not (contents and rows):
            return []
        cohorts = _touched(self._rows("SELECT number, members FROM cohorts"), contents)
        parts = _touched(self._rows("SELECT number, members FROM exported_parts"), contents)
        return [
            number
            for number, held, made in rows
            if cohorts.intersection(_numbers(held)) or parts.intersection(_numbers(made))
        ]

    def _meta(self, name: str) -> bytes:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else b""


def _with_times(one: Withdrawal, rows: Iterable[AboveRow]) -> Withdrawal:
    """Return a withdrawal with the times at which aggregates took it in."""
    times = {row.aggregate: row.at_ns for row in rows if row.revision >= one.revision}
    return replace(one, dropped={**times, **one.dropped})


def _write_cohorts(
    db: Connection, newest: int, added: Sequence[tuple[bytes, ...]], dropped: Sequence[int]
) -> range:
    """Write new cohorts after the newest, and delete some; return the numbers of the new ones."""
    numbers = range(newest + 1, newest + 1 + len(added))
    made = [(number, b"".join(one)) for number, one in zip(numbers, added, strict=True)]
    db.executemany("INSERT INTO cohorts VALUES (?, ?)", made)
    db.executemany("DELETE FROM cohorts WHERE number = ?", [(number,) for number in dropped])
    return numbers


def _write_export(
    db: Connection, bundle: BundleVersion, cohorts: Sequence[int], parts: Sequence[ExportedPart]
) -> None:
    numbers = []
    for part in parts:
        row = (part.kind, part.name, b"".join(part.members))
        db.execute(
            "INSERT OR IGNORE INTO exported_parts (kind, name, members) VALUES (?, ?, ?)", row
        )
        found = db.execute("SELECT number FROM exported_parts WHERE kind = ? AND name = ?", row[:2])
        numbers.append(found.fetchone()[0])
    db.execute(
        "INSERT INTO exports (publisher, counter, cohorts, parts, order_id)"
        " VALUES (?, ?, ?, ?, '')",
        (bundle.publisher, bundle.counter, _packed(cohorts), _packed(numbers)),
    )
    db.execute(
        "DELETE FROM exports WHERE number NOT IN"
        " (SELECT number FROM exports ORDER BY number DESC LIMIT ?)",
        (EXPORTS_MAX,),
    )


def _touched(rows: Sequence[tuple[int, bytes]], contents: set[bytes]) -> set[int]:
    """Return the numbers of the rows (number, members) that hold any of these digests.

    Compares half of each digest, which errs once in 2^40 requests: then an order too many is given.
    Cost: 20 ms for 100,000 members.
    """
    if not (rows and contents):
        return set()
    halves = np.frombuffer(b"".join(members for _, members in rows), "<u8")[::2]
    found = np.flatnonzero(np.isin(halves, np.frombuffer(b"".join(contents), "<u8")[::2]))
    ends = np.cumsum([len(members) // DIGEST_BYTES for _, members in rows])
    return {rows[place][0] for place in ends.searchsorted(found, side="right").tolist()}


def _split(members: bytes) -> tuple[bytes, ...]:
    starts = range(0, len(members), DIGEST_BYTES)
    return tuple(members[start : start + DIGEST_BYTES] for start in starts)


def _packed(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}q", *numbers)


def _numbers(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 8}q", packed)
