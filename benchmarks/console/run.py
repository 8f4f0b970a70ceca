"""The web console, over a real daemon and in a real browser.

`label_50_to_effect_ms`: from the request that labels 50 pictures, as the page sends it, until a new
picture of that kind gets the label as its answer, in a home that knows 1,000 pictures.
`daemon_p99_ratio_ten_pages`: 99th percentile of a decision's latency with ten open pages over that
without the console; both in turns, the median of the rounds counts.  Four of the pages are on Now,
two each on Health and Label, and two on screens that only listen; all of them follow live data.
The rows tell two more kinds apart, in the same turns: ten that only follow live data, and ten of a
Chromium on this machine.  The process of the pages stands for people's browsers on other machines,
so it has the lowest priority; the console and the daemon have that of an installation.  Programs
that have nothing to do with the benchmark make all latencies larger by chance: `busy` in the rows
is the share of the processors that all programs used.  `page_rss_mib`: resident memory of the
console after every screen was opened and axe-core has run.  `actions_tested`: kinds
of actions (POST routes) that were performed and had their effect; `actions` in the rows counts all.
`axe_serious`: serious and critical findings of axe-core on all screens, in two sizes and themes.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..daemon.driver import LoadDriver
from ..daemon.fixture import (
    AURICLE,
    MosquittoBroker,
    cpu_s,
    daemon_command,
    free_port,
    make_home,
    rss_mib,
    running,
    vectors,
)
from ..report import BenchmarkReport, BenchmarkRow
from .actions import drive
from .browser import AXE, chromium, count_violations, first_loads
from .daemon import ask, decided, observe, wait_for_daemon, wait_until
from .open_pages import Kind, open_pages
from .pages import ConsoleProcess, PageSession

FACTS = 1_000
"""Pictures that the home knows, as the aim says."""

PICTURES = 50
"""Pictures that are labelled at once, as the aim says."""

PROBES = 12
"""Pictures of the new kind that arrive after the label."""

ACTED = 6
"""Pictures that the actions are performed on, as many as they need."""

PAGES = 10
"""Open pages, as the aim says."""
ROUNDS = 5
"""Turns with and without pages; the median counts."""

NO_PAGES, TEN_PAGES = "without the console", "ten pages open"
OPENED: dict[str, Kind | None] = {
    NO_PAGES: None,
    "ten pages that only follow live data": "live",
    TEN_PAGES: "pages",
    "ten pages in a browser on this machine": "browser",
}
"""What is open in the turns of a round, by name."""

SETTLED_S = 2.0
"""Seconds until open pages are as they stay: one refresh of each."""

PACED_S = 8.0
"""Seconds that latency is measured over in a turn: four refreshes of each page."""

PER_S = 200.0
"""Vectors a second: a fast sensor, far below what the daemon can do."""

COLUMNS = 24
"""As in the aims for one sample."""

PROBE_S = 0.005
"""Seconds between two looks for a decision: what the measured time may be too long by."""


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
    subprocess.run([*AURICLE, *map(str, words)], check=True, capture_output=True)


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
    port = free_port()
    home = _picture_home(folder, pictures, port)
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    with running(daemon_command(home), folder / "daemon.log"):
        wait_for_daemon(home)
        console = ConsoleProcess(home)
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
            ids = _unlabelled(home, port, pictures)
            actions = drive(PageSession(console), home, ids)
            summary["actions_tested"] = float(len(actions.done))
            rows.append(BenchmarkRow("console", "actions", float(_count_actions())))
            rows.append(BenchmarkRow("console", "actions that failed", float(len(actions.failed))))
        finally:
            console.stop()
    return summary, rows


def _screens() -> dict[str, str]:
    from edge.web.screens import SCREENS

    return {screen.title: screen.path for screen in SCREENS}


def _count_actions() -> int:
    from edge.web import ROUTES
    from edge.web.screens import SCREENS

    routes = (*ROUTES, *(one for screen in SCREENS for one in screen.routes))
    return sum(one.method == "POST" for one in routes)


def _unlabelled(home: Path, port: int, pictures: Pictures) -> list[str]:
    """Send pictures for the actions; return their ids."""
    before = decided(home)
    found = pictures.of("sketch", pictures.classes[0], ACTED)
    for number, picture in enumerate(found):
        observe(port, "camera", picture, "image/webp", f"a{number}")
    wait_until(lambda: decided(home) == before + ACTED)
    return [f"a{number}" for number in range(ACTED)]


def _label_effect(
    console: ConsoleProcess, home: Path, port: int, pictures: Pictures
) -> dict[str, float]:
    """Label `PICTURES` drawings of a class that the home has never seen; return how long it took
    until one more got that answer, and the share of further ones that got it."""
    label = pictures.classes[-1]
    drawn = pictures.of("cartoon", label, PICTURES + PROBES)
    for number, picture in enumerate(drawn[:PICTURES]):
        observe(port, "camera", picture, "image/webp", f"d{number}")
    wait_until(lambda: decided(home) >= PICTURES)
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
    knowledge = ask(home, "status")["homes"][0]
    return {
        "label_50_to_answer_ms": (answered - begun) * 1e3,
        "label_50_to_effect_ms": (effect - begun) * 1e3,
        "further pictures answered right": statistics.mean(right),
        "facts": float(knowledge["facts"]),
    }


def _decide(home: Path, port: int, name: str, picture: bytes) -> dict[str, Any]:
    """Return the decision on a picture, waiting for it."""
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        messages = ask(home, "feed", since=0)["messages"]
        mine = (one for one in messages if one.get("observation_id") == name)
        found.extend(one for one in mine if one["kind"] == "decision")
        return bool(found)

    observe(port, "camera", picture, "image/webp", name)
    wait_until(arrived, PROBE_S)
    return found[-1]


def _load(folder: Path) -> tuple[dict[str, float], list[BenchmarkRow]]:
    """Return the latency of decisions with and without open pages."""
    place = folder / "load"
    place.mkdir()
    broker = MosquittoBroker(place)
    broker.start()
    home = place / "home"
    make_home(home, broker.port, COLUMNS)
    lines = vectors(COLUMNS, int(PER_S * PACED_S))
    turns: dict[str, list[Turn]] = {name: [] for name in OPENED}
    with running(daemon_command(home), place / "daemon.log") as daemon:
        driver = LoadDriver(broker.port)
        driver.await_answer(lines[0])
        driver.pace(lines, PER_S)  # caches and allocator have grown by then
        for _ in range(ROUNDS):
            for name, kind in OPENED.items():
                with ExitStack() as opened:
                    if kind is not None:
                        opened.enter_context(open_pages(home, PAGES, kind))
                        time.sleep(SETTLED_S)
                    turns[name].append(_turn(driver, lines, daemon.pid))
        driver.close()
    broker.kill()
    rows: list[BenchmarkRow] = []
    tails: dict[str, float] = {}
    for name, found in turns.items():
        for number, one in enumerate(found, 1):
            rows.append(BenchmarkRow(name, f"p99_ms, turn {number}", one.p99_ms))
        tails[name] = statistics.median(one.p99_ms for one in found)
        share = statistics.median(one.daemon_share for one in found)
        busy = statistics.median(one.busy for one in found)
        rows.append(BenchmarkRow(name, "p99_ms", tails[name]))
        rows.append(BenchmarkRow(name, "p99, relative to none", tails[name] / tails[NO_PAGES]))
        rows.append(BenchmarkRow(name, "daemon's share of a processor", share))
        rows.append(BenchmarkRow(name, "busy", busy))
    return {"daemon_p99_ratio_ten_pages": tails[TEN_PAGES] / tails[NO_PAGES]}, rows


@dataclass(frozen=True)
class Turn:
    """One measurement.  daemon_share: of one processor.  busy: share of all processors that all
    programs of the machine used."""

    p99_ms: float
    daemon_share: float
    busy: float


def _turn(driver: LoadDriver, lines: list[str], daemon: int) -> Turn:
    begun, used, (work, total) = time.monotonic(), cpu_s(daemon), _machine_s()
    pace = driver.pace(lines, PER_S)
    seconds, (work_after, total_after) = time.monotonic() - begun, _machine_s()
    busy = (work_after - work) / (total_after - total)
    return Turn(pace.p99_ms, (cpu_s(daemon) - used) / seconds, busy)


def _machine_s() -> tuple[int, int]:
    """Return the processor time of all programs, and with that in which none ran (proc(5))."""
    fields = Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]
    times = [int(one) for one in fields]
    return sum(times) - times[3] - times[4], sum(times)
