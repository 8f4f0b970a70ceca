"""The stages of a decision, end to end: from the bytes of a JPEG, a camera frame or numbers.

`python -m benchmarks.hotpath.stages native|numpy FILE` measures one path in a process of its own,
on the knowledge file of a home that `run.py` made, and prints its figures as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
from numpy.typing import NDArray

ROOT: Final = Path(__file__).parents[2]
SIZE: Final = (640, 480)
"""Pixels of a frame of a common camera."""
QUALITY: Final = 85
"""JPEG quality of common cameras."""
SCENES: Final = 28
"""Scenes shown: four domains of seven classes, as in PACS."""
GRID: Final = 12
"""Random colours along a side of a scene, scaled up: as smooth as a photograph."""
TAKEN: Final = 2
"""Photographs of each scene among its facts, and as many JPEG files.  Chosen by hand."""
NOISE: Final = 2
"""Deviation of a pixel between two photographs of a scene, of 255.  Chosen by hand."""
FACTS: Final = 30
"""Facts of each scene: enough for thresholds at a rate of 1 % in a domain of seven."""
FACT_NOISE: Final = 2
"""Largest difference of a fact's features from those of its scene, in levels.  Chosen by hand."""
BLOCKS: Final = 40
"""Timed blocks, of which the fastest counts: other work disturbed the others."""
SHOWN: Final = {"jpeg": 6, "frame": 6, "default_jpeg": 6, "default_frame": 6, "vector": 50}
"""Observations in a block, by kind of payload: some 50 ms each."""
WARM: Final = 100
"""Observations before those that are timed: they solve router and heads, and fill the windows."""
NATIVE: Final = "native"
NUMPY: Final = "numpy"
STAGES: Final = ("preprocess", "encode", "examine", "window", "route", "answer")

Features = NDArray[np.uint8]


def measure(way: str, home: Path) -> dict[str, float]:
    """Measure one path in a process of its own.  home: its knowledge file, of image features."""
    command = [sys.executable, "-m", "benchmarks.hotpath.stages", way, str(home.absolute())]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout)
    return found


class StageClock:
    """Attributes time to stages; a stage that runs within another is not counted twice."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0)
        self._inner: list[int] = []

    def timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Return the function with its time attributed to a stage."""

        def measured(*given: Any, **named: Any) -> Any:
            self._inner.append(0)
            started = time.process_time_ns()
            try:
                return call(*given, **named)
            finally:
                spent = time.process_time_ns() - started
                self.spent[stage] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        return measured


@contextmanager
def clocked(runtime: Any, model: Any) -> Iterator[StageClock]:
    """Attribute the time of a runtime's functions to stages while the context lasts."""
    import hdc

    clock, known = StageClock(), runtime.knowledge
    places = (
        (model, "_prepare", "preprocess"),
        (model, "encode", "encode"),
        (hdc, "examine", "examine"),
        (hdc, "decide", "examine"),
        (hdc, "detect_window", "window"),
        (type(known.router()), "logits", "route"),
        (type(known), "answer", "answer"),
    )
    with ExitStack() as held:
        for owner, name, stage in places:
            timed = clock.timed(getattr(owner, name), stage)
            held.enter_context(mock.patch.object(owner, name, timed))
        yield clock


def scenes() -> list[NDArray[np.uint8]]:
    """Return frames uint8 [height, width, 3], as smooth as photographs."""
    from PIL import Image

    random = np.random.default_rng(0)
    grids = random.integers(0, 256, (SCENES, GRID, GRID, 3), np.uint8)
    smooth = Image.Resampling.BICUBIC
    return [np.asarray(Image.fromarray(grid).resize(SIZE, smooth)) for grid in grids]


