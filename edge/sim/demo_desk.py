"""The demonstration's desk: the production runtime over the durable store, with a stopwatch."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import encoder
import numpy as np

from ..core import Config, Decision, Event, Message, Model, Observation, Publish, Runtime
from ..shell.store import Store
from .recording import Timing

US_PER_NS: Final = 1e-3


class TimedModel:
    """An encoder that notes how long each measurement took; `Features` pass through as they are."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.spent_ns: list[int] = []

    @property
    def card(self) -> encoder.Card:
        """The card of the encoder behind it."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Encode a payload, or give back features that were made before."""
        if isinstance(payload, encoder.Features):
            return payload
        start = time.perf_counter_ns()
        features = self._model.encode(payload)
        self.spent_ns.append(time.perf_counter_ns() - start)
        return features


@dataclass(frozen=True, slots=True)
class Sheet:
    """Held-out images, encoded once.  `labels`: what they show."""

    features: tuple[encoder.Features, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)


@dataclass(slots=True)
class Desk:
    """Feeds events to a runtime, applies its effects to the store in order, and keeps the time."""

    config: Config
    model: TimedModel
    store: Store
    runtime: Runtime = field(init=False)
    _handle_ns: list[int] = field(default_factory=list)
    _store_ns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = self.open_runtime()

    def open_runtime(self) -> Runtime:
        """Open a runtime that derives everything it knows from the store as it is now."""
        return Runtime(self.config, self.model, self.store)

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Handle an event, apply its effects, return what is to be told."""
        before, start = len(self.model.spent_ns), time.perf_counter_ns()
        effects = self.runtime.handle(event)
        if isinstance(event, Observation):
            encoding = sum(self.model.spent_ns[before:])
            self._handle_ns.append(time.perf_counter_ns() - start - encoding)
        for effect in effects:
            if not isinstance(effect, Publish):
                start = time.perf_counter_ns()
                self.store.apply(effect)
                self._store_ns.append(time.perf_counter_ns() - start)
        return tuple(effect.message for effect in effects if isinstance(effect, Publish))

    def examine(self, sheet: Sheet) -> tuple[bool, ...]:
        """Say for each image whether it is read right, by a second runtime over the same store.

        Nothing of the examination reaches the first runtime or the store.
        """
        reader, right = self.open_runtime(), []
        for number, features in enumerate(sheet.features):
            event = Observation("exam", number, number, features)
            messages = [effect.message for effect in reader.handle(event)
                        if isinstance(effect, Publish)]  # fmt: skip
            said = next(message for message in messages if isinstance(message, Decision))
            right.append(said.guess == sheet.labels[number])
        return tuple(right)

    def timings(self) -> tuple[Timing, ...]:
        """Return what an image cost in the encoder and in the runtime, and a change in the store."""
        stages = {
            "encode": self.model.spent_ns,
            "handle": self._handle_ns,
            "store": self._store_ns,
        }
        return tuple(_timing(stage, spent) for stage, spent in stages.items())


def _timing(stage: str, spent_ns: Sequence[int]) -> Timing:
    middle, slow = np.percentile(spent_ns, (50, 99)) * US_PER_NS
    return Timing(stage, len(spent_ns), float(middle), float(slow))
