"""Homes that cannot be opened, and how they are reported."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from edge.core.errors import StateCorruptError
from edge.outbox.entry import OutboxEntry
from tests.daemons import daemon_home, served


@pytest.mark.parametrize("card", ["format = 9\n", ""])
def test_an_unreadable_card_is_reported_in_plain_words(tmp_path: Path, caplog, card: str):
    """The reason is that of `auricle check`, without an exception's name or a traceback."""
    home = daemon_home(tmp_path)
    (home / "card.toml").write_text(card, "utf-8")
    with served(home) as here:
        (trouble,) = here.daemon.status().problems
    assert trouble.startswith("reading card ")
    assert [one.exc_info for one in caplog.records if one.message == "home_failed"] == [None]


def test_a_file_that_cannot_be_read_ends_no_daemon(tmp_path: Path, monkeypatch):
    """A damaged file fails neither the start, which searches forgotten observations and counts
    facts, nor the check of a bundle on trial."""
    home = daemon_home(tmp_path)

    def damaged(*_: object) -> NoReturn:
        raise StateCorruptError("reading the file: malformed", "put the last backup in its place")

    monkeypatch.setattr("edge.storage.store.Store.concepts", damaged)
    monkeypatch.setattr("edge.home.home.Home.check_trial", damaged)
    with served(home) as here:
        assert "reading the file: malformed" in here.daemon.status().problems
        begun = here.daemon.loop.turned_at
        here.until(lambda: here.daemon.loop.turned_at > begun + 1.5)
        number = here.daemon.outbox.next_number()
        here.daemon.outbox.put(OutboxEntry(sequence=number, topic="a", body=b"{}", keys=("f1",)))
        monkeypatch.setattr("edge.storage.store.Store.was_forgotten", damaged)
        here.daemon.homes[""].retry()
        here.daemon.loop.open_homes()
        assert here.daemon.homes[""].home is None
        assert "malformed" in here.daemon.homes[""].problem
