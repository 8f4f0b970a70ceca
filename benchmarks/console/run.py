"""The web console, over a real daemon and in a real browser.

`label_50_to_effect_ms`: from the request that labels 50 pictures, as the page sends it, until a new
picture of that kind gets the label as its answer, in a home that knows 1,000 pictures.
`daemon_p99_ratio_ten_pages`: 99th percentile of a decision's latency with ten open pages over that
without the console; both in turns, the median of the rounds counts.  `page_rss_mib`: resident
memory of the console after every screen was opened and axe-core has run.
"""

from __future__ import annotations

import http.client
import os
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..daemon.driver import LoadDriver
from ..daemon.fixture import (
    PYTHON,
    MosquittoBroker,
    daemon_command,
    make_home,
    rss_mib,
    running,
    vectors,
)
from ..report import BenchmarkReport, BenchmarkRow
from .browser import AXE, chromium, count_violations, first_loads
from .pages import ConsoleProcess, PageSession, open_pages

FACTS = 1_000
"""Pictures that the home knows, as the aim says."""

PICTURES = 50
"""Pictures that are labelled at once, as the aim says."""

PROBES = 12
"""Pictures of the new kind that arrive after the label."""

PAGES = 10
"""Open pages, as the aim says."""
ROUNDS = 5
"""Turns with and without pages; the median counts."""

PACED_S = 8.0
"""Seconds that latency is measured over in a turn: four refreshes of each page."""

PER_S = 200.0
"""Vectors a second: a fast sensor, far below what the daemon can do."""

COLUMNS = 24
"""As in the aims for one sample."""

READY_S = 60.0
"""Generous, so that a slow machine does not fail."""


def run(data: Path | None) -> BenchmarkReport:
    """Run the benchmark.  data: needs pacs_webp65.npz."""
    if data is None:
        raise SystemExit("console needs real pictures: name their folder with --data")
    rows: list[BenchmarkRow] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        summary, found = _of_pictures(folder, data)
        rows += found
        ratio, found = _load(folder)
        rows += found
        summary |= ratio
        if AXE not in os.environ:
            notes.append(f"axe-core was not run: {AXE} names no axe.min.js")
    return BenchmarkReport("console", tuple(rows), summary, tuple(notes))


class Pictures:
    """Real pictures: PACS, by domain and class, as WebP files."""

    def __init__(self, data: Path) -> None:
        with np.load(data / "pacs_webp65.npz", allow_pickle=False) as found:
            self._blob, self._offsets = found["blob"].tobytes(), found["offsets"]
            self._labels, self._domains = found["label"], found["domain"]
            self.classes = [str(name) for name in found["classes"]]
            self.domains = [str(name) for name in found["domains"]]

    def of(self, domain: str, label: str, count: int, skipped: int = 0) -> list[bytes]:
        """Return pictures of a class in a domain."""
        wanted = (self._domains == self.domains.index(domain)) & (
            self._labels == self.classes.index(label)
        )
        chosen = np.flatnonzero(wanted)[skipped : skipped + count]
        return [self._blob[self._offsets[at] : self._offsets[at + 1]] for at in chosen]


def _auricle(words: tuple[object, ...]) -> None:
    code = "from edge.cli.entry import main; main()"
    subprocess.run([*PYTHON, "-c", code, *map(str, words)], check=True, capture_output=True)


