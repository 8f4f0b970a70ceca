"""The figures of `auricle doctor --bench`: what a decision costs on this machine, on fixed work.

The images, numbers and facts are the same everywhere, so that figures of two machines compare.
Each figure is a median of repeats; `fastest` is what remains when other work does not disturb.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import Config, Enrol, Event, Fact, FitGeometry, MemoryLedger, Observation, Runtime
from .health import rss_bytes

CAMERA: Final = (480, 640)
"""Height and width of the JPEG: what a webcam sends if nothing is set."""

JPEG_QUALITY: Final = 85
"""Between Pillow's 75 and the 95 of a camera.  Chosen by hand; effect not measured."""

DOMAINS: Final = 4
"""Those of PACS (Li et al. 2017), as in docs/benchmarks."""

LABELS: Final = 7
"""Labels of each domain, as in PACS."""

FACTS: Final = 12
"""Facts of each label: few, so that a slow board fits their geometry soon.  Chosen by hand; effect
not measured."""

NUMBERS: Final = 24
"""The band energies of a vibration sensor, as in docs/benchmarks."""

SPREAD: Final = 9
"""Standard deviation around a centre, of 255: well separated concepts."""

REPEATS_MIN: Final = 5
"""The fewest with a median between others.  Chosen by hand; effect not measured."""

REPEATS_MAX: Final = 400
"""More do not change a median that people compare.  Chosen by hand; effect not measured."""

SECONDS: Final = 1.5
"""Repeats of a figure end after this time, so that a slow device takes no longer.  Chosen by hand;
effect not measured."""

MIB: Final = 1 << 20
"""Bytes in a mebibyte."""

Features = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFigure:
    """One figure.  what: its name in every report.  median, fastest: in `unit`, over `repeats`.
    detail: what was done, in words."""

    what: str
    unit: str
    median: float
    fastest: float
    repeats: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Replay:
    """A model that returns payloads as features, so that a decision is timed without encoding."""

    card: encoder.Card

    def encode(self, payload: object) -> encoder.Features:
        """Return the features unchanged."""
        return encoder.Features(np.asarray(payload, np.uint8))


def measure_machine() -> Iterator[BenchFigure]:
    """Yield figures as they are measured; about ten seconds on a PC, a minute on a Raspberry Pi 4.

    Reads no home and writes nothing.
    """
    with encoder.open_model(encoder.DEFAULT_ENCODER) as model:
        yield from _encoding(model)
        card = model.card
        image = _LearnedRuntime(_Replay(card))
        yield image.learned
        yield _timed("decide_image", "us", image.decide, f"{card.width} features, {_concepts()}")
        numbers = _LearnedRuntime(_Replay(encoder.vector_card(NUMBERS)))
        yield _timed("decide_numbers", "us", numbers.decide, f"{NUMBERS} numbers, {_concepts()}")
        yield _memory()


def _encoding(model: encoder.Model) -> Iterator[BenchFigure]:
    """Time the encoder on an image of its size, and on a camera's JPEG with what precedes it."""
    card = model.card
    side = card.preparation.crop or card.preparation.resize or CAMERA
    ready, jpeg = _picture(side), _jpeg(_picture(CAMERA))
    sent = f"a JPEG of {CAMERA[1]} x {CAMERA[0]}, {len(jpeg) >> 10} KiB"
    yield _timed(
        "encode",
        "ms",
        lambda: model.encode(ready),
        f"an image of {side[1]} x {side[0]}, one thread",
    )
    yield _timed(
        "prepare_jpeg",
        "ms",
        lambda: encoder.prepare_image(jpeg, card),
        f"{sent}: decoding and resizing",
    )
    yield _timed("encode_jpeg", "ms", lambda: model.encode(jpeg), f"{sent}: bytes to features")


def _picture(size: tuple[int, int]) -> Features:
    """Return an image [height, width, 3] with large shapes and fine grain, as photographs have."""
    height, width = size
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, (height // 32 + 2, width // 32 + 2, 3)).astype(np.float32)
    rows, columns = np.arange(height) / 32, np.arange(width) / 32
    down, right = rows.astype(int), columns.astype(int)
    tall, wide = (rows - down)[:, None, None], (columns - right)[None, :, None]
    upper = coarse[down][:, right] * (1 - wide) + coarse[down][:, right + 1] * wide
    lower = coarse[down + 1][:, right] * (1 - wide) + coarse[down + 1][:, right + 1] * wide
    grain = random.normal(0, 6, (height, width, 1))
    return np.asarray(np.clip(upper * (1 - tall) + lower * tall + grain, 0, 255), np.uint8)


def _jpeg(pixels: Features) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


class _LearnedRuntime:
    """A runtime that has learned samples, uint8 [facts, concepts, width].  learned: the time of
    that."""

    def __init__(self, model: _Replay) -> None:
        self._ledger = MemoryLedger()
        self._runtime = Runtime(Config(), model, self._ledger)
        self._numbers = count()
        random = np.random.default_rng(5)
        centres = random.integers(40, 216, (DOMAINS * LABELS, model.card.width))
        noise = random.normal(0, SPREAD, (FACTS, *centres.shape))
        self._samples = np.asarray(np.clip(np.rint(centres + noise), 0, 255), np.uint8)
        begun = time.perf_counter()
        for event in (Enrol(tuple(self._facts())), FitGeometry()):
            self._feed(event)
        self.decide()
        taken = time.perf_counter() - begun
        self.learned = BenchFigure(
            what="learn",
            unit="s",
            median=taken,
            fastest=taken,
            repeats=1,
            detail=f"{self._samples[..., 0].size} facts with {model.card.width} features each, "
            "their geometry, and the first decision",
        )

    def decide(self) -> None:
        """Handle the next observation, and apply its effects."""
        number = next(self._numbers)
        concept = number * 11 % (DOMAINS * LABELS)  # 11 and 28 have no common divisor
        payload = self._samples[number % FACTS, concept]
        event = Observation(stream="bench", sequence=number, captured_at_ns=number, payload=payload)
        self._feed(event)

    def _feed(self, event: Event) -> None:
        for effect in self._runtime.handle(event):
            self._ledger.apply(effect)

    def _facts(self) -> Iterator[Fact]:
        for number, rows in enumerate(self._samples):
            for concept, features in enumerate(rows):
                domain, label = divmod(concept, LABELS)
                yield Fact(
                    id=f"{concept}-{number}",
                    stream="bench",
                    domain=f"domain-{domain}",
                    label=f"label-{label}",
                    captured_at_ns=number,
                    features=features.tobytes(),
                )


def _concepts() -> str:
    return f"{DOMAINS * LABELS} concepts, everything but encoding"


def _memory() -> BenchFigure:
    """Report the resident memory of this process, after everything above."""
    found = rss_bytes() / MIB
    return BenchFigure(
        what="memory",
        unit="MiB",
        median=found,
        fastest=found,
        repeats=1,
        detail="resident, with the encoder, both sets of facts and this program",
    )


def _timed(what: str, unit: str, call: Callable[[], Any], detail: str) -> BenchFigure:
    """Time a call again and again, after one that is not counted."""
    call()
    taken: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(taken) < REPEATS_MIN or (len(taken) < REPEATS_MAX and time.perf_counter() < until):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    scale = {"ms": 1e3, "us": 1e6}[unit]
    return BenchFigure(
        what=what,
        unit=unit,
        median=scale * median(taken),
        fastest=scale * min(taken),
        repeats=len(taken),
        detail=detail,
    )
