"""Files in a home that hold forgotten facts are found, named in the receipt, removed on request."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.home.found_files import IDS_CHECKED_MAX, search_home
from edge.home.home import Home
from tests.homes import distinct_facts, learned_home, new_store, run, run_json


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a C export, beside an export of the decision."""
    folder = learned_home(tmp_path_factory.mktemp("made") / "home")
    small = ("--bits", 1024, "--flash", 64)
    made = run("export-c", "--out", folder / "firmware", "--home", folder, *small)
    assert made.exit_code == 0, made.output
    assert run("export", "onnx", folder / "decision.onnx", "--home", folder).exit_code == 0
    return folder / "firmware"


@pytest.fixture
def home(tmp_path: Path, firmware: Path) -> Path:
    """A home with a backup, an export, a C export, a bundle, and other files in it."""
    folder = learned_home(tmp_path / "home")
    shutil.copytree(firmware, folder / "firmware")
    shutil.copy(firmware.with_name("decision.onnx"), folder)
    (folder / "copies").mkdir()
    assert run("backup", folder / "copies" / "monday.db", "--home", folder).exit_code == 0
    assert run("export", folder / "facts.npz", "--home", folder).exit_code == 0
    (folder / "old.bundle").write_bytes(b"auricle-bundle-1\nrest")
    (folder / "outbox.db.damaged-1").write_bytes(b"no database")
    (folder / "knowledge.db.v9").write_bytes(b"copy of a migration")
    np.savez_compressed(folder / "mine.npz", x=np.arange(3))
    (folder / "notes.txt").write_text("mine", "utf-8")
    return folder


def forget(folder: Path, *more: str) -> dict[str, Any]:
    """The receipt of forgetting a subject."""
    receipt: dict[str, Any] = run_json(
        "forget", "--home", folder, "--subject", "person-1", "--yes", *more
    )
    return receipt


@pytest.mark.parametrize(
    "name", ["knowledge.db.bak", "knowledge.db-monday", "knowledge.db2", "knowledge.db.new"]
)
def test_a_copy_named_after_the_knowledge_file_is_found(tmp_path: Path, name: str):
    """The commonest name of a copy begins with that of the file."""
    folder = learned_home(tmp_path / "home")
    shutil.copy(folder / "knowledge.db", folder / name)
    found = forget(folder)["files"][0]
    assert (found["path"], found["kind"], found["outcome"]) == (name, "backup", "kept")
    assert run("verify", "--home", folder).exit_code == 1
    assert forget_files(folder) == [(name, "removed")]
    assert not (folder / name).exists()
    assert run("verify", "--home", folder).exit_code == 0


def forget_files(folder: Path) -> list[tuple[str, str]]:
    """The files that are removed afterwards, and those that stay."""
    found = run_json("forget", "--home", folder, "--remove-files", "--yes")
    return [(one["path"], one["outcome"]) for one in found]


def test_packed_copies_are_found(tmp_path: Path):
    """A compressed copy is removed where that is ordered; an archive may hold other things too, and
    stays, named."""
    folder = learned_home(tmp_path / "home")
    content = (folder / "knowledge.db").read_bytes()
    (folder / "copy.db.gz").write_bytes(gzip.compress(content))
    with tarfile.open(folder / "all.tgz", "w:gz") as archive:
        archive.add(folder / "knowledge.db", "knowledge.db")
    (folder / "mine.gz").write_bytes(gzip.compress(b"mine"))
    kinds = {one["path"]: one["kind"] for one in forget(folder)["files"]}
    assert kinds == {"copy.db.gz": "backup", "all.tgz": "archive", "table.csv": "other"}
    assert forget_files(folder) == [("all.tgz", "kept"), ("copy.db.gz", "removed")]
    assert not (folder / "copy.db.gz").exists()


def test_texts_that_name_the_subject_are_listed(tmp_path: Path):
    """A table that was learned from, and settings, name the subject: both are listed, and stay; a
    longer word and a file without the name are not."""
    folder = learned_home(tmp_path / "home")
    (folder / "table.csv").write_text("label,subject\na,PERSON-1\n", "utf-8")
    (folder / "notes.txt").write_text("person-11 and xperson-1", "utf-8")
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write('\n[streams.gate]\nsource = "topic"\nsubject = "person-1"\n')
    found = forget(folder, "--remove-files")["files"]
    assert [(one["path"], one["kind"], one["outcome"]) for one in found] == [
        ("auricle.toml", "other", "kept"),
        ("table.csv", "other", "kept"),
    ]
    assert (folder / "table.csv").exists()