def _picture_home(folder: Path, pictures: Pictures, port: int) -> Path:
    """Make a home that knows `FACTS` photos of all classes but one, with a camera by HTTP."""
    known = pictures.classes[:-1]
    for label in known:
        (folder / "photo" / label).mkdir(parents=True)
        for number, picture in enumerate(pictures.of("photo", label, FACTS // len(known) + 1)):
            (folder / "photo" / label / f"{number}.webp").write_bytes(picture)
    home = folder / "home"
    _auricle(("init", home))
    _auricle(("learn", folder / "photo", "--home", home, "--domain", "photo", "--yes"))
    text = (home / "auricle.toml").read_text("utf-8").replace("raw = false", "raw = true")
    text += (
        f'\n[device]\nname = "bench"\n[http]\nport = {port}\n'
        '[streams.camera]\nsource = "http"\nformat = "image"\n'
    )
    (home / "auricle.toml").write_text(text, "utf-8")
    return home


def _of_pictures(folder: Path, data: Path) -> tuple[dict[str, float], list[BenchmarkRow]]:
    pictures = Pictures(data)
    port = _free_port()
    home = _picture_home(folder, pictures, port)
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    with running(daemon_command(home), folder / "daemon.log"):
        _wait_for(home)
        console = ConsoleProcess(home, folder / "console.log")
        try:
            summary["page_start_s"] = console.start_s
            effect = _label_effect(console, home, port, pictures)
            rows += [BenchmarkRow("console", name, value) for name, value in effect.items()]
            summary["label_50_to_effect_ms"] = effect["label_50_to_effect_ms"]
            with chromium() as browser:
                summary |= first_loads(browser, console)
                screens = _screens()
                summary["screens"] = float(len(screens))
                if AXE in os.environ:
                    found = count_violations(browser, console, screens)
                    rows += [
                        BenchmarkRow(view, f"serious findings, {name}", float(len(ids)))
                        for (name, view), ids in found.items()
                    ]
                    for (name, view), ids in found.items():
                        for one in ids:
                            print(f"axe: {name}, {view}: {one}")
                    summary["axe_serious"] = float(sum(map(len, found.values())))
            summary["page_rss_mib"] = rss_mib(console.process.pid)
        finally:
            console.stop()
    return summary, rows


def _screens() -> dict[str, str]:
    from edge.web.screens import SCREENS

    return {screen.title: screen.path for screen in SCREENS}


def _label_effect(
    console: ConsoleProcess, home: Path, port: int, pictures: Pictures
) -> dict[str, float]:
    """Label `PICTURES` drawings of a class that the home has never seen; return how long it took
    until one more got that answer, and the share of further ones that got it."""
    from edge.commands import send_to_daemon

    label = pictures.classes[-1]
    drawn = pictures.of("cartoon", label, PICTURES + PROBES)
    for number, picture in enumerate(drawn[:PICTURES]):
        _post(port, f"d{number}", picture)
    _decided(home, PICTURES)
    session = PageSession(console)
    ids = [f"d{number}" for number in range(PICTURES)]
    form: dict[str, str | list[str]] = {"id": ids, "label": label}
    form |= {"domain": "cartoon", "sure": "yes"}
    begun = time.perf_counter()
    status, _, body = session.ask("POST", "label-apply", form)
    answered = time.perf_counter()
    assert status in {http.client.OK, http.client.SEE_OTHER}, body[:500]
    decision = _decide(home, port, "probe-0", drawn[PICTURES])
    effect = time.perf_counter()
    assert decision["guess"] == label, f"the new label is not used: {decision}"
    right = [
        _decide(home, port, f"probe-{number}", picture)["guess"] == label
        for number, picture in enumerate(drawn[PICTURES + 1 :], 1)
    ]
    knowledge = send_to_daemon(home, {"verb": "status", "id": "bench"})["body"]["homes"][0]
    return {
        "label_50_to_answer_ms": (answered - begun) * 1e3,
        "label_50_to_effect_ms": (effect - begun) * 1e3,
        "further pictures answered right": statistics.mean(right),
        "facts": float(knowledge["facts"]),
    }


def _post(port: int, name: str, picture: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    headers = {"Content-Type": "image/webp"}
    connection.request("POST", f"/observe/camera?id={name}", picture, headers)
    response = connection.getresponse()
    assert response.status == http.client.ACCEPTED, response.read()
    response.read()
    connection.close()


def _decide(home: Path, port: int, name: str, picture: bytes) -> dict[str, Any]:
    """Return the decision on a picture, waiting for it."""
    from edge.commands import send_to_daemon

    _post(port, name, picture)
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        body = send_to_daemon(home, {"verb": "feed", "id": "bench", "since": 0})["body"]
        for message in reversed(body["messages"]):
            if message.get("observation_id") == name and message["kind"] == "decision":
                return dict(message)
        time.sleep(0.005)
    raise AssertionError(f"no decision on {name}")


def _decided(home: Path, count: int) -> None:
    from edge.commands import send_to_daemon

    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        body = send_to_daemon(home, {"verb": "feed", "id": "bench", "since": 0})["body"]
        if sum(one["decided"] for one in body["status"]["streams"]) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"fewer than {count} decisions")


def _wait_for(home: Path) -> None:
    from edge.commands import send_to_daemon

    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        answer = send_to_daemon(home, {"verb": "status", "id": "bench"})
        if answer is not None and answer.get("body"):
            return
        time.sleep(0.1)
    raise AssertionError("the daemon does not answer")


def _load(folder: Path) -> tuple[dict[str, float], list[BenchmarkRow]]:
    """Return the latency of decisions with and without open pages."""
    place = folder / "load"
    place.mkdir()
    broker = MosquittoBroker(place)
    broker.start()
    home = place / "home"
    make_home(home, broker.port, COLUMNS)
    lines = vectors(COLUMNS, int(PER_S * PACED_S))
    tails: dict[str, list[float]] = {"without the console": [], "ten pages open": []}
    with running(daemon_command(home), place / "daemon.log"):
        driver = LoadDriver(broker.port)
        driver.await_answer(lines[0])
        driver.pace(lines, PER_S)  # caches and allocator have grown by then
        for _ in range(ROUNDS):
            tails["without the console"].append(driver.pace(lines, PER_S).p99_ms)
            with open_pages(home, PAGES):
                time.sleep(2.0)
                tails["ten pages open"].append(driver.pace(lines, PER_S).p99_ms)
        driver.close()
    broker.kill()
    rows = [
        BenchmarkRow(name, f"p99_ms, turn {number}", value)
        for name, values in tails.items()
        for number, value in enumerate(values, 1)
    ]
    without, opened = (statistics.median(values) for values in tails.values())
    rows += [
        BenchmarkRow("without the console", "p99_ms", without),
        BenchmarkRow("ten pages open", "p99_ms", opened),
    ]
    return {"daemon_p99_ratio_ten_pages": opened / without}, rows


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
