"""The trial of a bundle in the knowledge file: begun, confirmed or reverted in one step each.

What the bundle replaced is kept beside it until the trial ends.  A crash leaves the state before a
step or after it; a trial that is under way goes on after it.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from ..core import Contribution
from ..core.adaptors import AdaptorRecord
from . import adaptor_tables as growth_tables
from . import contribution_tables as fleet_tables
from .serialization import pack_arrays

Change = Callable[[str], AbstractContextManager[sqlite3.Connection]]
Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]

TRIAL: Final = "trial"
BEFORE: Final = "trial_before"
"""Name in `meta` of the geometry before: empty where there was none, missing where a survey came
since, which stays."""

COUNTERS: Final = "bundle_counters"


class BundleTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle on trial.  versions: domain and version of each adaptor that came with it."""

    bundle: str
    publisher: str
    counter: int
    started_at_ns: int
    device: str = ""
    revision: int = 0
    versions: tuple[tuple[str, int], ...] = ()


class BundleTrials:
    """The trial of a store.  change: a transaction after which adaptors are read again."""

    def __init__(self, rows: Rows, change: Change) -> None:
        self._rows, self._change = rows, change

    def current(self) -> BundleTrial | None:
        """Return the trial that is under way."""
        found = self._meta(TRIAL)
        return None if found is None else msgspec.json.decode(found, type=BundleTrial)

    def counter(self, publisher: str) -> int:
        """Return the highest counter of a publisher that was ever taken, 0 for none."""
        return self._counters().get(publisher, 0)

    def begin(
        self,
        trial: BundleTrial,
        geometry: dict[str, Any],
        gift: Contribution | None,
        records: tuple[AdaptorRecord, ...],
    ) -> None:
        """Take a bundle in, keeping what it replaces."""
        packed, before = pack_arrays(geometry), self._meta("geometry") or b""
        counters = self._counters() | {trial.publisher: trial.counter}
        with self._change("beginning a trial") as db:
            put_trial(db, BEFORE, before)
            put_trial(db, "geometry", packed)
            put_trial(db, "geometry_sha256", hashlib.sha256(packed).digest())
            if gift is not None:
                db.execute(
                    "INSERT INTO replaced_contributions SELECT * FROM contributions"
                    " WHERE device = ?",
                    (gift.device,),
                )
                fleet_tables.put_contribution(db, gift)
            for record in records:
                growth_tables.add_attempt(db, record)
            db.execute("DELETE FROM attempts")
            put_trial(db, COUNTERS, msgspec.json.encode(counters))
            put_trial(db, TRIAL, msgspec.json.encode(trial))

    def confirm(self) -> None:
        """Keep the bundle: what it replaced goes."""
        trial = self.current()
        with self._change("confirming a bundle") as db:
            for domain, _ in trial.versions if trial else ():
                growth_tables.prune_adaptors(db, domain)
            _end(db)

    def revert(self) -> None:
        """Put back what the bundle replaced, as far as nothing newer came since."""
        trial, before = self.current(), self._meta(BEFORE)
        with self._change("reverting a bundle") as db:
            if before:
                put_trial(db, "geometry", before)
                put_trial(db, "geometry_sha256", hashlib.sha256(before).digest())
            elif before is not None:
                db.execute("DELETE FROM meta WHERE name IN ('geometry', 'geometry_sha256')")
            for domain, version in trial.versions if trial else ():
                growth_tables.remove_adaptor(db, domain, version)
            given = db.execute(
                "DELETE FROM contributions WHERE device = ? AND revision = ?",
                (trial.device, trial.revision) if trial else ("", -1),
            )
            if given.rowcount:
                db.execute("INSERT INTO contributions SELECT * FROM replaced_contributions")
            _end(db)

    def _counters(self) -> dict[str, int]:
        found = self._meta(COUNTERS)
        return msgspec.json.decode(found, type=dict[str, int]) if found else {}

    def _meta(self, name: str) -> bytes | None:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else None


def put_trial(db: sqlite3.Connection, name: str, value: bytes) -> None:
    """Write a named value of `meta`."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _end(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM replaced_contributions")
    db.execute("DELETE FROM meta WHERE name IN (?, ?)", (TRIAL, BEFORE))
