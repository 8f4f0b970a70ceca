"""Keys, commands and bundles from the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from edge.commands.parsing import CommandParser, ParsedCommand, Refusal
from edge.config.commands import VERBS, CommandSettings
from tests.homes import learned_home, new_home, run, run_json


def test_a_key_is_its_owners_alone(tmp_path: Path):
    """A key has mode 0600, is printed as a line for the settings, and is never replaced."""
    file = tmp_path / "ann.key"
    result = run("keygen", file)
    assert result.stdout.startswith('ann = "ed25519:')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "the file exists already" in run("keygen", file).stderr
    file.chmod(0o640)
    refused = run("command", "pause", "--device", "gw1", "--key", file, "--out", tmp_path / "x")
    assert "others can read it" in refused.stderr


def test_a_command_is_written_signed(tmp_path: Path):
    """A command in a file is executed by the device that it is for, and by no other."""
    public = run("keygen", tmp_path / "ann.key").stdout.split('"')[1]
    out = tmp_path / "forget.json"
    result = run(
        "command",
        "forget",
        "--device",
        "gw1",
        "--key",
        tmp_path / "ann.key",
        "--out",
        out,
        "--set",
        "select.subject=ann",
        "--set",
        "refit_geometry=false",
        "--id",
        "c9",
    )
    assert result.exit_code == 0, result.stderr
    settings = CommandSettings(enabled=VERBS, keys={"ann": public})
    now_ns = json.loads(json.loads(out.read_bytes())["payload"])["expires_at_ns"] - 10**9
    found = CommandParser(settings, "gw1").read("forget", out.read_bytes(), now_ns)
    assert isinstance(found, ParsedCommand)
    assert (found.request.id, found.signer) == ("c9", "ann")
    assert isinstance(
        CommandParser(settings, "gw2").read("forget", out.read_bytes(), now_ns), Refusal
    )


def test_a_command_that_would_be_refused_is_not_sent(tmp_path: Path):
    """An unknown field is an error that names the most similar field."""
    result = run("command", "label", "--device", "gw1", "--set", "lable=x", "--out", tmp_path / "x")
    assert "unknown field `lable`" in result.stderr
    assert "did you mean label?" in result.stderr
    home = new_home(tmp_path / "home")
    assert "no [mqtt], and no daemon runs" in run("command", "pause", "--home", home).stderr


def test_a_bundle_goes_from_home_to_home(tmp_path: Path):
    """A bundle is exported, imported and confirmed; a second is reverted; the first is refused
    later."""
    maker, user = learned_home(tmp_path / "maker"), new_home(tmp_path / "user")
    for name in ("maker", "user"):
        path = tmp_path / name / "auricle.toml"
        path.write_text(f'{path.read_text("utf-8")}\n[device]\nname = "{name}"\n', "utf-8")
    public = run("keygen", tmp_path / "fab.key").stdout.split('"')[1]
    path = user / "auricle.toml"
    path.write_text(f'{path.read_text("utf-8")}\n[bundles.keys]\nfab = "{public}"\n', "utf-8")
    key = ("--key", tmp_path / "fab.key", "--home", maker)
    for number in (1, 2):
        file = tmp_path / f"b{number}"
        result = run("bundle", "export", file, "--counter", number, *key)
        assert result.exit_code == 0, result.stderr
    assert run_json("bundle", "import", tmp_path / "b1", "--home", user)["state"] == "on trial"
    assert run_json("bundle", "confirm", "--home", user)["state"] == "confirmed"
    known = run_json("inspect", "--home", user)
    assert run_json("bundle", "import", tmp_path / "b2", "--home", user)["state"] == "on trial"
    assert run_json("bundle", "revert", "--home", user)["state"] == "reverted"
    assert run_json("inspect", "--home", user)["knowledge_digest"] == known["knowledge_digest"]
    again = run("bundle", "import", tmp_path / "b1", "--home", user)
    assert "its counter 1 is not above 2" in again.stderr
    assert "no bundle is on trial" in run("bundle", "confirm", "--home", user).stderr
