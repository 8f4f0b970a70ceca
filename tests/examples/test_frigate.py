"""The companion for Frigate: a session of its messages through a real broker and a real daemon."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from edge.sim import DigitSampler, load_mnist
from tests.brokers import Mosquitto, needs_mosquitto
from tests.daemons import DIE_WITH_PARENT, Process

SESSION = Path(__file__).parent / "frigate_session.jsonl"
TAUGHT = (3, 7, 1, 9)
EXAMPLES = 40
DOGS = ("1764032400.475377-mxklsc", "1764032455.112233-qq7abc")
CAR = "1764032490.998877-zz1yxw"


class FrigateApi:
    """The part of Frigate's HTTP API that sets sub labels.  status: of its next answers."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.status: list[int] = []
        self.log: list[tuple[object, ...]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.posted.append((self.path, body))
                self.send_response(outer.status.pop(0) if outer.status else 200)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                outer.log.append(words)

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_port}"


def jpeg(pixels: np.ndarray) -> bytes:
    """Return pixels as a JPEG file of the size of a snapshot."""
    written = io.BytesIO()
    Image.fromarray(pixels).resize((300, 300)).save(written, "jpeg", quality=90)
    return written.getvalue()


def pictures() -> dict[int, list[bytes]]:
    """Return pictures of the digits, by digit."""
    drawn = DigitSampler(load_mnist(), 1).draw_evenly(EXAMPLES + 4)
    found: dict[int, list[bytes]] = {}
    for pixels, digit in zip(drawn.images, drawn.labels, strict=True):
        found.setdefault(int(digit), []).append(jpeg(pixels))
    return found


def auricle(*words: object) -> None:
    """Run a command."""
    code = "from edge.cli.entry import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def companion(source: Path, port: int, api: FrigateApi) -> Iterator[list[str]]:
    """Run the companion; yields its lines, once it is connected."""
    script = source / "examples" / "frigate" / "companion.py"
    options = ["--port", str(port), "--device", "gate", "--stream", "yard", "--frigate", api.url]
    process = subprocess.Popen(
        [sys.executable, str(script), *options],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=DIE_WITH_PARENT,  # noqa: PLW1509 - a call of C alone
    )
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())  # noqa: PERF401 - each line counts as soon as it is there

    reader = threading.Thread(target=read)
    reader.start()
    try:
        until(lambda: lines and lines[0].startswith("connected"))
        yield lines
    finally:
        process.terminate()
        assert process.wait(10) == 0
        reader.join()


def until(done: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; fail after some time."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def taught_home(folder: Path) -> Path:
    """Make a home that knows four digits."""
    known = pictures()
    for digit in TAUGHT:
        (folder / "dogs" / str(digit)).mkdir(parents=True)
        for number, picture in enumerate(known[digit][:EXAMPLES]):
            (folder / "dogs" / str(digit) / f"{number}.jpg").write_bytes(picture)
    auricle("init", folder / "home")
    auricle("learn", folder / "dogs", "--home", folder / "home", "--domain", "yard")
    return folder / "home"


@dataclass
class Replayed:
    """What came of a session.  posted: requests to Frigate; printed: lines of the companion."""

    posted: list[tuple[str, dict[str, Any]]]
    printed: list[str]


def replay(source: Path, folder: Path, home: Path) -> Replayed:
    """Replay the session through a broker, the companion and a daemon with the example's settings.
    The first request to Frigate fails."""
    settings = (source / "examples" / "frigate" / "auricle.toml").read_text("utf-8")
    known = {digit: found[EXAMPLES:] for digit, found in pictures().items()}
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    api = FrigateApi()
    api.status = [500]
    with Mosquitto(folder / "broker") as broker:
        added = settings.replace('host = "localhost"', f'host = "127.0.0.1"\nport = {broker.port}')
        with (home / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write(added.replace("[candidates]\nraw = true\n", ""))
        daemon = Process(home)
        frigate = Client(CallbackAPIVersion.VERSION2)
        frigate.connect("127.0.0.1", broker.port)
        frigate.loop_start()
        with companion(source, broker.port, api) as printed:
            for line in map(json.loads, SESSION.read_text("utf-8").splitlines()):
                body = line.get("payload", "")
                if "picture" in line:
                    kind, digit = line["picture"]
                    body = jpeg(noise) if kind == "noise" else known[digit].pop()
                elif isinstance(body, dict):
                    body = json.dumps(body)
                sent = frigate.publish(line["topic"], body, 1, retain=line.get("retain", False))
                sent.wait_for_publish(10)
            until(lambda: len(api.posted) >= 3)
            time.sleep(1)
        frigate.loop_stop()
        daemon.process.kill()
    return Replayed(api.posted, printed)


@needs_mosquitto
def test_a_session_of_frigate_gets_sub_labels(source: Path, tmp_path: Path):
    """Known snapshots set the sub label of their object once, after an error of Frigate again;
    unknown, retained, unpaired and false ones set none, and a damaged message does no harm."""
    found = replay(source, tmp_path, taught_home(tmp_path))
    first, again, second = found.posted
    assert first == again == (f"/api/events/{DOGS[0]}/sub_label", {"subLabel": "3"})
    assert second == (f"/api/events/{DOGS[1]}/sub_label", {"subLabel": "7"})
    assert not any(CAR in path for path, _ in found.posted)
    assert any("cannot be read" in line for line in found.printed)
