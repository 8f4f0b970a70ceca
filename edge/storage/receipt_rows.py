"""Receipts as they are stored and published: without the texts that their requests named.

Only the answer to a request shows these texts.  In their place stand keyed hashes, which a
repetition of the request is compared with.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from ..core import FileFound, Receipt, Selector
from .action_log import delete_named
from .digest_key import DigestKey, note_key
from .tables import hash_id

TEXTS: Final = ("subject", "stream", "recording", "domain", "label")
"""Fields of a selector that name somebody or something."""

VEILED: Final = "forgotten:"
"""Stands before the hash of a name in a receipt."""

SHOWN_HEX: Final = 16
"""Digits of such a hash: 64 bits, so that no two of a device's names are alike."""


def veil_receipt(receipt: Receipt, key: DigestKey, held: Iterable[tuple[str, str]]) -> Receipt:
    """Return a receipt with keyed hashes in place of the texts of its request, and of names that
    the ledger does not hold any more or that contain one of these texts.  held: the concepts of the
    ledger without the forgotten facts."""
    concepts = frozenset(held)
    names = frozenset(name for concept in concepts for name in concept)
    secret = _secrets(receipt.selector, names)

    def hashed(name: str) -> str:
        return f"{VEILED}{key.of('name', name)[:SHOWN_HEX]}"

    def veil(kept: AbstractSet[str]) -> Callable[[str], str]:
        return lambda name: (
            name
            if not name or (name in kept and not (secret and secret.search(name)))
            else hashed(name)
        )

    def veil_path(one: FileFound) -> str:
        if secret is None or not secret.search(one.path):
            return one.path
        # The rest of the name stays readable, to identify the file.
        kept = one.outcome == "kept"
        return secret.sub(lambda at: hashed(at.group()), one.path) if kept else hashed(one.path)

    whole, part = veil({"/".join(concept) for concept in concepts}), veil(names)
    return replace(
        receipt,
        selector=veil_selector(receipt.selector, key),
        concepts_touched=tuple(map(whole, receipt.concepts_touched)),
        evictions=tuple(
            replace(one, domain=part(one.domain), label=part(one.label))
            for one in receipt.evictions
        ),
        placed=tuple(
            replace(one, domain=part(one.domain), renamed_to=part(one.renamed_to))
            for one in receipt.placed
        ),
        adaptors=tuple(replace(one, domain=part(one.domain)) for one in receipt.adaptors),
        series=tuple(replace(one, stream=veil({one.stream})(one.stream)) for one in receipt.series),
        files=tuple(replace(one, path=veil_path(one)) for one in receipt.files),
    )


def name_pattern(selector: Selector, held: Iterable[tuple[str, str]]) -> re.Pattern[bytes] | None:
    """Return what finds, in a message as JSON, the names of a request that must reach no file:
    subject and recording as words, domain and label as whole texts unless the ledger still holds
    them.  None where there are none."""
    names = frozenset(name for concept in held for name in concept)
    words = [_escaped(text) for text in (selector.subject, selector.recording) if text]
    gone = [text for text in (selector.domain, selector.label) if text and text not in names]
    parts = [rf"(?<![^\W_])(?:{'|'.join(words)})(?![^\W_])"] if words else []
    parts += [f'"{_escaped(text)}"' for text in gone]
    return re.compile("|".join(parts).encode(), re.IGNORECASE) if parts else None


def _escaped(text: str) -> str:
    return re.escape(msgspec.json.encode(text)[1:-1].decode())


def veil_selector(selector: Selector, key: DigestKey) -> Selector:
    """Return a selector with keyed hashes in place of its texts; its times stay."""
    texts = {name: getattr(selector, name) for name in TEXTS}
    hashed: dict[str, Any] = {
        name: _hash(key, text) for name, text in texts.items() if text is not None
    }
    ids = selector.ids and frozenset(_hash(key, one) for one in selector.ids)
    return replace(selector, ids=ids, **hashed)


