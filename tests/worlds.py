"""A small world for tests of the core: vectors, a runtime, and a ledger in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core.config import Config
from edge.core.events import Enrol, Event, Message, Observation, Publish
from edge.core.facts import Fact
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.pending_forgets import AdvanceForget
from edge.core.runtime import Runtime

WIDTH = 8
T = TypeVar("T")


def whole_number_model(width: int = WIDTH) -> encoder.Model:
    """A model for vectors of whole numbers 0 to 255, which are the features."""
    scale, zero = np.ones(width, np.float32), np.zeros(width, np.int32)
    quantiser = encoder.Quantiser(scale, zero)
    return encoder.open_model(encoder.vector_card(width, "whole numbers", quantiser))


def vector(seed: int, width: int = WIDTH) -> NDArray[np.uint8]:
    """A seeded vector of whole numbers."""
    return np.random.default_rng(seed).integers(0, 256, width, np.uint8)


def fact(
    fact_id: str,
    label: str = "a",
    domain: str = "home",
    at: int = 0,
    *,
    seed: int | None = None,
    width: int = WIDTH,
    subject: str = "",
    stream: str = "s",
    revision: int = 0,
) -> Fact:
    """A fact with features derived from its id, or from `seed`."""
    chosen = sum(fact_id.encode()) if seed is None else seed
    features = vector(chosen, width).tobytes()
    return Fact(
        id=fact_id,
        stream=stream,
        domain=domain,
        label=label,
        captured_at_ns=at,
        features=features,
        subject=subject,
        revision=revision,
    )


def clouds(
    centres: Sequence[int], count: int, spread: int = 12, seed: int = 0, width: int = WIDTH
) -> list[NDArray[np.uint8]]:
    """`count` vectors around each of the seeded centres, in the order of the centres."""
    random = np.random.default_rng(seed)
    noise = random.integers(-spread, spread + 1, (len(centres), count, width))
    means = np.array([vector(centre, width) for centre in centres], np.int64)[:, None]
    return list(np.clip(means + noise, 0, 255).astype(np.uint8).reshape(-1, width))


class World:
    """A runtime and its ledger; `feed` applies every effect before the next event."""

    def __init__(
        self, facts: Iterable[Fact] = (), *, width: int = WIDTH, config: Config | None = None
    ) -> None:
        self.model = whole_number_model(width)
        self.config = config or Config()
        self.ledger = MemoryLedger()
        self.runtime = Runtime(self.config, self.model, self.ledger)
        given = tuple(facts)
        if given:
            self.feed(Enrol(given))

    def feed(self, event: Event) -> list[Message]:
        """Handle an event and apply its effects; return the published messages."""
        published = []
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, Publish):
                published.append(effect.message)
        return published + (self.feed(AdvanceForget(1)) if self.runtime.advances else [])

    def ask(self, event: Event, kind: type[T]) -> T:
        """Handle an event; its one message of a kind."""
        found = [message for message in self.feed(event) if isinstance(message, kind)]
        assert len(found) == 1, found
        return found[0]

    def observe(
        self, values: NDArray[np.uint8], sequence: int, stream: str = "s", subject: str = ""
    ) -> list[Message]:
        """Handle one observation, captured at its sequence number."""
        return self.feed(
            Observation(
                stream=stream,
                sequence=sequence,
                captured_at_ns=sequence,
                payload=values,
                subject=subject,
            )
        )

    def crash(self) -> None:
        """Lose everything but the ledger."""
        self.runtime = Runtime(self.config, self.model, self.ledger)

    def derived(self) -> str:
        """The digest of knowledge derived from the ledger from scratch."""
        card = self.model.card.fingerprint
        return derive_knowledge(self.ledger, self.runtime.knowledge.geometry, card=card).digest(
            card
        )
