"""Columns by name through the command line: tables, exports, merges and older homes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from edge import Store
from edge.core.errors import ConfigError
from edge.storage import schema
from tests.daemons import Process
from tests.homes import CARD, new_store, run, run_json

ROWS = [
    (label, base + step, 100 - base + step)
    for label, base in (("on", 10), ("off", 60))
    for step in np.linspace(0, 5, 30).round(3).tolist()
]


def write(path: Path, names: str, shown: str = "label,{a},{b}", count: int = 60) -> Path:
    """A table of two columns under a header, each row laid out as `shown`."""
    lines = [
        shown.format(a=a, b=b, label=label).replace("label", label, 1)
        for label, a, b in ROWS[:count]
    ]
    path.write_text("\n".join([names, *lines]) + "\n", "utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home initialised and trained on a table with columns a and b."""
    table = write(tmp_path / "ab.csv", "label,a,b")
    assert run("init", tmp_path / "home", "--vectors", table).exit_code == 0
    assert run("learn", table, "--home", tmp_path / "home", "--domain", "hall").exit_code == 0
    return tmp_path / "home"


def guesses(table: Path, home: Path) -> list[tuple[str, bool]]:
    """The answer for each row, and whether it is known."""
    result = run("predict", table, "--home", home, "--json")
    values = [json.loads(line) for line in result.stdout.splitlines()]
    return [
        (one["outcome"]["guess"], one["outcome"]["known"])
        for one in values
        if "guess" in one["outcome"]
    ]


def test_a_table_in_another_order_is_answered_as_the_one_learned(home: Path, tmp_path: Path):
    """Columns swapped with their header give the same answers; learning them again adds nothing."""
    swapped = write(tmp_path / "ba.csv", "label,b,a", "label,{b},{a}")
    expected = guesses(tmp_path / "ab.csv", home)
    assert guesses(swapped, home) == expected
    assert len({guess for guess, _ in expected}) == 2
    done = run_json("learn", swapped, "--home", home, "--domain", "hall")
    assert done["count"] == 0
    assert done["warnings"] == []


def test_a_missing_column_is_refused_by_its_name(home: Path, tmp_path: Path):
    """A table with columns a and c is refused: neither learned nor answered."""
    other = write(tmp_path / "ac.csv", "label,a,b2")
    for verb in ("learn", "predict"):
        result = run(verb, other, "--home", home)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert "the column b is missing; found b2" in result.stderr
    assert run_json("inspect", "--home", home)["columns"] == ["a", "b"]


def test_extra_columns_are_named_and_ignored(home: Path, tmp_path: Path):
    """A column that the home does not know, numeric or text, is left out with a warning."""
    wide = write(tmp_path / "wide.csv", "label,note,b,a", "label,fine,{b},{a}")
    result = run("predict", wide, "--home", home)
    assert "ignored columns: note" in result.stderr
    assert guesses(wide, home) == guesses(tmp_path / "ab.csv", home)


def test_an_npz_may_name_its_columns(home: Path, tmp_path: Path):
    """Named features are put in order; names of another number are refused; without names the
    features count by position, with a warning."""
    values = np.array([row[1:] for row in ROWS], np.float32)
    np.savez(tmp_path / "ba.npz", features=values[:, ::-1], columns=np.array(["b", "a"]))
    np.savez(tmp_path / "bare.npz", features=values)
    np.savez(tmp_path / "bad.npz", features=values, columns=np.array(["a"]))
    expected = guesses(tmp_path / "ab.csv", home)
    assert guesses(tmp_path / "ba.npz", home) == guesses(tmp_path / "bare.npz", home) == expected
    assert "names no columns" in run("predict", tmp_path / "bare.npz", "--home", home).stderr
    assert "expected 2 names" in run("predict", tmp_path / "bad.npz", "--home", home).stderr


def older(home: Path) -> None:
    """Remove the column names of a home, as in earlier versions."""
    with sqlite3.connect(home / "knowledge.db") as db:
        db.execute("DELETE FROM meta WHERE name = 'columns'")
    db.close()


