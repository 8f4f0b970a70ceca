from __future__ import annotations

from pathlib import Path

import pytest

from edge.core import StateCorruptError
from edge.shell.outbox import Entry, OutboxSettings, open_outbox, opening

SETTINGS = OutboxSettings()


def test_a_damaged_outbox_is_set_aside_and_numbers_go_on_higher(tmp_path: Path):
    """Serving goes on with numbers that nobody has used; what was lost is told."""
    path = tmp_path / "outbox.db"
    with open_outbox(path, SETTINGS) as before:
        last = before.take()
        before.put(Entry(last, "t", b"{}"))
    path.write_bytes(b"this is no database" * 500)
    with open_outbox(path, SETTINGS) as after:
        (loss,) = after.losses
        number = after.take()
        assert number > last + 10**9
        assert (loss.first, loss.last, loss.reason) == (1, number - 1, "damaged")
    assert (tmp_path / "outbox.db.damaged-1").exists()
    with open_outbox(path, SETTINGS) as again:
        assert again.take() == number + 1


def test_copies_of_damaged_files_are_few(tmp_path: Path):
    """The newest are kept."""
    path = tmp_path / "outbox.db"
    for number in range(6):
        path.write_bytes(b"damage %d" % number * 100)
        open_outbox(path, SETTINGS).close()
    kept = sorted(one.name for one in tmp_path.glob("*.damaged-*"))
    assert kept == [f"outbox.db.damaged-{n}" for n in range(1, opening.COPIES_MAX + 1)]
    assert (tmp_path / "outbox.db.damaged-1").read_bytes().startswith(b"damage 5")


def test_without_a_clock_no_number_is_guessed(tmp_path: Path, monkeypatch):
    """In 1970 a damaged outbox is an error to act on: a number might come twice."""
    path = tmp_path / "outbox.db"
    path.write_bytes(b"damage" * 100)
    monkeypatch.setattr("time.time_ns", lambda: 10)
    with pytest.raises(StateCorruptError) as caught:
        open_outbox(path, SETTINGS)
    assert "clock" in caught.value.hint
    assert path.read_bytes() == b"damage" * 100
