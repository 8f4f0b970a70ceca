"""The search for traces: every planted form is found, and a real forget leaves none."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import sqlite3
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hdc
from edge.audit.needles import (
    Needle,
    fact_needles,
    name_needles,
    row_needle,
    text_needle,
)
from edge.audit.traces import scan
from edge.core.events import StoreFacts
from edge.core.facts import Fact
from edge.home.home import Home
from tests.homes import distinct_facts, learned_home, new_store, run_json

WIDE = distinct_facts(3, 300)
ROW = WIDE[0].features
GEOMETRY = hdc.identity_geometry(300, ((0, 300),), 7)
CODES = GEOMETRY.project(np.frombuffer(ROW, np.uint8))
OTHER = np.random.default_rng(3).integers(0, 256, 200_000, dtype=np.uint8).tobytes()


def write_database(path: Path) -> None:
    """A database in which a row was deleted, not overwritten, and another stands in a text."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA secure_delete=OFF")
    db.execute("CREATE TABLE notes (who TEXT, body BLOB)")
    db.execute("INSERT INTO notes VALUES ('x', ?)", (b"free:" + ROW,))
    db.executemany("INSERT INTO notes VALUES ('y', ?)", [(OTHER[:3000],)] * 20)
    db.commit()
    db.execute("DELETE FROM notes WHERE who = 'x'")
    db.commit()
    db.close()


def write_zip(path: Path) -> None:
    """An archive as `auricle export` writes it: compressed arrays of numpy."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            features=np.frombuffer(ROW, np.uint8)[None],
            id=np.array([WIDE[0].id], np.str_),
            allow_pickle=False,
        )


def c_table(words: bytes) -> str:
    """Bytes as a table of C, eight in a line."""
    shown = [f"0x{one:02X}u," for one in words]
    lines = ["    " + " ".join(shown[at : at + 8]) for at in range(0, len(shown), 8)]
    return "const uint8_t golden[1][300] = {\n" + "\n".join(lines) + "\n};\n"


Write = Callable[[Path], object]

PLANTED: dict[str, tuple[str, Write]] = {
    "raw": ("features", lambda path: path.write_bytes(OTHER + ROW + OTHER)),
    "split between pages": (
        "features",
        lambda path: path.write_bytes(OTHER + ROW[:130] + b"page" + ROW[130:] + OTHER),
    ),
    "free page of a database": ("features", write_database),
    "C": ("features", lambda path: path.write_text(c_table(ROW), "utf-8")),
    "JSON numbers": ("features", lambda path: path.write_text(json.dumps(list(ROW)), "utf-8")),
    "hexadecimal": ("features", lambda path: path.write_text(f"row {ROW.hex()} end", "utf-8")),
    "base64": (
        "features",
        lambda path: path.write_bytes(b"x: " + base64.b64encode(b"-" + ROW + b"-") + b"\n"),
    ),
    "gzip": ("features", lambda path: path.write_bytes(gzip.compress(ROW + OTHER))),
    "bzip2": ("features", lambda path: path.write_bytes(bz2.compress(ROW + OTHER))),
    "xz": ("features", lambda path: path.write_bytes(lzma.compress(ROW + OTHER))),
    "export": ("features", write_zip),
    "ids of an export": ("id", write_zip),
    "log": (
        "id",
        lambda path: path.write_text(f'{{"event": "x", "id": "{WIDE[0].id}"}}\n' * 3, "utf-8"),
    ),
    "hypervector": ("codes", lambda path: path.write_bytes(OTHER + CODES.bits.tobytes())),
}


@pytest.mark.parametrize("form", PLANTED)
def test_every_planted_form_is_found(tmp_path: Path, form: str):
    """A trace is found in each form, and in no file without one."""
    kind, write = PLANTED[form]
    write(tmp_path / "planted")
    (tmp_path / "other.bin").write_bytes(OTHER)
    (tmp_path / "other.json").write_text(json.dumps(list(WIDE[1].features)), "utf-8")
    found = scan(tmp_path, tuple(fact_needles(WIDE[:1], GEOMETRY)))
    assert kind in {one.kind for one in found}
    assert {one.path.partition("!")[0] for one in found} == {"planted"}
    assert {one.needle for one in found} == {WIDE[0].id}


def test_projections_are_found_in_any_type(tmp_path: Path):
    """Coordinates of a code are found as integers and as floats."""
    rows = np.random.default_rng(1).integers(0, 256, (60, 300), dtype=np.uint8)
    geometry = hdc.fit_geometry(rows, np.arange(60) % 3, ((0, 300),), seed=3)
    values = geometry.project(np.frombuffer(ROW, np.uint8)).values
    for number, kind in enumerate(("<i8", "<i4", "<f8")):
        (tmp_path / f"{number}.bin").write_bytes(OTHER + values.astype(kind).tobytes())
    found = scan(tmp_path, tuple(fact_needles(WIDE[:1], geometry)))
    assert [one.path for one in found if one.kind == "projection"] == ["0.bin", "1.bin", "2.bin"]


def test_short_names_count_as_words_and_cells(tmp_path: Path):
    """A name of three letters is found as a word, a cell or a file's name, and inside no word."""
    (tmp_path / "plain.txt").write_text("annual planning\n", "utf-8")
    (tmp_path / "said.txt").write_text('{"by": "ann"}\n', "utf-8")
    db = sqlite3.connect(tmp_path / "cells.db")
    db.execute("CREATE TABLE notes (who TEXT)")
    db.executemany("INSERT INTO notes VALUES (?)", [("ann",), ("annual",)])
    db.commit()
    db.close()
    found = scan(tmp_path, (text_needle("name", "ann"),))
    assert {(one.path, one.part) for one in found} == {
        ("cells.db", "notes.who"),
        ("said.txt", "words"),
    }


