from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.config.device import OutboxSettings
from edge.core.errors import StateCorruptError, StateError
from edge.outbox import storage
from edge.outbox.damaged_copies import COPIES_MAX
from edge.outbox.entry import OutboxEntry
from edge.outbox.opening import open_outbox
from edge.outbox.outbox import Outbox
from edge.storage.database import open_database

SETTINGS = OutboxSettings()


def test_a_damaged_outbox_is_set_aside_and_numbers_go_on_higher(tmp_path: Path, caplog):
    """The new file starts with unused numbers, and the loss is reported."""
    caplog.set_level("WARNING", "auricle")
    path = tmp_path / "outbox.db"
    with open_outbox(path, SETTINGS) as before:
        last = before.next_number()
        before.put(OutboxEntry(sequence=last, topic="t", body=b"{}"))
    path.write_bytes(b"this is no database" * 500)
    with open_outbox(path, SETTINGS) as after:
        (loss,) = after.losses
        number = after.next_number()
        assert number > last + 10**9
        assert (loss.first, loss.last, loss.reason) == (1, number - 1, "damaged")
    assert (tmp_path / "outbox.db.damaged-1").exists()
    assert [one.message for one in caplog.records] == ["outbox_damaged"]
    with open_outbox(path, SETTINGS) as again:
        assert again.next_number() == number + 1


def test_copies_of_damaged_files_are_few(tmp_path: Path):
    """Only the newest are kept."""
    path = tmp_path / "outbox.db"
    for number in range(6):
        path.write_bytes(b"damage %d" % number * 100)
        open_outbox(path, SETTINGS).close()
    kept = sorted(one.name for one in tmp_path.glob("*.damaged-*"))
    assert kept == [f"outbox.db.damaged-{n}" for n in range(1, COPIES_MAX + 1)]
    assert (tmp_path / "outbox.db.damaged-1").read_bytes().startswith(b"damage 5")


def test_without_a_clock_no_number_is_guessed(tmp_path: Path, monkeypatch):
    """In 1970 a damaged outbox is an error with a hint, because a number might repeat."""
    path = tmp_path / "outbox.db"
    path.write_bytes(b"damage" * 100)
    monkeypatch.setattr("time.time_ns", lambda: 10)
    with pytest.raises(StateCorruptError) as caught:
        open_outbox(path, SETTINGS)
    assert "clock" in caught.value.hint
    assert path.read_bytes() == b"damage" * 100


def _reset(path: Path) -> None:
    """Remove the files set aside, and the new one."""
    for one in path.parent.iterdir():
        shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    with open_outbox(path, SETTINGS) as box:
        for _ in range(3):
            box.put(OutboxEntry(sequence=box.next_number(), topic="t", body=b"{}"))


def _emptied(path: Path) -> None:
    path.unlink()
    path.touch()


def _foldered(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _changed(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(sql)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _emptied,
        _foldered,
        _piped,
        _changed("PRAGMA user_version = 0"),
        _changed("PRAGMA user_version = -1"),
        _changed("DROP TABLE marks"),
        _changed("ALTER TABLE losses RENAME reason TO rexson"),
        _changed("DELETE FROM marks"),
        _changed("UPDATE marks SET value = 'x' WHERE name = 'next'"),
        _changed("UPDATE marks SET value = '-5' WHERE name = 'next'"),
        _changed("UPDATE marks SET value = '99999999999999999999999' WHERE name = 'reserved'"),
        _changed("UPDATE marks SET value = '' WHERE name = 'boot_ns'"),
        _changed("UPDATE marks SET value = '9223372036854775807' WHERE name = 'age_ns'"),
    ],
)
def test_whatever_lies_in_its_place_is_set_aside(tmp_path: Path, damage):
    """An empty file, a folder, a named pipe, an invalid layout or invalid values are kept under
    another name, and numbers continue higher."""
    path = tmp_path / "outbox.db"
    _reset(path)
    damage(path)
    with open_outbox(path, SETTINGS) as box:
        assert box.next_number() > 10**9
        assert [loss.reason for loss in box.losses] == ["damaged"]
    assert os.path.lexists(tmp_path / "outbox.db.damaged-1")


@pytest.mark.parametrize(
    "damage",
    [
        "topic = 'a/#'",
        "topic = ''",
        "topic = CAST(x'74ff' AS TEXT)",
        "topic = x'00'",
        "body = 5",
        "keys = CAST(x'ff' AS TEXT)",
        "kept = 'y'",
        "age_ns = 'z'",
    ],
)
def test_a_damaged_entry_is_reported_lost_and_blocks_no_others(tmp_path: Path, damage: str):
    """The other entries are sent."""
    path = tmp_path / "outbox.db"
    _reset(path)
    _changed("UPDATE entries SET " + damage + " WHERE sequence = 2")(path)  # noqa: S608 - ours
    with open_outbox(path, SETTINGS) as box:
        time.sleep(0.05)
        assert [entry.sequence for entry in box.due(10)] == [1, 3]
        assert [(loss.first, loss.reason) for loss in box.losses] == [(2, "damaged")]


def test_the_last_sure_moment_outlives_runs_without_a_clock(tmp_path: Path, monkeypatch):
    """A device that boots twice in 1970 must not fall behind its last sure time, or it would accept
    expired commands.  The time since is added, and a correct clock replaces it."""
    passed, now = [0], 1_800_000_000 * 10**9
    path = tmp_path / "outbox.db"

    def sure(wall_ns: int) -> int:
        monkeypatch.setattr(time, "time_ns", lambda: wall_ns)
        with Outbox(path, OutboxSettings(), lambda: passed[0]) as box:
            passed[0] += 10**9
            return box.sure_ns

    assert sure(5) == 0
    assert [sure(wall) for wall in (now, 5, 7, now + 10**12)] == [
        0,
        now,
        now + 10**9,
        now + 2 * 10**9,
    ]
    assert sure(0) == now + 10**12


def test_a_disk_that_was_full_at_the_start_ends_nothing(tmp_path: Path, monkeypatch):
    """Even if the file then proves damaged, messages continue in memory and the reason is reported;
    once the file is repaired, they are written."""
    path, now = tmp_path / "outbox.db", [0]
    real = open_database

    def full(path: Path, **_more: object) -> sqlite3.Connection:
        raise StateError(f"opening {path}: database or disk is full", "make room")

    monkeypatch.setattr(storage, "open_database", full)
    with Outbox(path, OutboxSettings(), lambda: now[0]) as box:
        monkeypatch.setattr(storage, "open_database", real)
        for content, reason in ((b"", "it is empty"), (b"junk" * 99, "not a")):
            path.write_bytes(content)
            now[0] += 60 * 10**9
            box.maintain(online=True)
            assert reason in box.failing
        path.unlink()
        now[0] += 60 * 10**9
        box.maintain(online=True)
        assert not box.failing
        assert box.next_number() == 1
