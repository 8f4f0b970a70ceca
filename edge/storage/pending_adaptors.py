"""The table `pending_adaptors`: how the adaptors were made that a forget ended, until they are made
again."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..core.adaptors import PendingAdaptor
from .stored_blueprint import decode_blueprint

COLUMNS: Final = "domain, version, blueprint, seed"


def keep_blueprints(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Keep how the serving adaptors were made that any of these facts shaped, as versions to come.
    Call it before they are deleted."""
    db.executemany(
        "INSERT INTO pending_adaptors SELECT domain, version + 1, blueprint, seed"
        " FROM adaptors AS ended WHERE number IN (SELECT adaptor FROM adaptor_facts WHERE id = ?)"
        " AND number = (SELECT MAX(number) FROM adaptors"
        " WHERE domain = ended.domain AND kept_for IS NULL)"
        " ON CONFLICT (domain) DO UPDATE SET version = excluded.version,"
        " blueprint = excluded.blueprint, seed = excluded.seed"
        " WHERE excluded.version > pending_adaptors.version",
        [(fact_id,) for fact_id in ids],
    )


def drop_pending(db: sqlite3.Connection, domain: str, version: int | None = None) -> None:
    """Delete the pending adaptor of a domain; only that of a version, if one is given."""
    db.execute(
        "DELETE FROM pending_adaptors WHERE domain = ?1 AND version = COALESCE(?2, version)",
        (domain, version),
    )


def pending_from_row(row: Sequence[Any]) -> PendingAdaptor:
    """Return the pending adaptor of a row of COLUMNS; raises ValueError for an invalid
    blueprint."""
    domain, version, blueprint, seed = row
    found = decode_blueprint(blueprint)
    return PendingAdaptor(domain=domain, version=version, blueprint=found, seed=seed)
