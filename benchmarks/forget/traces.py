"""Traces of a forgotten subject in every file of a home that a daemon served, before and after.

1,000 handwritten digits of twenty subjects (scikit-learn's copy of UCI's test set) are learned.  A
daemon without a broker decides about some again, so that its outbox waits; a backup, an export and
a C export lie in the home.  One subject is forgotten.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.datasets import load_digits

from edge.audit import Needle, Trace, fact_needles, name_needles, scan
from edge.core import Fact, ForgetRequest, Selector
from edge.daemon import Daemon
from edge.home import Home
from edge.sources import Measurement, MeasurementMetadata

from ..daemon.fixture import AURICLE, free_port
from ..report import BenchmarkReport, BenchmarkRow

FACTS: Final = 1_000
"""As many as the audit of the issue is measured at."""
SUBJECTS: Final = 20
"""A forget then takes fifty facts."""
DECIDED: Final = 200
"""Observations that the daemon decides about: ten of the forgotten subject."""
SUBJECT: Final = "Zaphod-Beeblebrox"
"""A name that occurs nowhere by chance."""
WAIT_S: Final = 120.0
"""For the daemon; it takes seconds."""

STREAM: Final = '\n[streams.pen]\nsource = "http"\n\n[device]\nname = "bench"\n\n[mqtt]\n'


@dataclass(frozen=True, slots=True)
class TraceFigures:
    """before: traces before the request.  hits: afterwards, in files that the receipt does not
    list.  listed: in those that it lists.  scan_s: seconds of the scan afterwards."""

    before: int
    hits: int
    listed: int
    scan_s: float
    found: tuple[Trace, ...] = ()


def run(_data: Path | None) -> BenchmarkReport:
    """Count the traces of a forgotten subject in all files of a home; no data needed."""
    found = measure()
    figures = {
        "traces_before": found.before,
        "trace_hits": found.hits,
        "traces_in_listed_files": found.listed,
        "scan_s": found.scan_s,
    }
    rows = tuple(BenchmarkRow("auricle", name, value) for name, value in figures.items())
    notes = tuple(f"{one.kind} {one.needle} in {one.path} ({one.part})" for one in found.found)
    return BenchmarkReport("traces", rows, {"trace_hits": found.hits}, notes)


def measure() -> TraceFigures:
    """Return how many traces of a subject a home has before and after it is forgotten.  About half
    a minute."""
    with tempfile.TemporaryDirectory(prefix="traces-") as name:
        folder = Path(name) / "home"
        make_home(folder, Path(name))
        needles = serve(folder)
        before = scan(folder, needles)
        listed = forget(folder)
        begun = time.perf_counter()
        after = scan(folder, needles)
        scan_s = time.perf_counter() - begun
    hits = tuple(one for one in after if one.path.partition("!")[0] not in listed)
    return TraceFigures(len(before), len(hits), len(after) - len(hits), scan_s, hits)


def make_home(folder: Path, beside: Path) -> None:
    """Make a home of digits, with copies of its knowledge in it."""
    digits = load_digits()
    lines = ["id,label,subject," + ",".join(f"p{column}" for column in range(64))]
    for number, (row, label) in enumerate(zip(digits.data, digits.target, strict=True)):
        if number < FACTS:
            values = ",".join(f"{value:g}" for value in row)
            lines.append(f"picture-{number:05}-{label},{label},{subject(number)},{values}")
    table = beside / "digits.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    verb("init", str(folder), "--vectors", str(table))
    verb(*f"learn {table} --home {folder} --domain pad".split())
    verb("backup", str(folder / "monday.db"), "--home", str(folder))
    verb("export", str(folder / "facts.npz"), "--home", str(folder))
    verb(*f"export-c --bits 1024 --out {folder}/firmware --home {folder}".split())
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        # Nothing listens there: what the daemon publishes waits.
        file.write(f'{STREAM}host = "127.0.0.1"\nport = {free_port()}\n')


def subject(number: int) -> str:
    """Return the subject of a picture."""
    return SUBJECT if number % SUBJECTS == 0 else f"person-{number % SUBJECTS}"


def verb(*words: str) -> None:
    """Run a verb; raises CalledProcessError if it fails."""
    subprocess.run([*AURICLE, *words], check=True, stdout=subprocess.DEVNULL, env=os.environ)


def serve(folder: Path) -> tuple[Needle, ...]:
    """Let a daemon decide about pictures of every subject, and return what to look for."""
    rows = load_digits().data[FACTS : FACTS + DECIDED]
    daemon = Daemon(folder)
    daemon.start()
    try:
        for number, row in enumerate(rows):
            metadata = MeasurementMetadata(id=f"seen-{number:05}", subject=subject(number))
            daemon.inbox.offer(Measurement("pen", row.astype(np.float32), metadata))
        turn_until(daemon, lambda: daemon.outbox.entries >= DECIDED)
        daemon.outbox.commit()
    finally:
        daemon.close()
    with Home(folder, writable=False) as home:
        facts = [one for page in home.store.pages() for one in page if one.subject == SUBJECT]
        geometry = home.runtime.knowledge.geometry
        seen = [
            Fact(
                id=f"seen-{number:05}",
                stream="pen",
                domain="",
                label="",
                captured_at_ns=0,
                features=home.model.encode(row.astype(np.float32)).values.tobytes(),
            )
            for number, row in enumerate(rows)
            if subject(number) == SUBJECT
        ]
    return (*fact_needles(facts, geometry), *fact_needles(seen, geometry), *name_needles(facts))


def forget(folder: Path) -> frozenset[str]:
    """Let a daemon forget the subject; return the files that the receipt lists as kept."""
    daemon = Daemon(folder)
    daemon.start()
    try:
        home = daemon.homes[""].home
        if home is None:
            raise RuntimeError("the daemon could not open its home")
        daemon.loop.feed(
            "",
            ForgetRequest(
                request_id="bench",
                selector=Selector(subject=SUBJECT),
                requested_at_ns=time.time_ns(),
            ),
        )
        turn_until(daemon, lambda: home.store.receipt_count() > 0)
        (receipt,) = home.store.receipts()
    finally:
        daemon.close()
    return kept_files(receipt["files"])


def kept_files(files: Sequence[dict[str, str]]) -> frozenset[str]:
    """Return the paths of the files that a receipt lists as kept."""
    return frozenset(one["path"] for one in files if one["outcome"] == "kept")


def turn_until(daemon: Daemon, done: Callable[[], bool]) -> None:
    """Run turns of the daemon until a condition holds; raises TimeoutError."""
    end = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the daemon did not finish")
        daemon.loop.turn(0.01)
