"""The device of the demonstration: the production runtime and store, with timing."""

import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import (
    CancelGrowth,
    Config,
    Decision,
    Effect,
    Event,
    GrowthReport,
    Message,
    Observation,
    Publish,
    Runtime,
    StartGrowth,
)
from ..core.session import FeatureModel
from ..sim import SimulatedWorker, StageTiming, decide_sample, decide_stream, time_stage
from ..storage import Store

NS_PER_US: Final = 1000
"""Nanoseconds in a microsecond."""


class TimedModel:
    """An encoder that records the time of each call in `spent_ns`."""

    def __init__(self, model: FeatureModel) -> None:
        self._model = model
        self.spent_ns: list[int] = []

    @property
    def card(self) -> encoder.Card:
        """The card of the wrapped encoder."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Encode a payload; passes on the encoder's exceptions."""
        start = time.perf_counter_ns()
        features = self._model.encode(payload)
        self.spent_ns.append(time.perf_counter_ns() - start)
        return features


@dataclass(frozen=True, slots=True)
class HeldOutImages:
    """Held-out images, encoded once, with their labels."""

    features: tuple[encoder.Features, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class InstrumentedRuntime:
    """Feeds events to a runtime, applies the effects in order, and records how long both take."""

    config: Config
    model: TimedModel
    store: Store
    runtime: Runtime
    worker: SimulatedWorker
    _handle_ns: list[int] = field(default_factory=list)
    _store_ns: list[int] = field(default_factory=list)

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Handle an event, apply its effects, and return the messages to publish."""
        before, start = len(self.model.spent_ns), time.perf_counter_ns()
        effects = self.runtime.handle(event)
        if isinstance(event, Observation):
            encoding = sum(self.model.spent_ns[before:])
            self._handle_ns.append(time.perf_counter_ns() - start - encoding)
        for effect in effects:
            self._apply(effect)
        return tuple(effect.message for effect in effects if isinstance(effect, Publish))

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Publish(GrowthReport() as report):
                self.worker.record_report(report)
            case Publish():
                pass
            case StartGrowth(job):
                self.worker.submit(job)
            case CancelGrowth(job_id):
                self.worker.cancel("some of its facts were forgotten", job_id)
            case _:
                start = time.perf_counter_ns()
                self.store.apply(effect)
                self._store_ns.append(time.perf_counter_ns() - start)

    def evaluate(self, images: HeldOutImages) -> NDArray[np.bool_]:
        """Return for each image whether its guess is correct; leaves the runtime unchanged."""
        guesses = [decision.guess for decision in self.decide_each(images)]
        return np.array(
            [guess == label for guess, label in zip(guesses, images.labels, strict=True)]
        )

    def decide_each(self, images: HeldOutImages) -> tuple[Decision, ...]:
        """Decide on each image alone; leaves the runtime unchanged."""
        known = self.runtime.knowledge
        return tuple(decide_sample(known, row, self.config) for row in images.features)

    def decide_in_order(self, images: HeldOutImages) -> tuple[Decision, ...]:
        """Decide on the images as one stream; leaves the runtime unchanged."""
        return decide_stream(self.runtime.knowledge, images.features, self.config)

    def timings(self) -> tuple[StageTiming, ...]:
        """Return latencies per image (encoder, runtime) and per change (store)."""
        stages = (
            ("encode", self.model.spent_ns),
            ("handle", self._handle_ns),
            ("store", self._store_ns),
        )
        return tuple(time_stage(name, [ns / NS_PER_US for ns in spent]) for name, spent in stages)
