"""Ledgers of a given size: synthetic facts that overlap as real ones do, written to a home.

`python -m benchmarks.scale.worlds KIND FACTS DOMAINS FOLDER` writes one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core import Fact, StoreFacts, StoreGeometry, tap_spans
from edge.core.knowledge import GeometryFitter
from edge.home import Home, create_home

LABELS = 7
"""Labels of each domain, as in PACS."""

NUMBERS = 24
"""Columns of the small card: a vibration sensor's band energies."""

LATENT = 16
"""Directions in which samples vary, fewer than columns as in real features.  Chosen by hand."""

PAGE = 5_000
"""Facts written at a time: bounds the memory of the writer."""

PERIOD_NS = 1_000_000_000
"""Time from one fact to the next: a measurement a second."""

Features = NDArray[np.uint8]


@dataclass(frozen=True)
class SizedHome:
    """The facts of a home.  kind: `image`, the shipped image encoder's columns, or `numbers`."""

    kind: str
    facts: int
    domains: int

    @property
    def card(self) -> encoder.Card:
        """The encoder card."""
        if self.kind == "image":
            return encoder.load_card(encoder.SHIPPED["efficientnet_lite0"])
        scale, zero = np.ones(NUMBERS, np.float32), np.zeros(NUMBERS, np.int32)
        return encoder.vector_card(NUMBERS, "bands", encoder.Quantiser(scale, zero))

    def rows(self, numbers: NDArray[np.int64], seed: int) -> Features:
        """Return samples uint8 [n, width] of the concepts with these numbers."""
        width = self.card.width
        fixed, random = np.random.default_rng(7), np.random.default_rng(seed)
        mixing = fixed.normal(0, 1, (LATENT, width)).astype(np.float32)
        labels = fixed.normal(0, 2.5, (LABELS, LATENT)).astype(np.float32)
        domain, label = numbers // LABELS % self.domains, numbers % LABELS
        shifts = np.stack([_shift(one) for one in range(self.domains)])
        latent = labels[label] + shifts[domain] + random.normal(0, 1, (len(numbers), LATENT))
        noise = random.normal(0, 8, (len(numbers), width))
        made = 128 + 8 * (latent.astype(np.float32) @ mixing) + noise
        return np.asarray(np.clip(made, 0, 255), np.uint8)

    def pages(self) -> Iterator[tuple[Fact, ...]]:
        """Yield all facts, concept by concept in turn, some at a time."""
        for start in range(0, self.facts, PAGE):
            numbers = np.arange(start, min(start + PAGE, self.facts))
            rows = self.rows(numbers, start)
            yield tuple(
                self.fact(number, row) for number, row in zip(numbers.tolist(), rows, strict=True)
            )

    def fact(self, number: int, row: Features) -> Fact:
        """Return the fact with this number."""
        return Fact(
            id=f"fact {number}",
            stream="s",
            domain=f"domain-{number // LABELS % self.domains:04}",
            label=f"{number % LABELS}",
            captured_at_ns=(number + 1) * PERIOD_NS,
            features=row.tobytes(),
        )

    def write(self, folder: Path) -> None:
        """Create a home with these facts and the geometry that is fitted to them."""
        named = "efficientnet_lite0" if self.kind == "image" else ""
        create_home(folder, None if self.kind == "image" else self.card, named)
        settings = folder / "auricle.toml"
        text = settings.read_text(encoding="utf-8")
        kept = f"facts_per_concept = {max(1_000, self.facts)} "
        settings.write_text(text.replace("facts_per_concept = 1000 ", kept), encoding="utf-8")
        with Home(folder) as home:
            for page in self.pages():
                home.store.apply(StoreFacts(facts=page, evicted=()))
            config, card = home.runtime.config, home.model.card
            fitter = GeometryFitter(tap_spans(card.slices), config.seed, card.quantiser)
            home.store.apply(StoreGeometry(fitter.fit(home.store)[1]))
        with Home(folder) as home:
            home.stamp()
            known = home.runtime.knowledge
            known.router()
            known.adaptor(known.learned[0])  # closing keeps all of this, as if it had served


def main(kind: str, facts: str, domains: str, folder: str) -> None:
    """Write a home."""
    SizedHome(kind, int(facts), int(domains)).write(Path(folder))


def _shift(domain: int) -> NDArray[np.float32]:
    return np.asarray(np.random.default_rng(1_000 + domain).normal(0, 1.5, LATENT), np.float32)


if __name__ == "__main__":
    main(*sys.argv[1:])
