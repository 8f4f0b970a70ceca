"""A runtime that replays features: facts learned, then a stream observed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core import (
    Config,
    Decision,
    Enrol,
    Event,
    Fact,
    FitGeometry,
    MemoryLedger,
    Observation,
    Publish,
    Runtime,
)
from edge.sim.adaptation import AdaptationStream, AdaptationWorld

PICTURE_COLUMNS = 2064
"""Columns of the shipped encoder; other features are vectors."""


class PassingModel:
    """An encoder whose payloads are the features."""

    def __init__(self, card: encoder.Card) -> None:
        self.card = card

    def encode(self, payload: object) -> encoder.Features:
        """Return the payload as features."""
        return encoder.Features(np.asarray(payload, np.uint8))


@dataclass(frozen=True, slots=True)
class Answered:
    """What a runtime answered to a stream.  right: of each sample whose class is known.  adapted,
    degraded: shares of the decisions.  us: thread CPU microseconds a decision."""

    right: NDArray[np.bool_]
    adapted: float
    degraded: float
    us: float


class ReplayedRuntime:
    """A runtime with a ledger in memory.  policy: of adaptation."""

    def __init__(self, columns: int, policy: str) -> None:
        self.ledger = MemoryLedger()
        self.runtime = Runtime(Config(adaptation=policy), PassingModel(_card(columns)), self.ledger)
        self._observed = 0

    def feed(self, event: Event) -> list[object]:
        """Handle an event, apply its effects, and return what is published."""
        found: list[object] = []
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, Publish):
                found.append(effect.message)
        return found

    def learn(self, facts: Iterable[Fact]) -> None:
        """Learn facts, and fit the geometry to them."""
        self.feed(Enrol(tuple(facts)))
        self.feed(FitGeometry())

    def observe(self, row: NDArray[np.uint8]) -> Decision:
        """Observe a sample uint8 [columns] of the one stream."""
        self._observed += 1
        at = self._observed
        event = Observation(stream="replay", sequence=at, captured_at_ns=at, payload=row)
        return next(one for one in self.feed(event) if isinstance(one, Decision))


def label_of(target: int) -> str:
    """Return the label of a class."""
    return f"{target:04}"


def facts_of(world: AdaptationWorld, stream: AdaptationStream) -> list[Fact]:
    """Return the facts that a stream's source knows."""
    found = []
    for home in stream.homes:
        rows = world.domains[home]
        for row in world.halves(home, stream.seed)[0].tolist():
            if rows.targets[row] != stream.foreign:
                one = Fact(
                    id=f"{home}-{row:06}",
                    stream="known",
                    domain=home,
                    label=label_of(rows.targets[row]),
                    captured_at_ns=0,
                    features=rows.features[row].tobytes(),
                )
                found.append(one)
    return found


def replay_stream(world: AdaptationWorld, stream: AdaptationStream, policy: str) -> Answered:
    """Observe a stream, once its source is learned."""
    replay = ReplayedRuntime(stream.rows.features.shape[1], policy)
    replay.learn(facts_of(world, stream))
    begun = time.thread_time()
    decisions = [replay.observe(row) for row in stream.rows.features]
    spent = time.thread_time() - begun
    right = [
        one.guess == label_of(target)
        for one, target in zip(decisions, stream.rows.targets.tolist(), strict=True)
        if target >= 0
    ]
    return Answered(
        right=np.array(right),
        adapted=float(np.mean([one.adaptation is not None for one in decisions])),
        degraded=float(np.mean([one.degraded for one in decisions])),
        us=1e6 * spent / len(decisions),
    )


def _card(columns: int) -> encoder.Card:
    if columns == PICTURE_COLUMNS:
        return encoder.shipped_card("efficientnet_lite0")
    scale, zero = np.ones(columns, np.float32), np.zeros(columns, np.int32)
    return encoder.vector_card(columns, "whole numbers", encoder.Quantiser(scale, zero))
