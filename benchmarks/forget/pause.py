"""The longest gap between two decisions while facts are forgotten, and what a forget costs.

`python -m benchmarks.forget.pause KIND FACTS DOMAINS FOLDER [REQUEST...]` measures a home that
`benchmarks.scale.worlds` has written, and prints JSON.  Requests: outside, inside, 500, concept,
time, domain; all by default.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import encoder
from edge.core import AdvanceForget, ForgetRequest, Observation, Receipt, Selector
from edge.home import Home

from ..scale.measure import SAMPLE_FACTS
from ..scale.worlds import SizedHome

WARM_UP = 200
"""Decisions before anything is measured: the first ones derive what the file does not keep."""

QUIET = 400
"""Decisions before and after a forget that say what one costs without it."""

PERIOD_S = 0.01
"""Time from one observation to the next: a hundred a second, as a machine's sensors send them."""

LIMIT_S = 300.0
"""A forget that takes longer has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What one request cost.  longest_ms: between two decisions that were due at once.  turn_ms:
    most processor time of the serving thread for one turn of the loop.  cpu_s: of all other
    threads, of the serving thread outside of decisions, and of decisions beyond what as many cost
    without it.  noise_s: the standard error of the last part.  wall_s: from the request to the
    receipt."""

    longest_ms: float
    turn_ms: float
    cpu_s: float
    noise_s: float
    wall_s: float
    decisions: int
    marked: int


class Stream:
    """Decides on one observation after another, as the daemon's loop does, and times the gaps."""

    def __init__(self, world: SizedHome, home: Home) -> None:
        self.home, self._number = home, 0
        import numpy as np

        self._image = world.kind == "image"
        self._rows = world.rows(np.arange(2_000), 99)
        self.marked = 0
        self.decided: list[float] = []

    def turn(self, event: ForgetRequest | None = None) -> list[object]:
        """Do what a turn of the loop does, and decide once; the messages."""
        home, found = self.home, list[object]()
        home.refit()
        if home.advances_forget:
            found += home.feed(AdvanceForget(time.time_ns()))
        if event is not None:
            found += home.feed(event)
        self._number += 1
        row = self._rows[self._number % len(self._rows)]
        payload = encoder.Features(row) if self._image else row
        began = time.thread_time()
        seen = home.feed(
            Observation(
                stream="s",
                sequence=self._number,
                captured_at_ns=10**15 + self._number * 10**9,
                payload=payload,
                id=f"seen {self._number}",
            )
        )
        self.decided.append(time.thread_time() - began)
        self.marked += any(getattr(one, "provisional", ()) for one in seen)
        return found

    def settle(self) -> None:
        """Decide until nothing is fitted in the background."""
        for _ in range(WARM_UP):
            self.turn()
        while self.home.refit():
            time.sleep(PERIOD_S)
            self.turn()

    def forget(self, request: ForgetRequest) -> Gaps:
        """Forget while deciding."""
        quiet = self._quiet()
        self.marked, self.decided = 0, []
        begun, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
        spent, used, found = list[float](), list[float](), list[object]()
        event: ForgetRequest | None = request
        while not any(isinstance(one, Receipt) for one in found):
            now, at = time.perf_counter(), time.thread_time()
            found = self.turn(event)
            event = None
            spent.append(time.perf_counter() - now)
            used.append(time.thread_time() - at)
            time.sleep(max(0.0, PERIOD_S - spent[-1]))
            if now - begun > LIMIT_S:
                raise TimeoutError(f"{request.request_id}: {self.home.runtime.pending_forgets()}")
        others = (time.process_time() - cpu) - (time.thread_time() - own)
        wall_s, marked, decided = time.perf_counter() - begun, self.marked, tuple(self.decided)
        self.settle()
        quiet += self._quiet()
        more = sum(decided) - len(decided) * mean(quiet)
        return Gaps(
            longest_ms=max(spent) * 1e3,
            turn_ms=max(used) * 1e3,
            cpu_s=others + sum(used) - sum(decided) + max(0.0, more),
            noise_s=stdev(quiet) * len(decided) * (1 / len(decided) + 1 / len(quiet)) ** 0.5,
            wall_s=wall_s,
            decisions=len(spent),
            marked=marked,
        )

    def _quiet(self) -> list[float]:
        """What decisions cost without a forget."""
        self.decided = []
        for _ in range(QUIET):
            self.turn()
            time.sleep(PERIOD_S / 4)
        return self.decided


def measure(world: SizedHome, written: Path, wanted: Sequence[str] = ()) -> dict[str, float]:
    """Measure forgets of one fact outside and inside of the geometry's sample, and of many.
    wanted: the requests, by name; all by default."""
    made: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        shutil.copytree(written, place)
        with Home(place, deferring=True) as home:
            stream = Stream(world, home)
            stream.settle()
            made["quiet_ms"] = _longest(stream)
            sample = set(home.store.sample(SAMPLE_FACTS).ids)
            ids = [f"fact {number}" for number in range(world.facts)]
            out = next(one for one in ids if one not in sample)
            found = {
                "outside": Selector(ids=frozenset({out})),
                "inside": Selector(ids=frozenset({next(one for one in ids if one in sample)})),
                "500": Selector(ids=frozenset(ids[1_000:1_500])),
                "concept": Selector(domain="domain-0003", label="3"),
                "time": Selector(from_ns=3 * 10**12, until_ns=8 * 10**12),
                "domain": Selector(domain="domain-0005"),
            }
            for name, selector in found.items():
                if wanted and name not in wanted:
                    continue
                gaps = stream.forget(
                    ForgetRequest(
                        request_id=name, selector=selector, requested_at_ns=time.time_ns()
                    )
                )
                print(name, gaps, file=sys.stderr, flush=True)
                made |= {
                    f"pause_ms_{name}": gaps.longest_ms,
                    f"turn_cpu_ms_{name}": gaps.turn_ms,
                    f"cpu_s_{name}": gaps.cpu_s,
                    f"cpu_noise_s_{name}": gaps.noise_s,
                    f"wall_s_{name}": gaps.wall_s,
                }
    return made


def _longest(stream: Stream) -> float:
    """The longest gap without a forget, for comparison."""
    return max(_seconds(stream.turn) for _ in range(1_000)) * 1e3


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main(kind: str, facts: str, domains: str, folder: str, *wanted: str) -> None:
    """Measure a written home."""
    print(json.dumps(measure(SizedHome(kind, int(facts), int(domains)), Path(folder), wanted)))


if __name__ == "__main__":
    main(*sys.argv[1:])