def test_names_are_found_in_names_and_in_lower_case(tmp_path: Path):
    """A subject's name is found in a file's name, in another name, and in lower case."""
    (tmp_path / "Zaphod.log").write_text("nothing", "utf-8")
    (tmp_path / "a.txt").write_text("domain gallery-of-Zaphod", "utf-8")
    (tmp_path / "b.txt").write_text("zaphod/2024", "utf-8")
    (tmp_path / "c.txt").write_text("zapho", "utf-8")
    facts = [Fact(**{**_fields(WIDE[0]), "subject": "Zaphod"})]
    found = scan(tmp_path, tuple(name_needles(facts)))
    assert [(one.path, one.offset) for one in found] == [
        ("Zaphod.log", -1),
        ("a.txt", 18),
        ("b.txt", 0),
    ]


def _fields(fact: Fact) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in Fact.__struct_fields__}


def test_rows_that_recognise_nothing_give_no_needle():
    """Rows of zeros, and very short rows, are not looked for."""
    assert row_needle("features", "f", bytes(300)) is None
    assert row_needle("features", "f", b"abc") is None
    assert isinstance(row_needle("features", "f", bytes(270) + ROW[:30]), Needle)


def test_what_cannot_be_read_is_reported(tmp_path: Path):
    """A damaged or encrypted archive is a finding of its own, and the rest is searched."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(OTHER)[:5000])
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", OTHER)
    raw = bytearray((tmp_path / "b.zip").read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 8] |= 1
    (tmp_path / "b.zip").write_bytes(raw)
    (tmp_path / "c.bin").write_bytes(ROW)
    found = scan(tmp_path, tuple(fact_needles(WIDE[:1])))
    assert [(one.path, one.kind) for one in found] == [
        ("a.gz", "unread"),
        ("b.zip!x", "unread"),
        ("c.bin", "features"),
    ]


def test_a_forget_on_the_command_line_leaves_no_trace(tmp_path: Path):
    """Ids, features, codes and projections of a subject are in the home before `auricle forget`,
    and in none of its files afterwards, logs and history included."""
    home = learned_home(tmp_path / "home")
    (home / "table.csv").unlink()
    with Home(home, writable=False) as opened:
        facts = [one for page in opened.store.pages() for one in page if one.subject == "person-1"]
        geometry = opened.runtime.knowledge.geometry
    needles = (*fact_needles(facts, geometry), *name_needles(facts))
    before = {one.kind for one in scan(home, needles)}
    assert {"id", "features", "name"} <= before
    run_json("forget", "--home", home, "--subject", "person-1", "--yes")
    assert scan(home, needles) == ()


def test_a_thousand_facts_are_searched_in_seconds(tmp_path: Path):
    """A home of 1,000 facts of 300 columns is searched for all of their ids, features and codes
    within five seconds of one processor."""
    with new_store(tmp_path / "k.db") as store:
        store.apply(StoreFacts(facts=tuple(distinct_facts(1_000))))
    (tmp_path / "more.bin").write_bytes(OTHER * 100)
    needles = tuple(fact_needles(distinct_facts(1_000, 300), GEOMETRY))
    begun = time.process_time()
    found = scan(tmp_path, needles)
    assert time.process_time() - begun < 5
    assert {one.kind for one in found} == {"id"}
