"""Private copies of homes."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.audit.audit import rehearse
from edge.audit.copying import copied_home
from edge.core.errors import StateError
from edge.core.facts import Selector
from edge.home.home import Home
from tests.homes import learned_home


def test_a_copy_opens_like_the_home_and_is_removed(tmp_path: Path) -> None:
    """The copy has the home's facts, only its owner can read it, and nothing of it is left."""
    folder = learned_home(tmp_path / "home")
    with Home(folder, writable=False) as home:
        expected = home.store.digest()
    with copied_home(folder) as (copy, settings):
        assert stat.S_IMODE(copy.stat().st_mode) == 0o700
        with Home(copy, settings=settings) as home:
            assert home.store.digest() == expected
            assert home.store.path.is_relative_to(copy)
    assert not copy.exists()


def test_a_copy_of_a_home_in_use_holds_the_last_commit(tmp_path: Path) -> None:
    """While another process has the home open, its write-ahead log is part of the copy."""
    folder = learned_home(tmp_path / "home")
    with closing(sqlite3.connect(folder / "knowledge.db")) as db:
        db.execute("CREATE TABLE later (name TEXT)")
        db.execute("INSERT INTO later VALUES ('in the log')")
        db.commit()
        assert (folder / "knowledge.db-wal").stat().st_size
        with (
            copied_home(folder) as (copy, settings),
            closing(sqlite3.connect(copy / settings.knowledge.file)) as made,
        ):
            assert made.execute("SELECT name FROM later").fetchall() == [("in the log",)]


def test_copies_of_killed_audits_are_removed(tmp_path: Path) -> None:
    """The next audit removes the copy that a killed one has left, and no other one's."""
    folder = learned_home(tmp_path / "home")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with copied_home(folder) as (copy, _):
        left = copy.parent / f"auricle-audit-{gone.pid}-left"
        (left / "inner").mkdir(parents=True)
        with copied_home(folder):
            assert not left.exists()
            assert copy.exists()


def test_pipes_and_links_are_left_out(tmp_path: Path) -> None:
    """A control socket, a pipe or a link in the home neither blocks nor leads outside."""
    folder = learned_home(tmp_path / "home")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/hostname")
    with copied_home(folder) as (copy, _):
        assert not (copy / "pipe").exists()
        assert not (copy / "link").exists()


def test_a_ledger_outside_the_home_is_refused(tmp_path: Path) -> None:
    """An audit changes its copy only; a ledger elsewhere would not be copied."""
    folder = learned_home(tmp_path / "home")
    text = (folder / "auricle.toml").read_text("utf-8")
    outside = tmp_path / "elsewhere.db"
    (folder / "knowledge.db").rename(outside)
    (folder / "auricle.toml").write_text(text.replace('"knowledge.db"', f'"{outside}"'), "utf-8")
    with pytest.raises(StateError, match="outside of it"), copied_home(folder):
        pass


def test_an_error_names_the_home_and_not_its_copy(tmp_path: Path) -> None:
    """A damaged key is named where a person finds it."""
    folder = learned_home(tmp_path / "home")
    (folder / "knowledge.db.key").write_bytes(b"short")
    with pytest.raises(StateError) as caught:
        rehearse(folder, Selector(label="a"), lambda *_: None)
    assert caught.value.message.startswith(f"reading {folder}/knowledge.db.key: expected 32 bytes")
