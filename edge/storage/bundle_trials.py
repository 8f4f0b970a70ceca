"""The trial of a bundle, in the knowledge file: begun, confirmed or reverted in one transaction.

The state that the bundle replaced is kept until the trial ends.  A crash leaves the state before or
after a transaction; a trial in progress continues after a restart.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from ..core import Contribution
from ..core.adaptors import AdaptorRecord
from . import tables
from .fact_reads import RowReader
from .serialization import pack_arrays

Change = Callable[[str], AbstractContextManager[sqlite3.Connection]]

TRIAL: Final = "trial"
BEFORE: Final = "trial_before"
"""Key in `meta` of the replaced geometry: empty if there was none, absent if the geometry was
fitted again during the trial; the newer one then stays."""

NETWORK: Final = "bundle_network"
NETWORK_BEFORE: Final = "bundle_network_before"
"""Keys in `meta` of the forecasting network that a bundle brought, and, during a trial, of the one
that it replaced: empty if there was none."""

COUNTERS: Final = "bundle_counters"
INSTALLED: Final = "bundle_installed"
"""Key in `meta` of the version of the bundle that was kept last."""


class BundleTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle on trial.

    counter: the publisher's, higher in each bundle.  device, revision: of the contribution in the
    bundle, "" and 0 for none.  versions: domain and version of each adaptor in the bundle.
    """

    bundle: str
    publisher: str
    counter: int
    started_at_ns: int
    device: str = ""
    revision: int = 0
    versions: tuple[tuple[str, int], ...] = ()

    @property
    def version(self) -> str:
        """Publisher and counter, which name one bundle."""
        return f"{self.publisher} {self.counter}"


class BundleNetwork(msgspec.Struct, frozen=True, array_like=True):
    """A forecasting network that a bundle brought.  body: its arrays, as by `pack_arrays`."""

    publisher: str
    counter: int
    body: bytes


class ImportedBundle(msgspec.Struct, frozen=True):
    """A bundle that was imported.  name: of its file.  device: the one that exported it."""

    name: str
    publisher: str
    counter: int
    device: str