def receipt_from_body(body: str, selector: Selector, key: DigestKey, burial_key: bytes) -> Receipt:
    """Return a stored receipt.  Its selector is `selector` itself where the hashes agree.
    burial_key: under which earlier layouts hashed ids, subject and recording."""
    stored = msgspec.json.decode(body)
    stored["selector"].setdefault("recording", None)  # Receipts of earlier layouts have none.
    hashed = msgspec.to_builtins(veil_selector(selector, key))
    hashed["ids"] = _sorted(hashed["ids"])
    stored["selector"]["ids"] = _sorted(stored["selector"]["ids"])
    if stored["selector"] in (hashed, _hash_earlier(selector, hashed, burial_key)):
        stored["selector"] = msgspec.to_builtins(selector)
    return msgspec.convert(stored, Receipt)


def insert_receipt(db: sqlite3.Connection, receipt: Receipt, key: DigestKey) -> None:
    """Write a receipt, in the transaction that has erased its facts or follows it; records of
    actions that name what is forgotten go."""
    note_key(db, key)
    held = held_concepts(db)
    names = name_pattern(receipt.selector, held)
    if names is not None:
        delete_named(db, names)
    body = msgspec.json.encode(veil_receipt(receipt, key, held)).decode()
    row = (receipt.requested_at_ns, body)
    db.execute("INSERT INTO receipts (requested_at_ns, body) VALUES (?, ?)", row)


def held_concepts(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the concepts that have facts, also in a transaction that has only changed these."""
    return db.execute(
        "SELECT domain, label FROM concepts AS one WHERE EXISTS (SELECT 1 FROM facts"
        " WHERE facts.domain = one.domain AND facts.label = one.label)"
    ).fetchall()


def rekey_receipts(db: sqlite3.Connection, key: DigestKey) -> None:
    """Key the digests and veil the names of receipts that earlier layouts stored in plain; their
    ids, subjects and recordings are hashed already."""
    held = held_concepts(db)
    for number, body in db.execute("SELECT number, body FROM receipts").fetchall():
        stored = msgspec.json.decode(body)
        stored["selector"].setdefault("recording", None)
        plain = msgspec.convert(stored, Receipt)
        hashed = veil_selector(replace(plain.selector, subject=None, recording=None), key)
        kept = {name: getattr(plain.selector, name) for name in ("ids", "subject", "recording")}
        made = replace(
            veil_receipt(plain, key, held),
            selector=replace(hashed, **kept),
            digest_before=receipt_digest(key, plain.request_id, plain.digest_before),
            digest_after=receipt_digest(key, plain.request_id, plain.digest_after),
        )
        row = (msgspec.json.encode(made).decode(), number)
        db.execute("UPDATE receipts SET body = ? WHERE number = ?", row)
    db.execute("DELETE FROM meta WHERE name = 'plain_digests'")


def receipt_digest(key: DigestKey, request_id: str, digest: str) -> str:
    """Return a digest as a receipt states it: receipts of equal knowledge have different ones."""
    return key.of(f"receipt {request_id}", digest)


def _secrets(selector: Selector, names: AbstractSet[str]) -> re.Pattern[str] | None:
    """Return what finds, as words of a name, the texts of the request that the ledger does not hold
    as names of their own; None where there are none."""
    texts = [getattr(selector, name) for name in TEXTS]
    words = [re.escape(text) for text in texts if text and text not in names]
    if not words:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(words)})(?![^\W_])", re.IGNORECASE)


def _hash(key: DigestKey, text: str) -> str:
    return key.of("selector", text)


def _hash_earlier(selector: Selector, hashed: dict[str, Any], key: bytes) -> dict[str, Any]:
    made = dict(hashed)
    if selector.ids is not None:
        made["ids"] = sorted(hash_id(key, fact_id).hex() for fact_id in selector.ids)
    for name in ("subject", "recording"):
        text = getattr(selector, name)
        if text is not None:
            made[name] = hash_id(key, text).hex()
    return made


def _sorted(ids: Iterable[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)
