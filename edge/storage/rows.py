"""Rows of the knowledge file and what they stand for: facts, selections, tombstones, receipts."""

import hashlib
import hmac
from pathlib import Path
from typing import Any, Final

import msgspec

from ..core import Fact, Receipt, Selector, StateCorruptError

COLUMNS: Final = "id, stream, domain, label, captured_at_ns, features, subject, revision"
"""Columns of `facts`, in the order of Fact's fields."""

NAMES: Final = COLUMNS.split(", ")
FEATURES: Final = NAMES.index("features")


def fact_of(row: tuple[Any, ...], width: int, path: Path) -> Fact:
    """Make the fact of a row; raises StateCorruptError where its features are not `width` bytes."""
    fact_id, features = row[0], row[FEATURES]
    if not isinstance(features, bytes) or len(features) != width:
        raise StateCorruptError(
            f"reading {path}: the features of {fact_id!r} are not {width} bytes",
            "keep the damaged file; put the last backup in its place",
        )
    return Fact(**dict(zip(NAMES, row, strict=True)))


def row_of(fact: Fact) -> tuple[Any, ...]:
    """Return a fact's values in the order of COLUMNS."""
    return (
        fact.id,
        fact.stream,
        fact.domain,
        fact.label,
        fact.captured_at_ns,
        fact.features,
        fact.subject,
        fact.revision,
    )


def where_clause(selector: Selector) -> tuple[str, tuple[Any, ...]]:
    """Return SQL for everything but `ids`, which may be more than SQLite takes as parameters."""
    terms = [
        (f"{name} = ?", getattr(selector, name))
        for name in ("subject", "stream", "domain", "label")
    ]
    terms += [("captured_at_ns >= ?", selector.from_ns), ("captured_at_ns < ?", selector.until_ns)]
    used = [(term, value) for term, value in terms if value is not None]
    where = " AND ".join(term for term, _ in used) or "1"
    return where, tuple(value for _, value in used)


def tombstone_row(key: bytes, fact_id: str) -> bytes:
    """Return what is kept of a forgotten id: HMAC-SHA256 under a key of the file."""
    return hmac.new(key, fact_id.encode(), hashlib.sha256).digest()


def veil_id(receipt: Receipt, key: bytes) -> dict[str, Any]:
    """Turn a receipt into plain data whose ids and subject are keyed hashes: it must not keep what
    it says is gone."""
    body: dict[str, Any] = msgspec.to_builtins(receipt)
    body["selector"] = _veil(body["selector"], key)
    return body


def unveil_id(body: str, selector: Selector, key: bytes) -> Receipt:
    """Read a receipt, with the selector itself in it where that is what it was for."""
    stored = msgspec.json.decode(body)
    if stored["selector"] == _veil(msgspec.to_builtins(selector), key):
        stored["selector"] = msgspec.to_builtins(selector)
    return msgspec.convert(stored, Receipt)


def _veil(selector: dict[str, Any], key: bytes) -> dict[str, Any]:
    if selector["ids"] is not None:
        selector["ids"] = sorted(tombstone_row(key, fact_id).hex() for fact_id in selector["ids"])
    if selector["subject"] is not None:
        selector["subject"] = tombstone_row(key, selector["subject"]).hex()
    return selector