class BundleTrials:
    """The bundle trial of a store.  rows: runs a query; change: opens a transaction after which the
    adaptors are read again."""

    def __init__(self, rows: RowReader, change: Change) -> None:
        self._rows, self._change = rows, change

    def current(self) -> BundleTrial | None:
        """Return the trial in progress, if any."""
        found = self._meta(TRIAL)
        return None if found is None else msgspec.json.decode(found, type=BundleTrial)

    def counter(self, publisher: str) -> int:
        """Return the highest counter ever imported from a publisher, 0 for none."""
        return self._counters().get(publisher, 0)

    def installed(self) -> str:
        """Return the version of the bundle that was kept last, '' for none."""
        return (self._meta(INSTALLED) or b"").decode()

    def network(self) -> BundleNetwork | None:
        """Return the forecasting network that a bundle brought, if any."""
        return _network(self._meta(NETWORK))

    def begin_network(self, trial: BundleTrial, arrays: dict[str, Any], maker: str) -> None:
        """Import a bundle with a forecasting network, and keep the one before.  maker: the device
        that exported it."""
        counters = self._counters() | {trial.publisher: trial.counter}
        made = BundleNetwork(trial.publisher, trial.counter, pack_arrays(arrays))
        before = self._meta(NETWORK) or b""
        with self._change("beginning a trial") as db:
            tables.put_meta(db, NETWORK_BEFORE, before)
            tables.put_meta(db, NETWORK, msgspec.msgpack.encode(made))
            _note_import(db, trial, maker)
            tables.put_meta(db, COUNTERS, msgspec.json.encode(counters))
            tables.put_meta(db, TRIAL, msgspec.json.encode(trial))

    def begin(
        self,
        trial: BundleTrial,
        geometry: dict[str, Any],
        contribution: Contribution | None,
        records: tuple[AdaptorRecord, ...],
        maker: str = "",
    ) -> None:
        """Import a bundle and keep the replaced state.  maker: the device that exported it."""
        packed, before = pack_arrays(geometry), self._meta("geometry") or b""
        counters = self._counters() | {trial.publisher: trial.counter}
        with self._change("beginning a trial") as db:
            tables.put_meta(db, BEFORE, before)
            tables.put_meta(db, "geometry", packed)
            tables.put_meta(db, "geometry_sha256", hashlib.sha256(packed).digest())
            if contribution is not None:
                db.execute(
                    "INSERT INTO replaced_contributions SELECT * FROM contributions"
                    " WHERE device = ?",
                    (contribution.device,),
                )
                tables.store_contribution(db, contribution)
            number = _note_import(db, trial, maker)
            for record in records:
                tables.insert_adaptor(db, record)
                db.execute(
                    "UPDATE adaptors SET bundle = ? WHERE domain = ? AND version = ?",
                    (number, record.domain, record.version),
                )
            db.execute("DELETE FROM attempts")
            tables.put_meta(db, COUNTERS, msgspec.json.encode(counters))
            tables.put_meta(db, TRIAL, msgspec.json.encode(trial))

    def confirm(self) -> None:
        """Keep the bundle and delete the replaced state."""
        trial = self.current()
        with self._change("confirming a bundle") as db:
            for domain, _ in trial.versions if trial else ():
                tables.prune_adaptors(db, domain)
            if trial:
                tables.put_meta(db, INSTALLED, trial.version.encode())
            _end(db)

    def revert(self) -> None:
        """Restore the replaced state, except where something newer has been stored since."""
        trial, before = self.current(), self._meta(BEFORE)
        with self._change("reverting a bundle") as db:
            if before:
                tables.put_meta(db, "geometry", before)
                tables.put_meta(db, "geometry_sha256", hashlib.sha256(before).digest())
            elif before is not None:
                db.execute("DELETE FROM meta WHERE name IN ('geometry', 'geometry_sha256')")
            network = self._meta(NETWORK_BEFORE)
            if network is not None:
                _put_or_delete(db, NETWORK, network or None)
            for domain, version in trial.versions if trial else ():
                tables.delete_adaptor(db, domain, version)
            given = db.execute(
                "DELETE FROM contributions WHERE device = ? AND revision = ?",
                (trial.device, trial.revision) if trial else ("", -1),
            )
            if given.rowcount:
                db.execute("INSERT INTO contributions SELECT * FROM replaced_contributions")
            if trial:
                db.execute(
                    "DELETE FROM imported_bundles WHERE publisher = ? AND counter = ?",
                    (trial.publisher, trial.counter),
                )
            _end(db)

    def imported(self) -> list[ImportedBundle]:
        """Return the bundles that were imported and neither reverted nor removed."""
        rows = self._rows(
            "SELECT name, publisher, counter, device FROM imported_bundles ORDER BY number"
        )
        return [ImportedBundle(*row) for row in rows]

    def remove(self, one: ImportedBundle) -> None:
        """Remove the adaptors, the sums and the network of a bundle that is not on trial.  The
        geometry stays: all facts here are compared under it."""
        where = (one.publisher, one.counter)
        rows = self._rows(
            "SELECT number, device, revision FROM imported_bundles"
            " WHERE publisher = ? AND counter = ?",
            where,
        )
        with self._change("removing a bundle") as db:
            for number, device, revision in rows:
                db.execute("DELETE FROM adaptors WHERE bundle = ?", (number,))
                db.execute(
                    "DELETE FROM contributions WHERE device = ? AND revision = ?",
                    (device, revision),
                )
                db.execute("DELETE FROM imported_bundles WHERE number = ?", (number,))
            for name, left in ((NETWORK, None), (NETWORK_BEFORE, b"")):
                held = _network(self._meta(name))
                if held is not None and (held.publisher, held.counter) == where:
                    _put_or_delete(db, name, left)
            tables.delete_orphaned_ids(db)
            tables.put_meta(db, "unscrubbed", b"1")

    def _counters(self) -> dict[str, int]:
        found = self._meta(COUNTERS)
        return msgspec.json.decode(found, type=dict[str, int]) if found else {}

    def _meta(self, name: str) -> bytes | None:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else None


def _end(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM replaced_contributions")
    db.execute("DELETE FROM meta WHERE name IN (?, ?, ?)", (TRIAL, BEFORE, NETWORK_BEFORE))


def _note_import(db: sqlite3.Connection, trial: BundleTrial, maker: str) -> int | None:
    """Note an imported bundle; return its number."""
    return db.execute(
        "INSERT INTO imported_bundles (name, publisher, counter, device, revision)"
        " VALUES (?, ?, ?, ?, ?)",
        (trial.bundle, trial.publisher, trial.counter, maker, trial.revision),
    ).lastrowid


def _put_or_delete(db: sqlite3.Connection, name: str, value: bytes | None) -> None:
    if value is None:
        db.execute("DELETE FROM meta WHERE name = ?", (name,))
    else:
        tables.put_meta(db, name, value)


def _network(body: bytes | None) -> BundleNetwork | None:
    return msgspec.msgpack.decode(body, type=BundleNetwork) if body else None
