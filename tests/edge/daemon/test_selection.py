"""The setting `keep`, from the settings file to what a running daemon keeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.commands.control_socket import send_to_daemon
from edge.config.settings import SETTINGS
from edge.core.selection import SELECTORS, FactPool, keep_rows, rank_ids
from edge.home.home import Home
from tests.daemons import Process, daemon_home
from tests.homes import run
from tests.worlds import vector

CAPACITY, SHOWN = 6, 16
STDIN = '[streams.line]\nsource = "stdin"\n'


def set_keep(home: Path, keep: str) -> None:
    """Write a capacity and a selector into the settings."""
    text = (home / SETTINGS).read_text("utf-8")
    text = text.replace("facts_per_concept = 1000", f"facts_per_concept = {CAPACITY}")
    assert "\n# keep:" in text
    (home / SETTINGS).write_text(text.replace("\n# keep:", f'\nkeep = "{keep}"  #'), "utf-8")


@pytest.mark.parametrize("keep", list(SELECTORS))
def test_a_daemon_keeps_what_the_setting_says(tmp_path: Path, keep: str):
    """Of labels given to a running daemon, a full concept keeps those that its selector names; a
    kill and a restart find the same facts, and the knowledge is derived from them."""
    home = daemon_home(tmp_path / "home", STDIN)
    set_keep(home, keep)
    daemon = Process(home)
    rows = [vector(number) for number in range(SHOWN)]
    shown: list[str] = []
    for number, row in enumerate(rows):
        values = [int(value) for value in row]
        daemon.say(json.dumps({"values": values, "captured_at_ns": 100 + number}))
    for _ in rows:
        while (message := daemon.hear())["schema"] != "auricle/v1/decision":
            continue
        shown.append(message["observation_id"])
    labels = [{"observation_id": name, "label": "a", "domain": "hall"} for name in shown]
    answer = send_to_daemon(home, {"verb": "label-many", "id": "l1", "labels": labels})
    daemon.kill()
    pool = FactPool(np.array(rows), rank_ids(shown))
    kept = {shown[row] for row in keep_rows(keep, pool, CAPACITY).tolist()}
    assert answer["body"]["labelled"] == len(kept) == CAPACITY
    with Home(home) as opened:
        found = {name for batch in opened.store.batches("hall") for name in batch.ids}
        assert found == kept
        assert opened.store.evictions() == SHOWN - CAPACITY


def test_a_misspelt_selector_is_refused_with_the_nearest(tmp_path: Path):
    """Every verb that opens the home says what is wrong, and a daemon starts with the last good
    settings."""
    home = daemon_home(tmp_path / "home")
    Process(home).stop()
    set_keep(home, "coverge")
    refused = run("inspect", "--home", home)
    assert refused.exit_code != 0
    assert "coverge" in refused.output
    assert "did you mean 'coverage'?" in refused.output
    daemon = Process(home)
    daemon.stop()
    log = daemon.log.read_text("utf-8")
    assert "settings_not_used" in log
    assert "coverge" in log
