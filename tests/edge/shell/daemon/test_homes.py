"""Homes that cannot be opened, as they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

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
