from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edge.config.settings import read_settings
from edge.version import __version__
from tests.homes import run

yaml = pytest.importorskip("yaml", reason="needs PyYAML, which reads what the supervisor reads")

CHECK = """
import sys, yaml
from pathlib import Path
try:
    from supervisor.apps import validate
    config = validate.SCHEMA_APP_CONFIG
    words = validate.SCHEMA_APP_TRANSLATIONS
except ModuleNotFoundError:
    from supervisor.addons import validate
    config = validate.SCHEMA_ADDON_CONFIG
    words = validate.SCHEMA_ADDON_TRANSLATIONS
from supervisor.store.validate import SCHEMA_REPOSITORY_CONFIG
root = Path(sys.argv[1])
read = lambda path: yaml.safe_load(path.read_text("utf-8"))
made = config(read(root / "auricle/config.yaml"))
assert made["ingress"] and made["ingress_port"] == 9465, made
assert made["services"] == ["mqtt:need"], made
assert sorted(made["arch"]) == ["aarch64", "amd64"], made
for path in (root / "auricle/translations").iterdir():
    words(read(path))
SCHEMA_REPOSITORY_CONFIG(read(root / "repository.yaml"))
print("accepted")
"""
BROKER = {
    "host": "core-mosquitto",
    "port": 1883,
    "username": "addons",
    "password": "se'cret",
    "ssl": False,
}


@pytest.fixture
def addon(tmp_path: Path, source: Path) -> Path:
    """An add-on repository."""
    made = build(source, tmp_path / "out")
    assert made.returncode == 0, made.stderr
    return tmp_path / "out"


def build(source: Path, out: Path, *wheels: Path) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    script = source / "scripts/build_addon.py"
    return subprocess.run(
        [sys.executable, str(script), str(out), *map(str, wheels)],
        capture_output=True,
        text=True,
        check=False,
    )


def loaded(path: Path) -> Any:
    """The contents of a YAML file."""
    return yaml.safe_load(path.read_text("utf-8"))


def test_the_repository_has_what_the_store_shows(addon: Path) -> None:
    """Version, icons and texts are there, and every option has a name in every language."""
    made = loaded(addon / "auricle/config.yaml")
    assert made["version"] == __version__
    dockerfile = (addon / "auricle/Dockerfile").read_text("utf-8")
    assert f"auricle[camera,web]=={__version__}" in dockerfile
    assert Image.open(addon / "auricle/icon.png").size == (128, 128)
    assert Image.open(addon / "auricle/logo.png").size == (250, 100)
    assert (addon / "auricle/DOCS.md").stat().st_size > 0
    assert __version__ in (addon / "auricle/CHANGELOG.md").read_text("utf-8")
    assert set(made["options"]) == set(made["schema"])
    for language in ("en", "de"):
        words = loaded(addon / f"auricle/translations/{language}.yaml")["configuration"]
        assert set(words) == set(made["schema"])
        assert set(words["streams"]["fields"]) == set(made["schema"]["streams"][0])


def test_a_folder_with_files_is_not_touched(source: Path, tmp_path: Path) -> None:
    """The script refuses it and says why; wheels are copied into a new one."""
    (tmp_path / "keep").write_text("mine", "utf-8")
    refused = build(source, tmp_path)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["keep"]
    wheel = tmp_path / "auricle-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    assert build(source, tmp_path / "out", wheel).returncode == 0
    assert (tmp_path / "out/auricle/wheels" / wheel.name).read_bytes() == b"wheel"


def test_the_supervisors_own_schemas_accept_it(addon: Path) -> None:
    """The validators of a checkout of home-assistant/supervisor accept every file."""
    python, checkout = os.environ.get("AURICLE_HA_PYTHON"), os.environ.get("AURICLE_HA_SUPERVISOR")
    if not (python and checkout):
        pytest.skip("needs AURICLE_HA_PYTHON, and AURICLE_HA_SUPERVISOR: the supervisor's source")
    result = subprocess.run(
        [python, "-c", CHECK, str(addon)],
        env={**os.environ, "PYTHONPATH": checkout},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "accepted", result.stderr


class Supervisor(BaseHTTPRequestHandler):
    """Answers as the supervisor does."""

    def do_GET(self) -> None:
        """Answer a question of an add-on with its token."""
        assert self.headers["Authorization"] == "Bearer token"
        data = {"/services/mqtt": BROKER, "/addons/self/info": {"slug": "ab12_auricle"}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"result": "ok", "data": data[self.path]}).encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def supervisor() -> Iterator[str]:
    """The address of a supervisor."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Supervisor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def starter(addon: Path) -> Any:
    """The program that the container starts."""
    spec = importlib.util.spec_from_file_location("start", addon / "auricle/start.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_first_start_makes_a_home(addon: Path, supervisor: str, tmp_path: Path) -> None:
    """Options and broker become settings that `auricle check` accepts; the password is in no file,
    and a later start leaves what the user wrote."""
    data, home = tmp_path / "data", tmp_path / "config"
    data.mkdir()
    home.mkdir()
    name = 'door "1" ]\n'.strip()
    options = loaded(addon / "auricle/config.yaml")["options"] | {
        "streams": [
            {"name": name, "source": "folder", "place": "/media/door"},
            {"name": "mail", "source": "topic"},
        ]
    }
    (data / "options.json").write_text(json.dumps(options), "utf-8")
    start = starter(addon)
    variables = start.prepare(data, home, supervisor, "token")
    assert variables == {"AURICLE_MQTT_PASSWORD": "se'cret"}
    text = (home / "auricle.toml").read_text("utf-8")
    assert "se'cret" not in text
    settings = read_settings(home)
    assert settings.web.ingress == "owner"
    assert settings.mqtt is not None
    assert settings.mqtt.host == "core-mosquitto"
    assert settings.mqtt.homeassistant is not None
    assert settings.mqtt.homeassistant.controls
    assert settings.mqtt.homeassistant.console == "homeassistant://hassio/ingress/ab12_auricle"
    assert set(settings.streams) == {name, "mail"}
    assert "must" not in run("check", home).output
    start.prepare(data, home, supervisor, "token")
    assert (home / "auricle.toml").read_text("utf-8") == text
