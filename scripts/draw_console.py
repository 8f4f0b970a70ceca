"""Draw every screen of the web console, in light and dark, as PNG files for the documentation.

Usage: python scripts/draw_console.py OUT_FOLDER [SCREEN ...]

It starts a real daemon and `auricle web`, and drives Chromium.  The home knows handwritten digits
of one scanner; a camera sends more of them, then digits of another, so that there is an alarm
and something to label.  A second stream is the simulated load of three links with a change.  The
pictures of the documentation come from `python scripts/draw_console.py docs/images/console`.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from PIL import Image

from benchmarks.console.browser import DESKTOP, PHONE, chromium, logged_in
from benchmarks.console.daemon import ask, decided, observe, wait_for_daemon, wait_until
from benchmarks.console.pages import ConsoleProcess
from benchmarks.daemon.fixture import AURICLE, daemon_command, running
from edge.backbone import STEP_S, simulate_links
from edge.config import AggregateSettings
from edge.fleet import (
    AggregatePlace,
    Aggregator,
    aggregate_path,
    read_contribution,
    write_contribution,
)
from edge.sim import Digits, DigitSampler, load_mnist, load_optdigits
from edge.sim.fleet import MemberTools, make_member, make_world, unpacked
from edge.storage import AggregateFile
from edge.web.screens import SCREENS

EXAMPLES, KNOWN, NEW = 30, 60, 60
"""Examples of each digit, pictures of the known scanner, pictures of the other one."""

LABELLED = 12
"""Of the other scanner's pictures; those that the device asks about stay waiting."""

LOADS, AFTER = 400, 12
"""Samples of the link loads, and how many of them come after the change."""

CHANNELS = 3
"""Links that are shown."""

ON_PHONE = ("Now", "Label")
"""Screens that are also drawn for a phone."""

COLOURS = 256
"""Of a palette: a third of the bytes, and no difference to the eye on pages of flat colours."""

HTTP_PORT = 19_464
SETTINGS = f"""
[device]
name = "gateway"

[http]
port = {HTTP_PORT}

[streams.camera]
source = "http"
format = "image"

[streams.links]
source = "http"
kind = "series"

[fleet]
name = "yard"
devices = ["yard-2"]

[aggregate]
name = "yard"
fleet = "hall"
parent = "region"
"""

MEMBERS = 14
"""Devices of the fleet that the aggregator sums; three of them are refused, dropped and gone."""


def main(folder: Path, wanted: list[str]) -> None:
    """Draw the screens.  wanted: their titles; all if empty."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = make_home(Path(place))
        fill_aggregate(home)
        with running(daemon_command(home), Path(place) / "daemon.log"):
            wait_for_daemon(home)
            feed_streams(home)
            console = ConsoleProcess(home)
            try:
                draw(console, home, folder, wanted)
            finally:
                console.stop()


def make_home(folder: Path) -> Path:
    """Make a home that knows the digits of one scanner."""
    for number, (picture, digit) in enumerate(
        pictures(DigitSampler(load_mnist(), 1).draw_evenly(EXAMPLES))
    ):
        path = folder / "mnist" / digit / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    home = folder / "gateway"
    for words in (("init", home), ("learn", folder / "mnist", "--home", home, "--domain", "mnist")):
        subprocess.run([*AURICLE, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    text = (home / "auricle.toml").read_text("utf-8").replace("raw = false", "raw = true ")
    (home / "auricle.toml").write_text(text + SETTINGS, "utf-8")
    return home


def fill_aggregate(home: Path) -> None:
    """Let the home's aggregator sum a fleet, and drop one of its members."""
    world, tools, now_ns = make_world(1), MemberTools.open(), time.time_ns()
    place = AggregatePlace(unpacked(world.geometry), tools.model.card.fingerprint)
    settings = AggregateSettings(name="yard", fleet="hall", parent="region")
    histories = (make_member(number, 0, 1, world, tools) for number in range(10 * MEMBERS))
    kept = [one for one in histories if one.kind in ("steady", "poisoner")][:MEMBERS]
    made = [read_contribution(one.messages[0], {}) for one in kept]
    first, second, third = (one.device for one in kept[:3])
    changes: dict[str, dict[str, Any]] = {
        first: {"card": "0" * 64},
        third: {"samples": 0, "arrays": {}},
    }
    with AggregateFile(aggregate_path(home), writable=True) as file:
        aggregator = Aggregator(file, place, settings, {})
        for one in made:
            sent = replace(one, **changes.get(one.device, {}))
            aggregator.receive([(one.device, write_contribution(sent, None))], now_ns)
        aggregator.check()
        aggregator.drop(second, now_ns)
        aggregator.contribution(now_ns)


