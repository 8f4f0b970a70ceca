"""Prequential evaluation of one method on one stream, with a cache of measurements."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from edge.core.forecasting import FORECASTERS, ForecastTask
from edge.storage import shipped_weights

from .data import BenchmarkStream, Floats
from .heavy import HEAVY, is_wanted
from .peers import ONLINE, Method
from .river import RIVER
from .score import HORIZONS, PART_STEPS, part_channels, score

OURS = "Auricle"
GRU = "Auricle, GRU for CfC"
PLAIN = "Auricle, last value"
# Name, forecaster of the table, network with shipped weights.
OWN = {OURS: ("pool", "cfc"), GRU: ("pool-gru", "gru"), PLAIN: ("last", "")}
CACHE = "forecast"
LIGHT = ONLINE | RIVER
"""Methods fast enough to run on every stream."""


class OwnMethod:
    """One of our forecasters with the interface of `Method`."""

    part = False

    def __init__(self, stream: BenchmarkStream, kind: str, network: str) -> None:
        weights = shipped_weights(network) if network else None
        channels = stream.values.shape[1]
        task = ForecastTask(channels, HORIZONS, period=stream.period, weights=weights)
        self._forecaster = FORECASTERS[kind](task)
        self._numbers = sum(each.size for each in weights.values()) if weights else 0

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Step through the past."""
        for values, elapsed in zip(past, elapsed_s, strict=True):
            self._forecaster.step(values, float(elapsed))

    def step(self, values: Floats, elapsed_s: float) -> tuple[Floats, Floats, Floats]:
        """Process a sample and forecast."""
        made = self._forecaster.step(values, elapsed_s)
        return made.point, made.low, made.high

    def size(self) -> tuple[int, int]:
        """Return the number of parameters, and the bytes of the state."""
        return self._numbers, sum(each.nbytes for each in self._forecaster.state().values())


def methods(*, heavy: bool) -> list[str]:
    """Return the names of compared methods: ours first; heavy: with the slow ones."""
    own = [name for name, (kind, _) in OWN.items() if kind in FORECASTERS and name != PLAIN]
    return [*(own or [PLAIN]), *LIGHT, *(HEAVY if heavy else ())]


def measure_all(
    streams: Iterable[BenchmarkStream], names: list[str], jobs: int, report: Callable[[str], None]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return metrics by (method, stream).  jobs: parallel processes.  report: called for each
    result."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    wanted = [(name, one) for one in streams for name in names if is_wanted(name, one)]
    with ProcessPoolExecutor(jobs, initializer=_prepare) as pool:
        for (name, stream), marks in zip(wanted, pool.map(_measured, wanted), strict=True):
            found[name, stream.name] = marks
            report(f"{stream.name}: {name}")
    return found


def _prepare() -> None:
    # Set before any library is loaded in the process: timings are of one thread.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"


def _measured(pair: tuple[str, BenchmarkStream]) -> dict[str, Any]:
    """Return the cached measurement of a method and a stream, or measure and cache it."""
    name, stream = pair
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auricle" / CACHE
    path = folder / f"{_key(name, stream)}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    marks = {"method": name, "stream": stream.name, **measure(name, stream)}
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(marks), encoding="utf-8")
    partial.replace(path)
    return marks


def _key(name: str, stream: BenchmarkStream) -> str:
    """Return a cache key that changes with the stream, the method and the code of either."""
    here = Path(__file__).parent
    files = [here / "score.py"]
    if name in OWN:
        # A method uses the weights of one network only, but both are released together.
        core = here.parents[1] / "edge" / "core"
        files += [*(core / "forecasting").rglob("*.py"), *(core / "drift").glob("*.py")]
        files += (core / "forecasting").rglob("*.safetensors")
    else:
        file = "peers" if name in ONLINE else "river" if name in RIVER else "heavy"
        files.append(here / f"{file}.py")
    digest = hashlib.sha256(f"{name}/{stream.name}/{stream.start}/{stream.period}".encode())
    digest.update(np.ascontiguousarray(stream.values).tobytes())
    for source in sorted(files):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def measure(name: str, stream: BenchmarkStream) -> dict[str, Any]:
    """Run a method over a stream and score it.  `us`: microseconds per step, median; `learned`,
    `bytes`: its size."""
    method = _make(name, stream)
    stop = len(stream.values)
    if method.part:
        columns = part_channels(stream)
        stop = min(stream.start + PART_STEPS + HORIZONS[-1], stop)
        stream = _cut(stream, columns, stop)
    steps, channels = stream.values.shape
    points = np.full((steps, len(HORIZONS), channels), np.nan)
    lows, highs = points.copy(), points.copy()
    spent = np.zeros(steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method.begin(stream.values[: stream.start], stream.elapsed_s[: stream.start])
        for at in range(stream.start, steps):
            begun = time.perf_counter()
            point, low, high = method.step(stream.values[at], float(stream.elapsed_s[at]))
            spent[at] = time.perf_counter() - begun
            points[at] = point
            if low is not None and high is not None:
                lows[at], highs[at] = low, high
        with_intervals = bool(np.isfinite(lows).any())
        marks = score(stream, points, *((lows, highs) if with_intervals else ()))
    learned, kept = method.size()
    us = float(np.median(spent[stream.start :]) * 1e6)
    return {**marks, "us": us, "learned": learned, "bytes": kept, "whole": not method.part}


def _make(name: str, stream: BenchmarkStream) -> Method:
    if name in OWN:
        return OwnMethod(stream, *OWN[name])
    return (LIGHT | HEAVY)[name](stream)


def _cut(stream: BenchmarkStream, columns: list[int], stop: int) -> BenchmarkStream:
    """Return the bounded part of a stream."""
    return BenchmarkStream(
        group=stream.group,
        name=stream.name,
        values=stream.values[:stop, columns],
        elapsed_s=stream.elapsed_s[:stop],
        start=stream.start,
        period=stream.period,
        scale=stream.scale[columns],
        events=tuple(event for event in stream.events if event < stop),
        sample=stream.sample,
    )
