"""Forget requests that are not complete: their records, which go once there is a receipt.

A record names what is forgotten, since the request goes on after a crash.  Its row is overwritten
with the remains of the facts when the request is complete.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..core import EraseFacts, ExcludeFacts, PendingForget, StateCorruptError
from .fact_reads import DAMAGED, RowReader


def read_pending(rows: RowReader, path: Path) -> tuple[PendingForget, ...]:
    """Return the pending requests, oldest first; raises StateCorruptError for a damaged record."""
    found = rows("SELECT body FROM pending_forgets ORDER BY number", ())
    try:
        return tuple(msgspec.json.decode(row[0], type=PendingForget) for row in found)
    except ValueError as error:
        raise StateCorruptError(
            f"reading the pending forget requests in {path}: {error}", DAMAGED
        ) from error


def write_pending(db: sqlite3.Connection, one: PendingForget) -> None:
    """Write the record of a request in place of its earlier one, whose extremes it keeps."""
    request = one.receipt.request_id
    query = "SELECT body FROM pending_forgets WHERE request = ?"
    for (body,) in db.execute(query, (request,)).fetchall():
        held = msgspec.json.decode(body, type=PendingForget).extremes
        one = replace(one, extremes=tuple(sorted({*held, *one.extremes})))
    body = msgspec.json.encode(one).decode()
    db.execute(
        "INSERT INTO pending_forgets (request, body) VALUES (?, ?)"
        " ON CONFLICT (request) DO UPDATE SET body = excluded.body",
        (request, body),
    )


def delete_pending(db: sqlite3.Connection, request_id: str) -> None:
    """Delete the record of a request that is complete."""
    db.execute("DELETE FROM pending_forgets WHERE request = ?", (request_id,))


def request_of(effect: EraseFacts | ExcludeFacts, pending: Iterable[PendingForget]) -> str:
    """Return the id of the request that erases facts: a later slice belongs to the oldest one with
    facts left.  pending: the requests without a receipt, oldest first."""
    if isinstance(effect, EraseFacts):
        return effect.receipt.request_id
    left = (one for one in pending if not one.excluded)
    request = effect.request or next(left, None)
    return request.receipt.request_id if request is not None else ""
