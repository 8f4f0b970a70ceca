from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.logs import MASK, log, set_up_logs
from tests.brokers import Mosquitto, needs_mosquitto
from tests.daemons import daemon_home, served

SECRET = "correct-horse-battery"  # noqa: S105 - must not be found


def test_logs_are_json_lines_with_level_and_time(capsys: pytest.CaptureFixture[str]):
    """Elsewhere than in a terminal each event is an object on a line; lower levels are left out."""
    set_up_logs("info")
    log.debug("unheard")
    log.warning("heard", home="a", password=SECRET, password_file="/run/x")  # noqa: S106
    try:
        json.loads("{")
    except json.JSONDecodeError:
        log.exception("failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["password"]) == ("heard", "warning", MASK)
    assert first["password_file"] == "/run/x"  # noqa: S105
    assert "json.decoder.JSONDecodeError" in second["exception"]


def test_a_warning_of_a_package_is_a_log_line():
    """A reader of the log needs no exception for it (pytest catches warnings in its process)."""
    code = (
        "import warnings; from edge.logs import set_up_logs; set_up_logs('info');"
        "warnings.warn('beware', stacklevel=1); set_up_logs('error'); warnings.warn('unheard')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["level"] == "warning"
    assert "beware" in json.loads(line)["event"]


def test_an_unwritable_log_does_not_stop_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A closed standard error does not raise where something is logged."""
    set_up_logs("info")
    gone = (tmp_path / "gone").open("w", encoding="utf-8")
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    log.error("not written")


@needs_mosquitto
def test_a_password_is_in_no_file_and_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A daemon that logs in, and one that is refused, leave the password where it was."""
    secret = tmp_path / "password"
    secret.write_text(SECRET + "\n", "utf-8")
    with Mosquitto(tmp_path / "broker") as broker:
        more = (
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nusername = "u"\n'
            f'password_file = "{secret}"\n'
        )
        folder = daemon_home(tmp_path / "home", more)
        with served(folder) as here:
            here.until(lambda: here.daemon.connection.online)
            status = str(here.daemon.status())
    result = capsys.readouterr()
    assert "connected" in result.err
    assert SECRET not in result.err + result.out + status
    for path in folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