def photograph(frame: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a frame with a camera's noise."""
    noisy = frame + random.normal(0, NOISE, frame.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def as_jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Return a frame as a JPEG file."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def images(name: str) -> tuple[Any, Any, list[NDArray[np.uint8]]]:
    """Return a runtime that knows the scenes, its model, and frames to show.  name: of the
    encoder."""
    import encoder
    from edge import Config, Runtime
    from edge.core import Enrol, Fact, FitGeometry, MemoryLedger

    random, frames = np.random.default_rng(2), scenes()
    model = encoder.open_model(name)
    facts = []
    for number, frame in enumerate(frames):
        taken = [model.encode(photograph(frame, random)).values for _ in range(TAKEN)]
        taken += [model.encode(as_jpeg(photograph(frame, random))).values for _ in range(TAKEN)]
        for one in range(FACTS):
            features = taken[one % len(taken)].astype(np.int64)
            row = features + random.integers(-FACT_NOISE, FACT_NOISE + 1, len(features))
            facts.append(
                Fact(
                    id=f"{number} {one}",
                    stream="s",
                    domain=f"domain-{number % 4}",
                    label=f"{number // 4}",
                    captured_at_ns=0,
                    features=np.clip(row, 0, 255).astype(np.uint8).tobytes(),
                )
            )
    ledger = MemoryLedger()
    runtime = Runtime(Config(), model, ledger)
    for event in (Enrol(tuple(facts)), FitGeometry()):
        for effect in runtime.handle(event):
            ledger.apply(effect)
    return runtime, model, [photograph(frame, random) for frame in frames]


def stages(kind: str, runtime: Any, model: Any, payloads: Sequence[object]) -> dict[str, float]:
    """Return microseconds in each stage, in all others together ("rest"), and in total: processor
    time, which other processes disturb less than the clock on the wall.

    The total is measured without the clock, so that its own time counts nowhere but in a stage.
    """
    from edge import Observation

    numbers = count()

    def show() -> None:
        number = next(numbers)
        payload = payloads[number % len(payloads)]
        runtime.handle(
            Observation(stream=kind, sequence=number, captured_at_ns=number, payload=payload)
        )

    for _ in payloads:
        show()
    whole = min(_block_us(show, SHOWN[kind]) for _ in range(BLOCKS))
    best = dict.fromkeys(STAGES, float("inf"))
    with clocked(runtime, model) as clock:
        for _ in range(BLOCKS):
            clock.spent = dict.fromkeys(STAGES, 0)
            _block_us(show, SHOWN[kind])
            for stage, spent in clock.spent.items():
                best[stage] = min(best[stage], spent / SHOWN[kind] / 1e3)
    found = {f"{kind}_{stage}_us": spent for stage, spent in best.items()}
    rest = max(0.0, whole - sum(best.values()))
    return {**found, f"{kind}_rest_us": rest, f"{kind}_total_us": whole}


def overheads(file: Path) -> dict[str, float]:
    """Return microseconds of a decision without the encoder: on the store of a home of images, and
    on 24 numbers."""
    import encoder
    from edge import Store

    from .handling import replayed, vectors
    from .serving import MODEL

    card = encoder.load_card(encoder.SHIPPED[MODEL])
    with Store.open(file, card) as store:
        found = {"handle_overhead_us": _least_us(replayed(store, card).show)}
    return {**found, "vector_overhead_us": _least_us(vectors(encoded=True).show)}


def _least_us(show: Callable[[], None]) -> float:
    for _ in range(WARM):
        show()
    return min(_block_us(show, SHOWN["vector"]) for _ in range(BLOCKS))


def _block_us(show: Callable[[], None], times: int) -> float:
    started = time.process_time_ns()
    for _ in range(times):
        show()
    return (time.process_time_ns() - started) / times / 1e3


def _main(way: str, file: str) -> None:
    if way == NUMPY:
        # The import of the C part then fails, as on a machine without it.
        sys.modules["hdc._native"] = None  # type: ignore[assignment]  # how imports are blocked
    from threadpoolctl import threadpool_limits

    from encoder import DEFAULT_ENCODER

    from .handling import vectors
    from .serving import MODEL

    found: dict[str, float] = {}
    with threadpool_limits(1):
        for prefix, name in (("", MODEL), ("default_", DEFAULT_ENCODER)):
            runtime, model, frames = images(name)
            files = [as_jpeg(frame) for frame in frames]
            found |= stages(f"{prefix}jpeg", runtime, model, files)
            found |= stages(f"{prefix}frame", runtime, model, frames)
        handler = vectors()
        found |= stages("vector", handler.runtime, handler.model, handler.samples)
        found |= overheads(Path(file))
    print(json.dumps(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
