"""Resident memory, disk and time of an aggregator with more and more children, each measured in a
process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from edge.config import AggregateSettings
from edge.core import Contribution
from edge.fleet import AggregatePlace, Aggregator, read_contribution, write_contribution
from edge.sim.fleet import MemberTools, make_member, make_world, unpacked
from edge.storage import AggregateFile

CHILDREN: Final = (100, 1_000, 10_000)
"""Numbers of children."""
MADE: Final = 40
"""Different contributions; the children send them in turn, under their own names."""
BATCH: Final = 64
"""Messages of one transaction."""
NOW_NS: Final = 1_800_000_000 * 10**9
"""A time after the first revisions."""
PAGE_KIB: Final = 4
"""KiB of a page in /proc/PID/statm on Linux x86-64 and arm64."""


@dataclass(frozen=True, kw_only=True)
class AggregatorCost:
    """What an aggregator takes.  rss_mib: above that of the process before the first message.
    start_s: of the next start without a saved sum."""

    children: int
    rss_mib: float
    disk_mib: float
    bytes_in_mib: float
    seconds: float
    start_s: float


def measure(children: int) -> AggregatorCost:
    """Measure an aggregator in a new process."""
    words = [sys.executable, "-m", "benchmarks.fleet.memory", str(children)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return AggregatorCost(**json.loads(done.stdout))


def measure_here(children: int) -> AggregatorCost:
    """Measure an aggregator in this process."""
    world, tools = make_world(1), MemberTools.open()
    made = [make_member(n, n % 3, 1, world, tools).messages[0] for n in range(MADE)]
    parts = [read_contribution(raw, {}) for raw in made]
    place = AggregatePlace(unpacked(world.geometry), tools.model.card.fingerprint)
    parts = [one for one in parts if one.card == place.card]
    parts = [one for one in parts if one.geometry == place.geometry.fingerprint]
    settings = AggregateSettings(name="site", fleet="hall", messages_per_hour=1_000_000.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aggregate.db"
        before = rss_mib()
        with AggregateFile(path, writable=True) as file:
            aggregator = Aggregator(file, place, settings, {})
            began, nbytes = time.process_time(), 0
            for batch in batches(parts, children):
                nbytes += sum(len(raw) for _, raw in batch)
                aggregator.receive(batch, NOW_NS)
            aggregator.contribution(NOW_NS)
            spent, after = time.process_time() - began, rss_mib()
            file.shrink_log()
        began = time.process_time()
        with AggregateFile(path, writable=True) as file:
            Aggregator(file, place, settings, {})
        start_s = time.process_time() - began
        disk = path.stat().st_size / 2**20
    return AggregatorCost(
        children=children,
        rss_mib=after - before,
        disk_mib=disk,
        bytes_in_mib=nbytes / 2**20,
        seconds=spent,
        start_s=start_s,
    )


def batches(parts: list[Contribution], children: int) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the messages of the children."""
    batch: list[tuple[str, bytes]] = []
    for number in range(children):
        name = f"device-{number:05d}"
        one = replace(parts[number % len(parts)], device=name)
        batch.append((name, write_contribution(one, None)))
        if len(batch) == BATCH or number == children - 1:
            yield batch
            batch = []


def rss_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * PAGE_KIB / 1024


if __name__ == "__main__":
    print(json.dumps(vars(measure_here(int(sys.argv[1])))))
