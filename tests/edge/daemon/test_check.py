from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge import Store
from edge.config.mqtt import MqttSettings, TlsSettings
from edge.daemon.check import check_home, check_secrets
from tests.brokers import Mosquitto, free_port, needs_mosquitto
from tests.daemons import daemon_home, served
from tests.homes import CARD, run
from tests.worlds import WIDTH

HTTP = '[http]\n[streams.door]\nsource = "http"\n'


def states(folder: Path, *, broker: bool = False) -> dict[str, str]:
    """The state of each check, by name."""
    return {one.what: one.state for one in check_home(folder, broker=broker)}


def test_a_home_that_can_serve_is_all_well(tmp_path: Path):
    """Settings, encoder, knowledge and streams are checked, and nothing is written."""
    folder = daemon_home(tmp_path, HTTP)
    with Store.open(folder / "knowledge.db", CARD) as store:
        store.name_columns([f"x{number}" for number in range(WIDTH)], CARD)
    assert states(folder) == dict.fromkeys(
        ["settings", "home: encoder", "home: knowledge", "home: columns", "outbox", "streams"], "ok"
    )
    assert not (folder / "outbox.db").exists()
    assert run("check", folder).exit_code == 0


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("[outbox]\nbytes_mux = 1\n", "settings"),
        ('[streams.a]\nsource = "topic"\n', "settings"),
        ('[mqtt]\n[streams.a]\nsource = "topic"\ntopic = "a/+"\n', "settings"),
        ('[streams.a]\nsource = "http"\nhome = "far"\n', "settings"),
        ('[streams.a]\nsource = "http"\n', "streams"),
        ('[homes]\nfar = "nowhere"\n', "home far"),
        ('[mqtt]\nusername = "u"\npassword_file = "none"\n', "mqtt.password_file"),
    ],
)
def test_a_mistake_in_the_settings_is_an_error(tmp_path: Path, more: str, what: str):
    """Each mistake is reported with its place and a hint, and the exit status is 1."""
    folder = daemon_home(tmp_path, more)
    assert states(folder)[what] == "error"
    result = run("check", folder)
    assert result.exit_code == 1
    assert "hint:" in result.output


def test_a_card_that_has_gone_is_an_error(tmp_path: Path):
    """The encoder is opened, not only its name checked."""
    folder = daemon_home(tmp_path, HTTP)
    (folder / "card.toml").unlink()
    assert states(folder)["home"] == "error"


def test_files_that_a_daemon_could_not_write_are_errors(tmp_path: Path, monkeypatch):
    """Knowledge files of another user, as after learning as root, are errors before a start."""
    folder = daemon_home(tmp_path, HTTP)
    mine = os.access
    closed = folder / "knowledge.db"
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and mine(path, mode))
    assert states(folder)["home: knowledge"] == "error"
    closed = folder / "outbox.db.lock"
    closed.touch()
    assert states(folder)["outbox"] == "error"


def test_an_outbox_that_cannot_be_used_is_found(tmp_path: Path):
    """A damaged outbox is a warning, because a start sets it aside; a lock that is no file is an
    error."""
    folder = daemon_home(tmp_path, HTTP)
    (folder / "outbox.db").write_bytes(b"junk" * 3000)
    assert states(folder)["outbox"] == "warning"
    (folder / "outbox.db").unlink()
    with served(folder):
        assert states(folder)["outbox"] == "ok"
    (folder / "outbox.db-wal").mkdir()
    assert states(folder)["outbox"] == "error"
    (folder / "outbox.db-wal").rmdir()
    (folder / "outbox.db.lock").unlink()
    (folder / "outbox.db.lock").mkdir()
    assert states(folder)["outbox"] == "error"


def test_secrets_that_others_can_read_are_warned_about(tmp_path: Path):
    """A password file that everybody can read is a warning; one of the owner alone is ok."""
    secret = tmp_path / "password"
    secret.write_text("x", "utf-8")
    secret.chmod(0o644)
    mqtt = MqttSettings(username="u", password_file=str(secret))
    assert [one.state for one in check_secrets(mqtt)] == ["warning"]
    secret.chmod(0o600)
    assert [one.state for one in check_secrets(mqtt)] == ["ok"]
    open_air = MqttSettings(host="far.example", username="u", password_file=str(secret))
    assert [one.what for one in check_secrets(open_air) if one.state == "warning"] == ["mqtt"]
    tls = MqttSettings(tls=TlsSettings(ca=str(tmp_path / "gone.pem")))
    assert [one.state for one in check_secrets(tls)] == ["error"]


@needs_mosquitto
def test_the_broker_is_checked_on_request(tmp_path: Path):
    """--broker connects under a separate client id; a missing broker is an error."""
    with Mosquitto(tmp_path / "broker") as broker:
        more = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        folder = daemon_home(tmp_path / "home", more)
        assert states(folder, broker=True)["broker"] == "ok"
    gone = daemon_home(tmp_path / "gone", f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n')
    assert states(gone, broker=True)["broker"] == "error"
