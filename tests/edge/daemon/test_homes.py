"""Homes that cannot be opened, as they are told."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from edge.core.errors import StateCorruptError
from edge.outbox.entry import OutboxEntry
from tests.daemons import daemon_home, served


@pytest.mark.parametrize("card", ["format = 9\n", ""])
def test_a_card_that_cannot_be_read_is_said_in_words(tmp_path: Path, caplog, card: str):
    """As `auricle check` says it: no exception's name, no traceback."""
    home = daemon_home(tmp_path)
    (home / "card.toml").write_text(card, "utf-8")
    with served(home) as here:
        (trouble,) = here.daemon.status().trouble
    assert trouble.startswith("reading card ")
    assert [one.exc_info for one in caplog.records if one.message == "home_failed"] == [None]


def test_a_file_that_cannot_be_read_ends_no_daemon(tmp_path: Path, monkeypatch):
    """Neither at the start, where what was forgotten is looked for and facts are counted, nor in
    the second in which a bundle on trial is looked after."""
    home = daemon_home(tmp_path)

    def damaged(*_: object) -> NoReturn:
        raise StateCorruptError("reading the file: malformed", "put the last backup in its place")

    monkeypatch.setattr("edge.storage.store.Store.concepts", damaged)
    monkeypatch.setattr("edge.home.home.Home.look_after_trial", damaged)
    with served(home) as here:
        assert "reading the file: malformed" in here.daemon.status().trouble
        begun = here.daemon.loop.turned_at
        here.until(lambda: here.daemon.loop.turned_at > begun + 1.5)
        here.daemon.outbox.put(OutboxEntry(here.daemon.outbox.take(), "a", b"{}", keys=("f1",)))
        monkeypatch.setattr("edge.storage.store.Store.was_forgotten", damaged)
        here.daemon.homes[""].retry()
        here.daemon.loop.open_homes()
        assert here.daemon.homes[""].home is None
        assert "malformed" in here.daemon.homes[""].trouble
