"""The demonstration's desk: the production runtime over the durable store, with a stopwatch."""

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
from ..sim import SimulatedWorker, StageTiming, ask_all, follow_stream, time_stage
from ..storage import Store

NS_PER_US: Final = 1000
"""Nanoseconds in a microsecond."""


class TimedModel:
    """An encoder that notes how long each measurement took."""

    def __init__(self, model: FeatureModel) -> None:
        self._model = model
        self.spent_ns: list[int] = []

    @property
    def card(self) -> encoder.Card:
        """The card of the encoder behind it."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Encode a payload; raises what the encoder raises."""
        start = time.perf_counter_ns()
        features = self._model.encode(payload)
        self.spent_ns.append(time.perf_counter_ns() - start)
        return features


@dataclass(frozen=True, slots=True)
class DecisionSheet:
    """Held-out images, encoded once.  `labels`: what they show."""

    features: tuple[encoder.Features, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class InstrumentedRuntime:
    """Feeds events to a runtime, applies its effects to the store in order, and keeps the time."""

    config: Config
    model: TimedModel
    store: Store
    runtime: Runtime
    workshop: SimulatedWorker
    _handle_ns: list[int] = field(default_factory=list)
    _store_ns: list[int] = field(default_factory=list)

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Handle an event, apply its effects, return what is to be told."""
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
            case Publish(GrowthReport() as news):
                self.workshop.hear(news)
            case Publish():
                pass
            case StartGrowth(job):
                self.workshop.take(job)
            case CancelGrowth(job_id):
                self.workshop.stop("facts of it were forgotten", job_id)
            case _:
                start = time.perf_counter_ns()
                self.store.apply(effect)
                self._store_ns.append(time.perf_counter_ns() - start)

    def examine(self, sheet: DecisionSheet) -> NDArray[np.bool_]:
        """Say for each image whether it is read right; leaves the runtime as it was."""
        said = [decision.guess for decision in self.ask(sheet)]
        return np.array([guess == label for guess, label in zip(said, sheet.labels, strict=True)])

    def ask(self, sheet: DecisionSheet) -> tuple[Decision, ...]:
        """Ask every image by itself, without the runtime noticing."""
        known = self.runtime.knowledge
        return tuple(ask_all(known, row, self.config) for row in sheet.features)

    def follow(self, sheet: DecisionSheet) -> tuple[Decision, ...]:
        """Ask the images as a stream, without the runtime noticing."""
        return follow_stream(self.runtime.knowledge, sheet.features, self.config)

    def timings(self) -> tuple[StageTiming, ...]:
        """Return what an image cost in encoder and runtime, and what a change cost in the store."""
        stages = (
            ("encode", self.model.spent_ns),
            ("handle", self._handle_ns),
            ("store", self._store_ns),
        )
        return tuple(time_stage(name, [ns / NS_PER_US for ns in spent]) for name, spent in stages)
