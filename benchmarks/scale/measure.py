"""Times and memory of one home, measured in a process of its own.

`python -m benchmarks.scale.measure KIND FACTS DOMAINS` prints a JSON line.  Times are processor
time of the serving thread: what a user waits for on a machine with nothing else to do.  Forgetting
runs in steps beside decisions: its time is that of all threads, until the receipt.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np

import encoder
from edge.core import (
    AdvanceForget,
    Decision,
    ForgetRequest,
    Label,
    Observation,
    Receipt,
    Selector,
)
from edge.home import Home, verify_home

from .worlds import LABELS, PERIOD_NS, SizedHome

SHOWN = 160
"""Observations before and while decisions are timed: several windows of the stream."""

LABELLED = 5
"""Labels after each of which the first decision is timed; the median counts."""

FORGOTTEN = 3
"""Facts outside the survey's sample that are forgotten; the median counts."""

SAMPLE_FACTS = 2_048
"""`GEOMETRY_FACTS_MAX` of the core: facts that a geometry is fitted to."""

FORGET_S_MAX = 300.0
"""A forget request that takes longer has failed."""

POLL_S = 0.005
"""Pause between two looks at the background fits.  Chosen by hand."""

REFERENCES = 60
"""Repeats of a fixed piece of work, by which a busy machine shows; the median counts."""

PAGE_BYTES = 4096
"""Unit of /proc/self/statm."""


class Session:
    """A home that serves, and the samples that it is shown."""

    def __init__(self, world: SizedHome, folder: Path) -> None:
        self.world, self.folder = world, folder
        numbers = np.arange(SHOWN) % LABELS  # a stream stays in one domain, as most do
        self._rows = world.rows(numbers, 1 << 20)
        self._turns = count()
        self.home = Home(folder, deferring=True)

    def show(self) -> Decision:
        """Decide on the next sample."""
        number = next(self._turns)
        row = self._rows[number % len(self._rows)]
        payload = encoder.Features(row) if self.world.kind == "image" else row.astype(np.float32)
        event = Observation(
            stream="cam",
            sequence=number,
            captured_at_ns=(self.world.facts + number + 1) * PERIOD_NS,
            payload=payload,
        )
        found = [one for one in self.home.feed(event) if isinstance(one, Decision)]
        return found[0]

    def settle(self) -> None:
        """Wait until no fit runs in the background."""
        while self.home.refit():
            time.sleep(POLL_S)

    def label(self) -> tuple[float, float, float]:
        """Return the seconds that a label takes, then the first decision, then the second."""
        shown = self.show()
        learned = _seconds(lambda: self.home.feed(Label(shown.observation_id, "0")))
        first, second = _seconds(self.show), _seconds(self.show)
        return learned, first, second

    def forget(self, fact_id: str) -> float:
        """Return the processor seconds of all threads from a request to forget a fact to its
        receipt, and until nothing is fitted any more.  Raises TimeoutError without a receipt."""
        begun, used = time.monotonic(), time.process_time()
        request = ForgetRequest(
            request_id=f"forget {fact_id}",
            selector=Selector(ids=frozenset({fact_id})),
            requested_at_ns=1,
        )
        found = self.home.feed(request)
        while not any(isinstance(one, Receipt) for one in found):
            self.home.refit()
            if self.home.advances_forget:
                found = self.home.feed(AdvanceForget(time.time_ns()))
            else:
                time.sleep(POLL_S)
            if time.monotonic() - begun > FORGET_S_MAX:
                raise TimeoutError(f"{fact_id}: {self.home.runtime.pending_forgets()}")
        self.settle()
        return time.process_time() - used


def measure(world: SizedHome, folder: Path) -> dict[str, float]:
    """Write a home, and measure what a user waits for."""
    home = folder / "home"
    shape = (world.kind, str(world.facts), str(world.domains), str(home))
    # In a process of its own: what writing takes would count as memory here.
    subprocess.run([sys.executable, "-m", "benchmarks.scale.worlds", *shape], check=True)
    made = {"reference_us": _reference_us()}
    started = time.thread_time()
    session = Session(world, home)
    made["open_s"] = time.thread_time() - started
    made["first_decision_ms"] = _seconds(session.show) * 1e3
    for _ in range(SHOWN):
        session.show()
    session.settle()
    made["decision_us"] = median(_seconds(session.show) for _ in range(SHOWN)) * 1e6
    made |= _labels(session)
    made["rss_mib"] = _resident_mib()
    made |= _forgets(session)
    session.home.close()
    made |= _copies(home, folder)
    return made


def _labels(session: Session) -> dict[str, float]:
    """Time labels, the decisions after them, and the fits that follow in the background."""
    rows = []
    background = 0.0
    for _ in range(LABELLED):
        rows.append(session.label())
        before = time.process_time()
        session.settle()
        background += time.process_time() - before
    learned, first, _ = (median(column) for column in zip(*rows, strict=True))
    return {
        "learn_ms": learned * 1e3,
        "label_to_decision_ms": first * 1e3,
        "refit_s": background / LABELLED,
    }


def _forgets(session: Session) -> dict[str, float]:
    """Time forgetting facts outside the sample that the geometry is fitted to, and one in it."""
    ids = [f"fact {number}" for number in range(session.world.facts)]
    inside = set(session.home.store.sample(SAMPLE_FACTS).ids)
    outside = [one for one in ids if one not in inside][: FORGOTTEN + 1]
    session.home.refit_geometry()  # labels have been learned since
    session.show()
    session.settle()
    made = {}
    if outside:
        made["forget_outside_ms"] = median(map(session.forget, outside)) * 1e3
    made["forget_inside_ms"] = session.forget(next(one for one in ids if one in inside)) * 1e3
    return made


def _copies(home: Path, folder: Path) -> dict[str, float]:
    """Time verifying and backing up the home."""
    with Home(home) as opened:
        verified = _seconds(lambda: verify_home(opened))
        backed_up = _seconds(lambda: opened.store.backup(folder / "copy.db"))
    return {"verify_s": verified, "backup_s": backed_up}


def _reference_us() -> float:
    """Return the time of a fixed piece of work as small as a decision's stages: a product of a row
    and 256 columns, and the bits of 100 KiB counted."""
    random = np.random.default_rng(0)
    matrix = random.normal(0, 1, (1_280, 256)).astype(np.float32)
    words = random.integers(0, 1 << 62, (100, 128), np.uint64)
    row = matrix[:, 0].copy()

    def work() -> None:
        for _ in range(10):
            row @ matrix
            np.bitwise_count(words).sum(dtype=np.int64)

    return median(_seconds(work) for _ in range(REFERENCES)) * 1e6


def _seconds(call: Callable[[], object]) -> float:
    """Return the processor time of a call in this thread."""
    started = time.thread_time()
    call()
    return time.thread_time() - started


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / (1 << 20)


def main(kind: str, facts: str, domains: str) -> None:
    """Measure one home and print the figures."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        print(json.dumps(measure(SizedHome(kind, int(facts), int(domains)), Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
