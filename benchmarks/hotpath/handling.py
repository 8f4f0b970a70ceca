"""`Runtime.handle` for single observations: median, tail, and the first one after a label."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median

import numpy as np
from numpy.typing import NDArray

import encoder
from edge import Config, Label, Observation, Runtime, Store
from edge.core import Effect, Enrol, Event, Fact, FeatureModel, FitGeometry, MemoryLedger

from ..report import BenchmarkRow

HANDLED = 2_000
"""Enough for a 99th percentile of twenty samples."""
LABELLED = 8
"""First observations after a label: each derives a head again."""
WIDTH, DOMAINS, LABELS, FACTS = 24, 3, 8, 60
"""A vibration sensor's band energies and a usual home; facts for each concept."""
IMAGE_DOMAINS, IMAGE_LABELS = 4, 7
"""The shape of PACS: four domains of seven classes."""
FIRST_SHOWN = 100_000
"""Seed of the first sample shown: above those of all facts."""
SPREAD = 9
"""Standard deviation around a centre, of 255: well separated concepts."""

Features = NDArray[np.uint8]


@dataclass(frozen=True)
class Replay:
    """A model that returns payloads as features."""

    card: encoder.Card

    def encode(self, payload: object) -> encoder.Features:
        """Return the features unchanged."""
        return encoder.Features(np.asarray(payload, np.uint8))


class Handler:
    """A runtime that handles samples in a loop, on one stream, with each effect applied."""

    def __init__(
        self,
        runtime: Runtime,
        model: FeatureModel,
        apply: Callable[[Effect], object],
        samples: Sequence[object],
    ) -> None:
        self.runtime, self.model, self.samples = runtime, model, samples
        self._apply = apply
        self._numbers = count()
        self._last = ""

    def feed(self, event: Event) -> None:
        """Handle an event."""
        for effect in self.runtime.handle(event):
            self._apply(effect)

    def show(self) -> None:
        """Handle the next observation."""
        number = next(self._numbers)
        event = Observation(
            stream="cam",
            sequence=number,
            captured_at_ns=number,
            payload=self.samples[number % len(self.samples)],
        )
        self._last = event.key
        self.feed(event)

    def rows(self, name: str) -> list[BenchmarkRow]:
        """Return the times of many observations one by one, and of the first after each of some
        labels."""
        for _ in range(HANDLED // 10):
            self.show()
        each = [self._timed() * 1e6 for _ in range(HANDLED)]
        first = [self._after_label() * 1e3 for _ in range(LABELLED)]
        return [
            BenchmarkRow("auricle", f"{name}_p50_us", median(each)),
            BenchmarkRow("auricle", f"{name}_p99_us", float(np.percentile(each, 99))),
            BenchmarkRow("auricle", f"{name}_after_label_ms", median(first)),
        ]

    def _timed(self) -> float:
        started = time.process_time()
        self.show()
        return time.process_time() - started

    def _after_label(self) -> float:
        self.feed(Label(self._last, "0"))
        return self._timed()


def replayed(store: Store, card: encoder.Card) -> Handler:
    """Return a handler of image features on a store that knows them, without the encoder."""
    model, shown = Replay(card), clouds(card.width)
    runtime = Runtime(Config(), model, store)
    samples = [shown(number, FIRST_SHOWN + number) for number in range(256)]
    return Handler(runtime, model, store.apply, samples)


def clouds(width: int) -> Callable[[int, int], Features]:
    """Return samples around a centre for each of 4 domains x 7 labels, by number and seed."""
    random = np.random.default_rng(0)
    centres = random.integers(40, 216, (IMAGE_DOMAINS * IMAGE_LABELS, width))

    def sample(number: int, seed: int) -> Features:
        noise = np.random.default_rng(seed).integers(-30, 31, width)
        return np.asarray(np.clip(centres[number % len(centres)] + noise, 0, 255), np.uint8)

    return sample


def vectors(*, encoded: bool = False) -> Handler:
    """Return a small vector card: 24 columns, 3 domains x 8 labels, and a stream that mixes domains
    and sends lists of numbers, as JSON has them.  encoded: it sends features, as an encoder makes
    them, instead."""
    random = np.random.default_rng(5)
    around = random.integers(40, 200, (DOMAINS, 1, WIDTH))
    centres = (around + random.integers(-20, 21, (DOMAINS, LABELS, WIDTH))).reshape(-1, WIDTH)
    concepts = len(centres)

    def draw(numbers: Iterator[int]) -> Iterator[tuple[int, Features]]:
        for number in numbers:
            values = centres[number % concepts] + random.normal(0, SPREAD, WIDTH)
            yield number, np.asarray(np.clip(values, 0, 255), np.uint8)

    facts = (
        Fact(
            id=f"fact {n}",
            stream="s",
            domain=f"domain-{n % concepts // LABELS}",
            label=f"{n % LABELS}",
            captured_at_ns=n,
            features=x.tobytes(),
        )
        for n, x in draw(iter(range(concepts * FACTS)))
    )
    ledger = MemoryLedger()
    quantiser = encoder.Quantiser(np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.int32))
    card = encoder.vector_card(WIDTH, "whole numbers", quantiser)
    model = Replay(card) if encoded else encoder.open_model(card)
    runtime = Runtime(Config(), model, ledger)
    enrolled = tuple(facts)
    shown = (int(n) for n in random.integers(0, concepts, 256))
    drawn = [sample for _, sample in draw(shown)]
    samples = drawn if encoded else [[float(one) for one in sample] for sample in drawn]
    handler = Handler(runtime, model, ledger.apply, samples)
    handler.feed(Enrol(enrolled))
    handler.feed(FitGeometry())
    return handler