def test_an_older_home_warns_until_its_columns_are_named(home: Path, tmp_path: Path):
    """Columns match by position with a warning, and after `auricle encoder columns` by name."""
    older(home)
    table, swapped = tmp_path / "ab.csv", write(tmp_path / "ba.csv", "label,b,a", "label,{b},{a}")
    before = run_json("verify", "--home", home)["knowledge_digest"]
    assert "count by position" in run("predict", table, "--home", home).stderr
    assert "no names" in run("encoder", "columns", "--home", home).stdout
    names = tmp_path / "names.txt"
    names.write_text("a\nb\n", "utf-8")
    for source in (names, table):
        assert run_json("encoder", "columns", source, "--home", home) == {"columns": ["a", "b"]}
    assert run("predict", table, "--home", home).stderr == ""
    assert guesses(swapped, home) == guesses(table, home)
    assert run_json("verify", "--home", home)["knowledge_digest"] == before


def test_names_are_replaced_only_with_yes(home: Path, tmp_path: Path):
    """Other names or too many are refused; --yes replaces existing names."""
    swapped = write(tmp_path / "ba.csv", "label,b,a")
    refused = run("encoder", "columns", swapped, "--home", home)
    assert refused.exit_code == 1
    assert "another order" in refused.stderr
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\n", "utf-8")
    assert "expected 2 names" in run("encoder", "columns", names, "--home", home, "--yes").stderr
    assert run_json("encoder", "columns", swapped, "--home", home, "--yes")["columns"] == ["b", "a"]


def test_exports_and_merges_compare_names(home: Path, tmp_path: Path):
    """An export names its columns; a home of another order refuses it, and a merge."""
    assert run("export", tmp_path / "facts.npz", "--home", home).exit_code == 0
    other = tmp_path / "other"
    assert run("init", other, "--encoder", home / "card.toml").exit_code == 0
    assert run("learn", tmp_path / "facts.npz", "--home", other).exit_code == 0
    swapped = write(tmp_path / "ba.csv", "label,b,a")
    assert run("encoder", "columns", swapped, "--home", other).exit_code == 0
    for words in (("learn", tmp_path / "facts.npz"), ("merge", home / "knowledge.db")):
        result = run(*words, "--home", other)
        assert result.exit_code == 1
        assert "another order" in result.stderr
    older(other)
    merged = run_json("merge", home / "knowledge.db", "--home", other)
    assert "no column names" in merged["detail"]


def test_a_restored_backup_without_names_keeps_those_of_the_home(home: Path, tmp_path: Path):
    """Restoring a backup of an earlier version keeps the column names of the home."""
    older(home)
    assert run("backup", tmp_path / "old.db", "--home", home).exit_code == 0
    assert run("encoder", "columns", tmp_path / "ab.csv", "--home", home).exit_code == 0
    assert run("restore", tmp_path / "old.db", "--home", home).exit_code == 0
    assert run_json("encoder", "columns", "--home", home) == {"columns": ["a", "b"]}


def test_damaged_names_are_found(tmp_path: Path):
    """Invalid column names are reported by the check of the file."""
    new_store(tmp_path / "k.db").close()
    with sqlite3.connect(tmp_path / "k.db") as db:
        db.execute("INSERT INTO meta VALUES ('columns', ?)", (b'["a", "a"]',))
    db.close()
    with Store.open(tmp_path / "k.db") as store:
        assert any("column names are damaged" in one for one in store.check())
    with pytest.raises(ConfigError, match="expected 8 names"):
        Store.create(tmp_path / "n.db", CARD, ("a",))


def test_contributions_of_an_earlier_layout_have_no_names(tmp_path: Path, monkeypatch):
    """A file from before column names is migrated, and its contributions count without names."""
    path = tmp_path / "k.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:5])
        Store.create(path, CARD).close()
    db = sqlite3.connect(path)
    row = ("b", "c", "g", 1, 5, 0, b"", b"")
    db.execute("INSERT INTO contributions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.commit()
    db.close()
    with Store.open(path, CARD) as store:
        assert store.contributions()["b"].columns == ()
        assert store.columns() == ()
    assert path.with_name("k.db.v5").exists()


def test_a_daemon_reads_the_header_of_its_standard_input(home: Path):
    """Rows below a header in another order, with a column of words, are decided as the table that
    was learned; a row without a number is rejected by the name of its column."""
    with (home / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[streams.line]\nsource = "stdin"\nformat = "csv"\n')
    daemon = Process(home)
    try:
        for line in ("b,note,a", "91,x,11", "41,x,61", ",x,61"):
            daemon.say(line)
        messages = [daemon.hear() for _ in range(3)]
    finally:
        daemon.stop()
    assert [one.get("guess") for one in messages] == ["on", "off", None]
    assert "found no number for b" in messages[2]["reason"]
    log = daemon.log.read_text("utf-8")
    assert [line.count("note") for line in log.splitlines() if "columns_ignored" in line] == [1]
