"""A process that serves images at a steady rate while its worker grows adaptors, on one core.

`python -m benchmarks.growth.serving HOME IMAGES`: the first image is the last to be labelled.
Prints JSON.  Latency starts when an image is due; images due while the process is busy are dropped
and counted, as with a camera.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.core import Event, GrowRequest, GrowthReport, Label, Observation, Tick
from edge.home import Home

PERIOD_S: Final = 0.04
"""A camera of 25 frames a second."""
IDLE: Final = 500
"""20 s of service before growth starts: enough for a 99th percentile of five samples."""
WARM_UP: Final = 50
"""Images served before timing starts.  Chosen by hand."""
GROWING_MIN: Final = 500
"""As many latencies during growth as IDLE before it."""
ROUNDS_MAX: Final = 12
"""Bounds the run time where growth is fast."""
NEW: Final = "sketch"
FORBIDDEN: Final = ("torch", "sklearn")
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class ServingRound:
    """Serving during one growth.  start_ms: time that the process was busy starting the job;
    end_ms: busy with the result, and delay of the next answer; worker_cpu_s: processor time of the
    worker."""

    latencies: list[float]
    start_ms: float
    end_ms: float
    worker_cpu_s: float
    news: GrowthReport


@dataclass(slots=True, kw_only=True)
class CameraFeed:
    """Feeds the home an image each PERIOD_S, and measures its worker."""

    home: Home
    payloads: list[bytes]
    due: float = 0.0
    dropped: int = 0
    worker_peak_mib: float = 0.0
    worker_cpu_s: float = 0.0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def serve(self) -> float:
        """Serve the next image; returns milliseconds from its due time to its decision."""
        missed = int(max(0.0, time.monotonic() - self.due) / PERIOD_S)
        self.dropped += missed
        self.due += PERIOD_S * (missed + 1)
        time.sleep(max(0.0, self.due - time.monotonic()))
        number = next(self.numbers)
        payload = self.payloads[number % len(self.payloads)]
        self.home.feed(
            Observation(
                stream="cam", sequence=number, captured_at_ns=time.time_ns(), payload=payload
            )
        )
        return 1e3 * (time.monotonic() - self.due)

    def serve_idle(self, count: int) -> list[float]:
        """Serve some images without growth; returns their latencies."""
        self.due = time.monotonic()
        return [self.serve() for _ in range(count)]

    def grow(self, event: Event) -> ServingRound:
        """Start a growth and serve until its result arrives."""
        self.worker_cpu_s = 0.0
        began = time.monotonic()
        self.home.feed(event)
        start_ms = 1e3 * (time.monotonic() - began)
        latencies: list[float] = []
        while True:
            latencies.append(self.serve())
            self._look_at_worker()
            began = time.monotonic()
            news = [one for one in self.home.poll_growth() if isinstance(one, GrowthReport)]
            if news:
                end_ms = 1e3 * (time.monotonic() - began) + self.serve()
                return ServingRound(latencies, start_ms, end_ms, self.worker_cpu_s, news[-1])

    def _look_at_worker(self) -> None:
        process_id = self.home.worker.process_id
        if process_id is not None:
            self.worker_peak_mib = max(self.worker_peak_mib, memory_mib(process_id)["VmHWM"])
            self.worker_cpu_s = max(self.worker_cpu_s, _cpu_s(process_id))


def memory_mib(process_id: int | str = "self") -> dict[str, float]:
    """Return the memory of a process as the kernel reports it, in MiB; zeros if it has ended."""
    found = dict.fromkeys(("VmHWM", "VmRSS"), 0.0)
    try:
        lines = Path(f"/proc/{process_id}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return found
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return {name: int(sizes.get(name, 0)) / 1024 for name in found}


def _cpu_s(process_id: int) -> float:
    """Return the processor seconds that a process has used; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text("ascii", "replace")
    except OSError:
        return 0.0
    user, system = fields.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS_A_SECOND


def measure(home: Home, images: list[tuple[str, bytes]]) -> dict[str, Any]:
    """Serve without growth, label the last image, serve through several rounds of growth."""
    label, content = images[0]
    camera = CameraFeed(home=home, payloads=[payload for _, payload in images[1:]])
    camera.serve_idle(WARM_UP)
    idle = camera.serve_idle(IDLE)
    before = memory_mib()["VmRSS"]
    home.feed(
        Observation(
            stream="cam",
            sequence=0,
            captured_at_ns=time.time_ns(),
            payload=content,
            id="the last label",
        )
    )
    labelled = time.monotonic()
    home.feed(Label("the last label", label, NEW))
    rounds = [camera.grow(Tick())]
    serving_s = time.monotonic() - labelled
    after = memory_mib()["VmRSS"]
    while sum(len(one.latencies) for one in rounds) < GROWING_MIN and len(rounds) < ROUNDS_MAX:
        camera.serve_idle(WARM_UP)
        rounds.append(camera.grow(GrowRequest(NEW)))
    idle += camera.serve_idle(IDLE)
    growing = [late for one in rounds for late in one.latencies]
    first = rounds[0]
    figures = {
        "label_to_serving_s": serving_s,
        "worker_peak_rss_mib": camera.worker_peak_mib,
        "worker_cpu_s": first.worker_cpu_s,
        "serving_p99_idle_ms": float(np.percentile(idle, 99)),
        "serving_p99_growing_ms": float(np.percentile(growing, 99)),
        "serving_median_idle_ms": float(np.median(idle)),
        "serving_median_growing_ms": float(np.median(growing)),
        "start_ms_max": max(one.start_ms for one in rounds),
        "end_ms_max": max(one.end_ms for one in rounds),
        "serving_rss_before_mib": before,
        "serving_rss_after_mib": after,
    }
    return {"figures": figures, "notes": _notes(camera, rounds, len(growing))}


def _notes(camera: CameraFeed, rounds: list[ServingRound], count: int) -> list[str]:
    first = rounds[0].news
    loaded = ", ".join(name for name in FORBIDDEN if name in sys.modules) or "none"
    served = f"{count} images served while growing, one each {1e3 * PERIOD_S:.0f} ms"
    states = ", ".join(one.news.state for one in rounds)
    return [
        f"{served}; {camera.dropped} dropped in all",
        f"rounds of growth: {states}; the first: {first.detail}",
        "where a growth is refused, label_to_serving_s is the time to that decision",
        f"of {', '.join(FORBIDDEN)} loaded while serving: {loaded}",
    ]


def _main(home: str, images: str) -> None:
    # The worker inherits the one core.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    paths = sorted(Path(images).iterdir())
    payloads = [(path.name.split()[1], path.read_bytes()) for path in paths]
    with Home(Path(home)) as opened:
        print(json.dumps(measure(opened, payloads)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
