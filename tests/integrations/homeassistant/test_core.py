from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.home import actions
from edge.home.home import Home
from edge.home.new_home import create_home
from edge.version import __version__
from tests.brokers import Mosquitto, needs_mosquitto
from tests.daemons import Process
from tests.drifts import SHIFT, samples, timed_home

# A core starts in seconds, and in minutes on a busy machine.
pytestmark = [needs_mosquitto, pytest.mark.timeout(450)]
HERE = Path(__file__).parent
SESSION_S = 400.0
CONSOLE = "http://gw1.local:8321/"
SETTINGS = """
[device]
name = "gw1"
health_interval_s = 2

[mqtt]
host = "127.0.0.1"
port = {port}

[mqtt.homeassistant]
controls = true
images = true
console = "http://gw1.local:8321/"

[streams.cam]
source = "topic"
format = "image"
"""


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter with pytest-homeassistant-custom-component."""
    found = os.environ.get("AURICLE_HA_PYTHON")
    if not found:
        pytest.skip("needs AURICLE_HA_PYTHON: an interpreter with Home Assistant's core")
    return found


@pytest.fixture(scope="module")
def pictures(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Photos by class, in a folder for each."""
    folder = tmp_path_factory.mktemp("pictures")
    with np.load(data_folder / "pacs_webp65.npz", allow_pickle=False) as archive:
        blob, offsets, paths = archive["blob"], archive["offsets"], archive["path"]
    found: dict[str, list[Path]] = {}
    for name in ("dog", "house", "guitar"):
        rows = [n for n, one in enumerate(paths) if one.startswith(f"photo/{name}/")][:16]
        (folder / name).mkdir()
        for row in rows:
            path = folder / name / f"{row}.webp"
            path.write_bytes(blob[offsets[row] : offsets[row + 1]].tobytes())
            found.setdefault(name, []).append(path)
    return found


@pytest.fixture
def home(tmp_path: Path, pictures: dict[str, list[Path]]) -> Path:
    """A home that knows photos of dogs and houses, and two whose label is "unknown"."""
    folder = tmp_path / "home"
    create_home(folder, None, "efficientnet_lite0")
    known = tmp_path / "known"
    for name in ("dog", "house"):
        (known / name).mkdir(parents=True)
        for one in pictures[name][:12]:
            shutil.copy(one, known / name)
    (known / "unknown").mkdir()
    for one in pictures["guitar"][:2]:
        shutil.copy(one, known / "unknown")
    with Home(folder) as opened:
        actions.learn(opened, actions.read_lesson(opened, known, "", "", lambda _: None))
    return folder


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker without access control."""
    with Mosquitto(tmp_path / "broker") as one:
        yield one


VECTORS = """
[mqtt]
host = "127.0.0.1"
port = {port}
will_delay_s = 0

[mqtt.homeassistant]
controls = true

[streams.cam]
source = "topic"

[streams.power]
source = "topic"
kind = "series"
"""


def in_core(python: str, folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Run the session in Home Assistant's core; returns what it saw."""
    place = folder / "core"
    place.mkdir()
    shutil.copy(HERE / "session_in_core.py", place)
    asked = place / "session.json"
    seen = place / "seen.json"
    asked.write_text(json.dumps(given | {"seen": str(seen)}), "utf-8")
    options = (
        *("-q", "--show-capture=no", "-p", "no:cacheprovider"),
        *("--rootdir", place, "-o", "asyncio_mode=auto"),
    )
    result = subprocess.run(
        [python, "-m", "pytest", *map(str, options), str(place / "session_in_core.py")],
        cwd=place,
        env={**os.environ, "AURICLE_SESSION": str(asked), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=SESSION_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    found: dict[str, Any] = json.loads(seen.read_text("utf-8"))
    return found


def test_a_person_labels_confirms_and_chooses_the_rate_in_home_assistant(
    python: str, mosquitto: Mosquitto, home: Path, pictures: dict[str, list[Path]], tmp_path: Path
) -> None:
    """A real core discovers every entity; its services label, confirm a guess and set the rate, and
    the ledger and the settings file hold it."""
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(SETTINGS.format(port=mosquitto.port))
    daemon = Process(home)
    try:
        asked = {
            "port": mosquitto.port,
            "pictures": [str(one) for one in pictures["guitar"][4:8]],
            "model": "efficientnet_lite0",
            "version": __version__,
            "console": CONSOLE,
        }
        seen = in_core(python, tmp_path, asked)
    finally:
        daemon.stop()
    with Home(home, writable=False) as opened:
        labels = {one.id: one.label for page in opened.store.pages() for one in page}
        assert opened.runtime.config.false_alarm_rate == 0.025
    first, second, third = seen["labelled"]
    assert labels[first] == "unknown"
    assert labels[second] == "guitar <b>ö</b>"
    assert labels[third] in {"dog", "house", "unknown", "guitar <b>ö</b>"}
    text = (home / "auricle.toml").read_text("utf-8")
    assert tomllib.loads(text)["detector"]["false_alarm_rate"] == 0.025
    assert "# share of known samples" in text


def test_an_alarm_is_asked_about_in_home_assistant(
    python: str, mosquitto: Mosquitto, tmp_path: Path, source: Path
) -> None:
    """A real core shows alarm, question, change and the device's death; the automation made from
    the blueprint notifies, and its button labels the observation that it showed."""
    home = timed_home(tmp_path / "home", VECTORS.format(port=mosquitto.port))
    rows = [*samples(32, 0, 1), *samples(48, SHIFT, 2)]
    noise = np.random.default_rng(3).normal(0, 0.2, 300)
    series = 230 + noise + np.where(np.arange(300) < 250, 0, 15)
    blueprint = "integrations/homeassistant/blueprints/automation/auricle/ask_about_alarm.yaml"
    daemon = Process(home)
    asked = {
        "port": mosquitto.port,
        "rows": [row.tolist() for row in rows],
        "series": series.tolist(),
        "daemon": daemon.process.pid,
        "blueprint": str(source / blueprint),
    }
    try:
        seen = in_core(python, tmp_path, asked)
    finally:
        daemon.process.kill()
        daemon.process.wait()
    with Home(home, writable=False) as opened:
        fact = opened.store.get(seen["labelled"])
        assert fact is not None
        assert fact.label == "worn bearing"
