"""Draw the picture of docs/howto/homeassistant.md: a device in a real Home Assistant.

Usage: python scripts/draw_homeassistant.py PYTHON OUT.png

PYTHON has Home Assistant's core (`.ci/homeassistant` makes it) and the packages that the manifests
of its integrations `frontend` and `history` list; mosquitto, Chromium and playwright are installed,
and AURICLE_DATA names the folder of pacs_webp65.npz.  A broker, a daemon with photos and Home
Assistant run for the picture; everything is thrown away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from benchmarks.console.browser import chromium
from benchmarks.daemon.fixture import AURICLE, free_port, program

if TYPE_CHECKING:
    from playwright._impl._api_structures import Clip
    from playwright.sync_api import ViewportSize

WAIT_S = 120.0
"""Seconds that Home Assistant may take to start on a busy machine."""
SIZE: ViewportSize = {"width": 1660, "height": 1300}
"""Pixels of the browser window: the device page without scrolling."""
PART: Clip = {"x": 456, "y": 96, "width": 680, "height": 990}
"""The part of it with the cards of the device that hold something."""
EXAMPLES = 120
"""Photos that are learned of each class: enough to decide that another one is new."""
CONFIGURATION = """\
homeassistant: {{name: Home, time_zone: Europe/Berlin}}
http: {{server_port: {port}, server_host: 127.0.0.1}}
frontend:
config:
history:
onboarding:
logger: {{default: error}}
"""
SETTINGS = """
[device]
name = "front-door"
health_interval_s = 2

[mqtt]
host = "127.0.0.1"
port = {port}

[mqtt.homeassistant]
controls = true
images = true
console = "http://front-door.local:9465/"

[streams.camera]
source = "topic"
format = "image"
"""


@contextmanager
def running(*command: object, folder: Path) -> Iterator[None]:
    """Run a program until the end of the block."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def photos() -> Iterator[tuple[str, bytes]]:
    """Yield the class and the file of each photo."""
    with np.load(Path(os.environ["AURICLE_DATA"]) / "pacs_webp65.npz") as archive:
        blob, offsets, paths = archive["blob"], archive["offsets"], archive["path"]
    for row, path in enumerate(paths):
        domain, name, _ = str(path).split("/")
        if domain == "photo":
            yield name, blob[offsets[row] : offsets[row + 1]].tobytes()


def make_home(folder: Path, broker: int) -> bytes:
    """Make a home that knows dogs and people; returns a photo of a guitar."""
    counts: dict[str, int] = {}
    for name, body in photos():
        counts[name] = counts.get(name, 0) + 1
        if name in {"dog", "person"} and counts[name] <= EXAMPLES:
            place = folder / "photos" / name / f"{counts[name]}.webp"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
    home = folder / "home"
    subprocess.run([*AURICLE, "init", home, "--encoder", "efficientnet_lite0"], check=True)
    subprocess.run([*AURICLE, "learn", folder / "photos", "--home", home, "--yes"], check=True)
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(SETTINGS.format(port=broker))
    return next(body for name, body in photos() if name == "guitar")


class Api:
    """Home Assistant's HTTP interface.  base: its address."""

    def __init__(self, base: str) -> None:
        self.base, self.tokens = base, dict[str, Any]()

    def post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        """Post to a path; returns the answer."""
        head = {"Content-Type": kind}
        request = urllib.request.Request(self.base + path, body, head)  # noqa: S310 - loopback
        if self.tokens:
            request.add_header("Authorization", f"Bearer {self.tokens['access_token']}")
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def sign_in(self) -> bool:
        """Make the first user, and take its tokens; returns True, for `until`."""
        client = self.base + "/"
        user = {
            "client_id": client,
            "name": "A",
            "username": "a",
            "password": "a",
            "language": "en",
        }
        code = self.post("/api/onboarding/users", json.dumps(user).encode())["auth_code"]
        given = {"grant_type": "authorization_code", "code": code, "client_id": client}
        form = urlencode(given).encode()
        self.tokens = self.post("/auth/token", form, "application/x-www-form-urlencoded")
        later_ms = time.time() * 1e3 + 1e6
        self.tokens |= {"hassUrl": self.base, "clientId": client, "expires": later_ms}
        return True

    def connect(self, broker: int) -> None:
        """Add the MQTT integration, and finish the onboarding."""
        flow = self.post("/api/config/config_entries/flow", b'{"handler": "mqtt"}')
        data = json.dumps({"broker": "127.0.0.1", "port": broker}).encode()
        self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", data)
        for step in ("core_config", "analytics", "integration"):
            body = {"client_id": self.base + "/", "redirect_uri": self.base + "/"}
            self.post(f"/api/onboarding/{step}", json.dumps(body).encode())

    def publish(self, topic: str, payload: str) -> None:
        """Publish a message."""
        body = json.dumps({"topic": topic, "payload": payload}).encode()
        self.post("/api/services/mqtt/publish", body)


def until(done: Callable[[], object]) -> None:
    """Wait until a call returns something true and raises no OSError."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            if done():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("Home Assistant does not answer")
        time.sleep(0.5)


def draw(api: Api, picture: bytes, broker: int, out: Path) -> None:
    """Show a photo to the device, and take the picture of its page."""
    from paho.mqtt import publish

    topic = "auricle/v1/front-door/observe/camera"
    publish.single(topic, picture, qos=1, hostname="127.0.0.1", port=broker)
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        tokens = json.dumps(json.dumps(api.tokens))
        page.add_init_script(f"localStorage.hassTokens = {tokens}")
        page.goto(f"{api.base}/config/devices/dashboard")
        page.get_by_text("front-door").first.click()
        page.get_by_text("camera flagged is one of").first.wait_for()
        page.wait_for_timeout(4_000)
        page.screenshot(path=out, clip=PART)


def main() -> None:
    """Run everything, and write the picture."""
    python, out = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    broker, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        guitar = make_home(folder, broker)
        core = folder / "core"
        core.mkdir()
        (core / "configuration.yaml").write_text(CONFIGURATION.format(port=port), "utf-8")
        api = Api(f"http://127.0.0.1:{port}")
        with (
            running(program("mosquitto"), "-p", broker, folder=folder),
            running(*AURICLE, "run", folder / "home", folder=folder / "home"),
            running(python, "-m", "homeassistant", "-c", core, "--skip-pip", folder=core),
        ):
            until(api.sign_in)
            api.connect(broker)
            time.sleep(8)
            draw(api, guitar, broker, out)


if __name__ == "__main__":
    main()