def pictures(digits: Digits) -> Iterable[tuple[bytes, str]]:
    """Yield digits as PNG files with their labels."""
    for pixels, digit in zip(digits.images, digits.labels, strict=True):
        written = io.BytesIO()
        Image.fromarray(pixels).save(written, "png")
        yield written.getvalue(), str(digit)


def feed_streams(home: Path) -> None:
    """Send both streams, and label some of the new pictures."""
    loads = simulate_links(days=4, quiet_days=2)
    change = next(event.step for event in loads.events if event.step > LOADS)
    rows = loads.loads[change + AFTER - LOADS : change + AFTER, :CHANNELS] / 1_000
    begun_ns = time.time_ns() - LOADS * int(STEP_S) * 10**9
    for number, row in enumerate(rows):
        body = {
            "values": {f"link {place + 1}": load for place, load in enumerate(row.tolist())},
            "captured_at_ns": begun_ns + number * int(STEP_S) * 10**9,
        }
        send("links", json.dumps(body).encode(), "application/json")
    for picture, _ in pictures(DigitSampler(load_mnist(), 2).draw(KNOWN)):
        send("camera", picture, "image/png")
    drawn = list(pictures(DigitSampler(load_optdigits(), 3).draw(NEW)))
    for number, (picture, _) in enumerate(drawn):
        send("camera", picture, "image/png", f"scan-{number:03}")
    wait_until(lambda: decided(home) == KNOWN + NEW)
    view = ask(home, "gallery", offset=0, limit=100, order="value", state="waiting")
    waiting = {one["id"] for one in view["items"]}
    named = ((f"scan-{number:03}", digit) for number, (_, digit) in enumerate(drawn))
    labels = [
        {"observation_id": name, "label": digit, "domain": "scanner 2"}
        for name, digit in named
        if name not in waiting
    ]
    ask(home, "label-many", labels=labels[:LABELLED])


def send(stream: str, body: bytes, kind: str, name: str = "") -> None:
    """Send a measurement, at a pace that no queue drops."""
    observe(HTTP_PORT, stream, body, kind, name)
    time.sleep(0.02)


def draw(console: ConsoleProcess, home: Path, folder: Path, wanted: list[str]) -> None:
    """Draw the screens in both schemes."""
    waiting = ask(home, "gallery", offset=0, limit=1, order="value", state="waiting")["items"]
    paths = {screen.title: screen.path for screen in SCREENS}
    paths["Why"] = f"{paths['Why']}?id={waiting[0]['id']}"
    with chromium() as browser:
        for scheme in ("light", "dark"):
            page = logged_in(browser, console, viewport=DESKTOP, color_scheme=scheme)
            for title, path in paths.items():
                if wanted and title not in wanted:
                    continue
                page.goto(console.address + path)
                page.wait_for_timeout(2_500)
                name = title.lower().replace(" ", "-")
                save(page.screenshot(), folder / f"{name}-{scheme}.png")
                if title in ON_PHONE:
                    page.set_viewport_size(PHONE)
                    page.wait_for_timeout(500)
                    save(page.screenshot(), folder / f"{name}-phone-{scheme}.png")
                    page.set_viewport_size(DESKTOP)
            page.context.close()


def save(picture: bytes, path: Path) -> None:
    """Write a picture with a palette."""
    found = Image.open(io.BytesIO(picture)).convert("RGB")
    found.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
