"""Forgotten names and ids are found by their keyed hashes alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.audit.keyed_traces import ForgottenNames, scan_names
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
