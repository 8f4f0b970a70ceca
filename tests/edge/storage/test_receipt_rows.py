"""Receipts in the file: digests and names under the key of the home."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from edge import Store
from edge.core.errors import StateCorruptError
from edge.core.events import EraseFacts
from edge.core.facts import Selector
from edge.core.receipt import FileFound, PlacedDomain, Receipt, SeriesForgotten
from edge.storage import schema
from edge.storage.digest_key import DigestKey
from edge.storage.receipt_rows import receipt_from_body, veil_receipt
from edge.storage.tables import hash_id
from tests.homes import CARD, RECEIPT, new_store, raw_bytes
from tests.worlds import fact

BURIAL_KEY = b"k" * 32


@pytest.fixture
def key(tmp_path: Path) -> DigestKey:
    """The key of a file open for writing."""
    return DigestKey(tmp_path / "knowledge.db", writable=True)


def stored(receipt: Receipt, key: DigestKey) -> str:
    """The body of a receipt in the file, of a ledger without facts."""
    return msgspec.json.encode(veil_receipt(receipt, key, ())).decode()


def test_a_stored_receipt_names_nobody(key: DigestKey):
    """No text of the request stands in a stored receipt, whatever field it is in."""
    selector = Selector(
        ids=frozenset({"Zaphod-1", "Zaphod-2"}),
        subject="Zaphod",
        recording="run of Zaphod",
        stream="Zaphod-cam",
        domain="gallery-of-Zaphod",
        label="Zaphod smiles",
    )
    receipt = replace(
        RECEIPT,
        selector=selector,
        concepts_touched=("gallery-of-Zaphod/Zaphod smiles", "hall/cat"),
        placed=(PlacedDomain("gallery-of-Zaphod", 40, "placed again", "domain-2"),),
        series=(SeriesForgotten("Zaphod-cam", 5, "replayed", 0),),
        files=(
            FileFound("zaphod.npz", "export", "removed"),
            FileFound("copies/Zaphod export.db", "backup", "kept", "remove it"),
        ),
    )
    held = [("hall", "cat"), ("domain-2", "cat")]
    body = msgspec.json.encode(veil_receipt(receipt, key, held)).decode()
    assert "zaphod" not in body.lower()
    assert " export.db" in body  # the rest of the name stays readable
    assert "hall/cat" in body
    assert "domain-2" in body
    assert len(msgspec.json.decode(body)["selector"]["ids"]) == 2


def test_a_name_that_the_ledger_still_holds_is_veiled_if_it_contains_the_subject(key: DigestKey):
    """The subject's name is found as a word in other names, in any case; parts of words are not."""
    receipt = replace(
        RECEIPT,
        selector=Selector(subject="ann"),
        concepts_touched=("gallery_of_Ann/a", "planning/a"),
    )
    veiled = veil_receipt(receipt, key, [("gallery_of_Ann", "a"), ("planning", "a")])
    assert veiled.concepts_touched[0].startswith("forgotten:")
    assert veiled.concepts_touched[1] == "planning/a"


def test_a_repetition_finds_its_texts_again(key: DigestKey):
    """A stored receipt answers the same selection with its texts, and another one without."""
    selector = Selector(ids=frozenset({"a", "b"}), subject="ann", stream="cam", label="x")
    body = stored(replace(RECEIPT, selector=selector), key)
    assert receipt_from_body(body, selector, key, BURIAL_KEY).selector == selector
    other = replace(selector, stream="other")
    assert receipt_from_body(body, other, key, BURIAL_KEY).selector not in (other, selector)


def test_a_receipt_of_an_earlier_layout_is_read_again(key: DigestKey):
    """A receipt with the fields and the hashes of the first layouts answers its request again."""
    asked = Selector(subject="ann", ids=frozenset({"f1"}))
    plain = msgspec.to_builtins(replace(RECEIPT, selector=asked))
    first = {one.name for one in msgspec.structs.fields(Receipt) if one.required}
    body = {name: value for name, value in plain.items() if name in first}
    del body["selector"]["recording"]
    body["selector"]["subject"] = hash_id(BURIAL_KEY, "ann").hex()
    body["selector"]["ids"] = [hash_id(BURIAL_KEY, "f1").hex()]
    text = msgspec.json.encode(body).decode()
    assert receipt_from_body(text, asked, key, BURIAL_KEY) == replace(RECEIPT, selector=asked)
    other = Selector(recording="r")
    assert receipt_from_body(text, other, key, BURIAL_KEY).selector != other


def test_receipts_of_an_earlier_layout_are_keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Opening a file of an earlier layout keys the digests of its receipts, drops its stamp, and
    leaves neither in the file."""
    path = tmp_path / "knowledge.db"
    before, after, stamped = "b1" * 32, "a2" * 32, "c3" * 32
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:11])
        Store.create(path, CARD).close()
    plain = replace(
        RECEIPT, selector=Selector(label="gone"), digest_before=before, digest_after=after
    )
    db = sqlite3.connect(path)
    body = msgspec.json.encode(plain).decode()
    db.execute("INSERT INTO receipts (requested_at_ns, body) VALUES (5, ?)", (body,))
    stamp = msgspec.json.encode({"facts": stamped, "beside": stamped, "knowledge": stamped})
    db.execute("INSERT INTO meta VALUES ('stamp', ?)", (stamp,))
    db.commit()
    db.close()
    with Store.open(path) as store:
        (found,) = store.receipts()
        assert found["digest_after"] == store.key_digest("r", after)
        assert found["digest_before"] == store.key_digest("r", before)
        assert store.stamped({"knowledge": stamped}) == {}
        again = store.receipt("r", Selector(label="gone"))
        assert again is not None
        assert again.selector == Selector(label="gone")
    raw = raw_bytes(path)
    assert not any(text.encode() in raw for text in (before, after, stamped, "gone"))


def test_the_same_content_has_another_digest_in_each_receipt(tmp_path: Path):
    """Two receipts about equal knowledge state different digests, which only the key relates."""
    with new_store(tmp_path / "k.db", [fact("a")]) as store:
        first, second = (store.key_digest(request, "d" * 64) for request in ("r1", "r2"))
        assert len({first, second, "d" * 64}) == 3
        assert first == store.key_digest("r1", "d" * 64)


def test_the_key_stays_in_the_home(tmp_path: Path):
    """The key belongs to its owner alone, survives closing, and is in no backup."""
    path = tmp_path / "k.db"
    with new_store(path, [fact("a")]) as store:
        keyed = store.key_digest("r", "digest")
        store.backup(tmp_path / "copy.db")
    secret = (tmp_path / "k.db.key").read_bytes()
    assert stat.S_IMODE((tmp_path / "k.db.key").stat().st_mode) == 0o600
    assert secret not in raw_bytes(tmp_path / "copy.db")
    with Store.open(path, writable=False) as again:
        assert again.key_digest("r", "digest") == keyed
    with Store.open(tmp_path / "copy.db", writable=False) as copy:
        assert copy.key_digest("r", "digest") == ""
    assert not (tmp_path / "copy.db.key").exists()


def test_a_damaged_key_is_an_error(tmp_path: Path):
    """A key of another length is reported with what to do, and is not replaced."""
    (tmp_path / "k.db.key").write_bytes(b"short")
    with (
        new_store(tmp_path / "k.db", [fact("a")]) as store,
        pytest.raises(StateCorruptError, match="expected 32 bytes, found 5"),
    ):
        store.apply(EraseFacts(("a",), RECEIPT))
    assert (tmp_path / "k.db.key").read_bytes() == b"short"
