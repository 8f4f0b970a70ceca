"""The settings that a start uses."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from edge.config.settings import SETTINGS
from edge.core.errors import ConfigError
from edge.daemon.settings import GOOD, load_settings
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.daemons import WAIT_S, Process, daemon_home, served
from tests.homes import run

MQTT = '[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'


def test_a_start_with_the_last_good_settings_is_logged(tmp_path: Path, caplog):
    """A reader of the log alone must not mistake the old settings for the new ones."""
    home = daemon_home(tmp_path)
    with served(home):
        pass
    (home / SETTINGS).write_text("nope = 1\n", "utf-8")
    caplog.clear()
    with served(home):
        result = [one for one in caplog.records if one.message == "settings_not_used"]
    assert len(result) == 1
    assert "nope" in str(vars(result[0]))


def test_a_pipe_in_place_of_the_last_good_settings_does_not_block(tmp_path: Path):
    """A named pipe is not read, and a file replaces it."""
    home = daemon_home(tmp_path)
    os.mkfifo(home / GOOD)
    assert load_settings(home)[1] == ""
    assert (home / GOOD).read_text("utf-8") == (home / SETTINGS).read_text("utf-8")


@pytest.mark.parametrize("good", [b"\xff\xfe", b"nope = 2", b""])
def test_last_good_settings_that_are_none_leave_the_error_of_the_settings(
    tmp_path: Path, good: bytes
):
    """The error names the file that the user can correct."""
    home = daemon_home(tmp_path)
    (home / SETTINGS).write_text("nope = 1\n", "utf-8")
    (home / GOOD).write_bytes(good)
    with pytest.raises(ConfigError, match=f"{SETTINGS}: .*nope"):
        load_settings(home)


@needs_mosquitto
def test_commands_are_taken_as_soon_as_settings_that_enable_them_are_read(tmp_path: Path):
    """Through a real broker: SIGHUP is enough to enable [commands], without a restart."""
    with Mosquitto(tmp_path / "broker") as broker:
        home = daemon_home(tmp_path / "home", MQTT.format(port=broker.port))
        daemon = Process(home)
        place = ("--home", home, "--broker", f"127.0.0.1:{broker.port}")
        try:
            assert run("command", "status", *place, "--wait-s", "1").exit_code == 1
            with (home / SETTINGS).open("a", encoding="utf-8") as file:
                file.write('[commands]\nenabled = ["status"]\n')
            daemon.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + WAIT_S
            while (result := run("command", "status", *place, "--wait-s", "1")).exit_code:
                assert time.monotonic() < end, result.output
            assert json.loads(result.stdout)["done"]
        finally:
            daemon.process.kill()
            daemon.process.communicate()


@needs_mosquitto
def test_a_fleet_member_follows_its_daemon_to_another_broker(tmp_path: Path):
    """After a reload with another broker the device's contribution is published there."""
    with Mosquitto(tmp_path / "old") as old, Mosquitto(tmp_path / "new") as new:
        fleet = '[fleet]\nname = "f"\npublish_after_s = 0.1\n'
        home = daemon_home(tmp_path / "home", MQTT.format(port=old.port) + fleet)
        daemon = Process(home)
        try:
            with (
                seated(quick(old.port), "left") as left,
                seated(quick(new.port), "right") as right,
            ):
                for seat in (left, right):
                    seat.online().broker.subscribe(["auricle/v1/fleet/f/contribution/gw1"])
                left.until(lambda: left.arrivals)
                text = (home / SETTINGS).read_text("utf-8")
                changed = text.replace(f"port = {old.port}", f"port = {new.port}")
                (home / SETTINGS).write_text(changed, "utf-8")
                daemon.process.send_signal(signal.SIGHUP)
                right.until(lambda: right.arrivals)
        finally:
            daemon.process.kill()
            daemon.process.communicate()
