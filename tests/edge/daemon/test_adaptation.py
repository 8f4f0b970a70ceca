"""Adaptation without labels in a running daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.commands.control_socket import send_to_daemon
from edge.config.settings import SETTINGS
from edge.home.home import Home
from tests.daemons import Process, until
from tests.drifts import SECOND_NS, samples, timed_home

MOVED = 90
"""Levels by which the samples of the unknown domain are higher."""


def say(daemon: Process, rows, start: int) -> None:
    """Send samples."""
    for number, row in enumerate(rows, start):
        values = [int(value) for value in row]
        daemon.say(json.dumps({"values": values, "captured_at_ns": number * SECOND_NS}))


def adapted(daemon: Process) -> dict[str, object] | None:
    """The adaptation of the newest decision, after one sample more."""
    message = daemon.hear()
    while message["schema"] != "auricle/v1/decision":
        message = daemon.hear()
    found: dict[str, object] | None = message["adaptation"]
    return found


def heard(daemon: Process, number: int) -> dict[str, object] | None:
    """The adaptation of the decision on one more sample of the moved domain."""
    say(daemon, samples(1, MOVED, number), number)
    return adapted(daemon)


def digest_of(folder: Path) -> str:
    """The digest of a home that no daemon holds."""
    with Home(folder) as home:
        return home.runtime.digest()


def until_adapted(daemon: Process, start: int) -> int:
    """Send samples of the moved domain until a decision is adapted; return the next number."""
    numbers = iter(range(start, start + 10_000))
    say(daemon, [*samples(32, 0, 1), *samples(60, MOVED, 2)], start)
    for _ in range(32 + 60):
        next(numbers)
        adapted(daemon)

    until(lambda: heard(daemon, next(numbers)) is not None)
    return next(numbers)


def test_a_killed_daemon_adapts_again_and_its_digest_is_unchanged(tmp_path):
    """After kill -9 in the middle of an adapted domain the domain is found and adapted to again;
    the digest is that of the facts, before, after and in between."""
    home = timed_home(tmp_path / "home")
    before = digest_of(home)
    daemon = Process(home)
    after = until_adapted(daemon, 1_001)
    daemon.kill()
    assert digest_of(home) == before
    daemon = Process(home)
    until_adapted(daemon, after + 1)
    daemon.kill()
    assert digest_of(home) == before


def test_the_command_switches_it_in_a_running_daemon(tmp_path):
    """`adaptation` off ends it once the settings are read again, and auto starts it again; each is
    written into the settings."""
    home = timed_home(tmp_path / "home")
    daemon = Process(home)
    after = until_adapted(daemon, 1_001)
    for policy in ("off", "auto"):
        send_to_daemon(home, {"verb": "adaptation", "id": policy, "policy": policy})
        assert f'policy = "{policy}"' in (home / SETTINGS).read_text("utf-8")
        if policy == "off":
            say(daemon, samples(100, MOVED, 5), after)
            after += 100
            assert {json.dumps(adapted(daemon)) for _ in range(100)} == {"null"}
    until_adapted(daemon, after)
    daemon.stop()


@pytest.mark.parametrize("policy", ['"tent"', "3", '["auto"]', "true", '""'])
def test_a_policy_that_is_none_keeps_the_last_good_settings(tmp_path, policy):
    """A daemon whose settings name another policy starts with the last good ones, and says so."""
    home = timed_home(tmp_path / "home")
    Process(home).stop()
    text = (home / SETTINGS).read_text("utf-8")
    assert 'policy = "auto"' in text
    (home / SETTINGS).write_text(text.replace('policy = "auto"', f"policy = {policy}"), "utf-8")
    daemon = Process(home)
    daemon.stop()
    log = daemon.log.read_text("utf-8")
    assert "settings_not_used" in log
    assert "adaptation" in log