def test_labels_of_other_facts_that_name_the_subject_are_reported(tmp_path: Path):
    """The receipt says that there are some; it does not repeat the name."""
    folder = learned_home(tmp_path / "home")
    changed = run("relabel", "--home", folder, "--label", "b", "--to-label", "b of Person 1")
    assert changed.exit_code == 0, changed.output
    receipt = forget(folder)
    (line,) = [one for one in receipt["not_covered"] if "label" in one]
    assert "person" not in line.lower()


HOLDING = {
    "copies/monday.db": "backup",
    "facts.npz": "export",
    "decision.onnx": "export",
    "firmware/auricle_knowledge.c": "firmware",
    "firmware/auricle_knowledge.h": "firmware",
    "firmware/auricle_golden.c": "firmware",
    "firmware/knowledge.bin": "firmware",
    "old.bundle": "bundle",
}


def test_a_receipt_names_the_files_that_hold_the_facts(home: Path):
    """Each is named with its kind and what to do; copies that nobody asked for are removed, files
    without the facts are neither named nor touched."""
    files = {one["path"]: one for one in forget(home)["files"]}
    kept = {path: one["kind"] for path, one in files.items() if one["outcome"] == "kept"}
    assert kept == {**HOLDING, "table.csv": "other"}
    assert all(files[path]["hint"] for path in kept)
    assert {path for path in files if path not in kept} == {
        "knowledge.db.v9",
        "outbox.db.damaged-1",
    }
    assert not (home / "outbox.db.damaged-1").exists()
    assert not (home / "knowledge.db.v9").exists()
    assert all((home / path).exists() for path in HOLDING)


def test_verify_reports_them_until_they_are_gone(home: Path):
    """`auricle verify` fails while a file holds forgotten facts, `forget --remove-files` alone
    removes them, and then all is well."""
    assert run("verify", "--home", home).exit_code == 0
    forget(home)
    found = run("verify", "--home", home)
    assert found.exit_code != 0
    assert "copies/monday.db (backup) may hold forgotten facts" in found.output.replace("\n", " ")
    gone = run_json("forget", "--remove-files", "--home", home, "--yes")
    assert {one["path"]: one["outcome"] for one in gone} == dict.fromkeys(HOLDING, "removed")
    assert run("verify", "--home", home).exit_code == 0
    assert (home / "mine.npz").exists()
    assert run_json("forget", "--remove-files", "--home", home, "--yes") == []


def test_a_forget_removes_them_where_it_is_ordered(home: Path):
    """With --remove-files the receipt says that each file is removed, and it is."""
    files = forget(home, "--remove-files")["files"]
    assert {one["outcome"] for one in files if one["kind"] != "other"} == {"removed"}
    assert HOLDING.keys() <= {one["path"] for one in files}
    assert not any((home / path).exists() for path in HOLDING)
    assert (home / "notes.txt").exists()
    with Home(home, writable=False) as opened:
        assert [one["files"] for one in opened.store.receipts()] == [files]


def test_files_made_afterwards_are_not_named(home: Path):
    """A backup, an export or a bundle made after a forget does not hold its facts."""
    forget(home, "--remove-files")
    assert run("backup", home / "tuesday.db", "--home", home).exit_code == 0
    assert run("export", home / "facts.npz", "--home", home).exit_code == 0
    (home / "new.bundle").write_bytes(b"auricle-bundle-1\nrest")
    assert run("verify", "--home", home).exit_code == 0


def test_another_home_inside_is_left_alone(home: Path):
    """The files of a home in a folder of this one are its own."""
    other = learned_home(home / "other")
    assert "other/knowledge.db" not in {one["path"] for one in forget(home)["files"]}
    assert (other / "knowledge.db").exists()


def test_a_damaged_backup_may_hold_facts(home: Path):
    """A backup that cannot be read is named as one that may hold them."""
    raw = bytearray((home / "copies" / "monday.db").read_bytes())
    raw[8192:] = os.urandom(len(raw) - 8192)
    (home / "torn.db").write_bytes(raw)
    assert "torn.db" in {one["path"] for one in forget(home)["files"]}


def test_a_large_backup_is_looked_through_only_as_far_as_serving_allows(home: Path):
    """While the home serves, a backup of more facts than may be looked up counts as holding them;
    before it is removed, all of it is looked through."""
    facts = distinct_facts(IDS_CHECKED_MAX + 1)
    new_store(home / "large.db", facts).close()
    with Home(home) as opened:
        listed = search_home(home, opened.store, remove="own copies", before_ns=1)
        assert "large.db" in {one.path for one in listed}
        assert "large.db" not in {
            one.path for one in search_home(home, opened.store, remove="nothing", before_ns=1)
        }
        search_home(home, opened.store, remove="all")
    assert (home / "large.db").exists()
