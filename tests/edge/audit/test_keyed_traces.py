"""Forgotten names and ids are found by their keyed hashes alone."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge.audit.file_traces import PLACES_SHOWN, search_names
from edge.audit.keyed_traces import UNREAD, ForgottenNames, scan_names
from edge.core.events import EraseFacts
from edge.core.facts import Selector
from edge.storage.store import Store
from tests.homes import RECEIPT, distinct_facts, new_store

NAME = "Trillian Astra"


@pytest.fixture
def forgotten(tmp_path: Path) -> Store:
    """A store that has forgotten two facts, and a request that named a subject."""
    folder = tmp_path / "home"
    folder.mkdir()
    facts = distinct_facts(4)
    store = new_store(folder / "knowledge.db", facts)
    receipt = replace(RECEIPT, selector=Selector(subject=NAME), facts_forgotten=2)
    store.apply(EraseFacts((facts[0].id, facts[1].id), receipt))
    return store


def places(store: Store) -> list[tuple[str, str]]:
    """Where the forgotten names stand in the store's folder."""
    found = scan_names(store.path.parent, ForgottenNames(store))
    return [(one.path, one.where) for one in found]


def test_a_clean_folder_holds_nothing(forgotten: Store) -> None:
    """Receipts and tombstones hold hashes, which are no traces."""
    assert places(forgotten) == []
    assert len(ForgottenNames(forgotten)) == 3


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.json", json.dumps({"subject": NAME})),
        ("b.log", 'learned "Trillian Astra" now'),
        ("c.csv", f"1,{distinct_facts(1)[0].id},x\n"),
        ("d.txt", f"key={distinct_facts(1)[0].id};"),
        ("e.jsonl", '{"ids": ["' + distinct_facts(1)[0].id + '"]}'),
    ],
)
def test_a_name_in_a_text_is_found(forgotten: Store, file: str, text: str) -> None:
    """Quoted names and bare ids are found in JSON, logs and tables."""
    (forgotten.path.parent / file).write_text(text, "utf-8")
    assert places(forgotten) == [(file, "text")]


def test_a_name_in_a_row_of_a_database_is_found(forgotten: Store) -> None:
    """Cells are compared as wholes, and JSON in cells by its texts."""
    with closing(sqlite3.connect(forgotten.path.parent / "other.db")) as db, db:
        db.execute("CREATE TABLE people (name TEXT, body BLOB)")
        db.execute("INSERT INTO people VALUES (?, ?)", ("x", json.dumps({"s": NAME}).encode()))
        db.execute("CREATE TABLE ids (id TEXT)")
        db.execute("INSERT INTO ids VALUES (?)", (distinct_facts(1)[0].id,))
    assert sorted(places(forgotten)) == [("other.db", "ids"), ("other.db", "people")]


def test_a_file_named_after_the_forgotten_is_found_and_not_named(forgotten: Store) -> None:
    """The report of a speaking file name does not repeat the name."""
    fact_id = distinct_facts(1)[0].id
    (forgotten.path.parent / f"{fact_id}.bin").write_bytes(b"\x00\x01")
    ((path, where),) = places(forgotten)
    assert where == "the file's name"
    assert fact_id not in path


def test_names_that_are_still_known_are_no_traces(forgotten: Store) -> None:
    """Ids of facts that remain stand in files without being accused."""
    (forgotten.path.parent / "kept.txt").write_text(distinct_facts(4)[3].id, "utf-8")
    assert places(forgotten) == []


@pytest.mark.parametrize(
    "name", ["of Trillian Astra.bin", "Trillian Astra.bin", "x/Trillian Astra"]
)
def test_a_name_of_several_words_is_found_in_a_path(forgotten: Store, name: str) -> None:
    """A whole part of a path; among other words only names of one word are found."""
    path = forgotten.path.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x00\x01")
    assert bool(places(forgotten)) == (not name.startswith("of"))


def test_compressed_texts_and_exports_are_read(forgotten: Store) -> None:
    """Names in a compressed table, and ids in an export's arrays."""
    folder, fact_id = forgotten.path.parent, distinct_facts(1)[0].id
    (folder / "a.csv.gz").write_bytes(gzip.compress(f'1,"{NAME}",2\n'.encode()))
    np.savez_compressed(folder / "b.npz", id=np.array([fact_id, "other"]), x=np.arange(3))
    assert places(forgotten) == [("a.csv.gz", "text"), ("b.npz", "id.npy")]


def test_what_cannot_be_searched_is_reported(forgotten: Store) -> None:
    """A packed database, whose cells are not separated, and a damaged file."""
    folder = forgotten.path.parent
    other = new_store(folder / "other.db", distinct_facts(4)[2:])
    other.close()
    packed = gzip.compress((folder / "other.db").read_bytes())
    (folder / "other.db").unlink()
    (folder / "copy.db.gz").write_bytes(packed)
    (folder / "half.gz").write_bytes(packed[: len(packed) // 2])
    assert {one for one in places(forgotten) if one[1] == UNREAD} == {
        ("copy.db.gz", UNREAD),
        ("half.gz", UNREAD),
    }
    finding = search_names(forgotten, folder, {})
    assert finding.outcome == "open"
    assert "copy.db.gz, half.gz" in finding.text


def test_files_that_the_receipt_names_leave_the_question_open(forgotten: Store) -> None:
    """They are no defect of the program; others are."""
    folder = forgotten.path.parent
    (folder / "a.json").write_text(json.dumps({"subject": NAME}), "utf-8")
    finding = search_names(forgotten, folder, {"a.json": "remove it"})
    assert (finding.outcome, finding.todo) == ("open", "remove it")
    (folder / "b.json").write_text(json.dumps({"subject": NAME}), "utf-8")
    finding = search_names(forgotten, folder, {"a.json": "remove it"})
    assert finding.outcome == "fails"
    assert "a.json" not in finding.text
    for number in range(PLACES_SHOWN):
        (folder / f"c{number}.json").write_text(json.dumps({"subject": NAME}), "utf-8")
    assert " and 1 more" in search_names(forgotten, folder, {"a.json": "remove it"}).text
