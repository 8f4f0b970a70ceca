"""An observer of a fleet who keeps every published revision and tries to isolate facts.

A device of real digits learns, forgets, corrects and takes labels back, a few facts at a time, and
publishes after each change.  The observer has all revisions, the geometry, and the facts
themselves to compare with.  A fact counts as isolated if

- some weighted sum of the revisions of a concept equals its features and its hypervector, or
- the Gram matrices of two revisions differ by fewer than eight facts, and it lies in their span.

The same attack on sums over all facts, which a device without cohorts would publish, shows that it
works.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import encoder
import hdc
from edge.core import (
    Config,
    Enrol,
    Fact,
    FitGeometry,
    ForgetRequest,
    Relabel,
    Runtime,
    Selector,
    Unlabel,
)
from edge.storage import Store

from ..report import BenchmarkRow

FACTS: Final = 400
"""Facts at the start: about 20 in each of 20 concepts, so that some sink below eight."""

CHANGES: Final = 40
"""Revisions after the first.  Every kind of change follows every other."""

RANK_MIN: Final = 8
"""A difference of Gram matrices of lower rank is that of fewer than eight facts."""

TOLERANCE: Final = 1e-7
"""Relative residual below which a vector of whole numbers lies in the span of others."""

Concept = tuple[str, str]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Revision:
    """What an observer sees: by concept one row of features and bit sums, and the Gram matrix."""

    concepts: Mapping[Concept, Floats]
    gram: Floats


@dataclass(slots=True)
class Observer:
    """Keeps all revisions.  geometry: shared by the fleet."""

    geometry: hdc.Geometry
    revisions: list[Revision] = field(default_factory=list)

    def isolated(self, facts: Sequence[Fact]) -> set[str]:
        """Return the ids of the facts that the revisions give away."""
        rows = {fact.id: self.row_of(fact) for fact in facts}
        found: set[str] = set()
        for concept in sorted({name for one in self.revisions for name in one.concepts}):
            seen = np.unique(
                [r.concepts[concept] for r in self.revisions if concept in r.concepts], axis=0
            )
            basis = _basis(seen)
            mine = [fact.id for fact in facts if (fact.domain, fact.label) == concept]
            # A corrected fact was in another concept before.
            found.update(one for one in rows if one not in mine and _lies_in(basis, rows[one]))
            found.update(one for one in mine if _lies_in(basis, rows[one]))
        return found | self._by_gram(facts)

    def _by_gram(self, facts: Sequence[Fact]) -> set[str]:
        found: set[str] = set()
        for at, later in enumerate(self.revisions):
            for earlier in self.revisions[:at]:
                values, vectors = np.linalg.eigh(later.gram - earlier.gram)
                kept = np.abs(values) > 1e-6 * max(1.0, np.abs(values).max())
                if 0 < kept.sum() < RANK_MIN and np.abs(values).max() > 0.5:
                    basis = vectors[:, kept].T
                    found.update(
                        one.id
                        for one in facts
                        if _lies_in(basis, _features(one).astype(np.float64))
                    )
        return found

    def row_of(self, fact: Fact) -> Floats:
        """Return the row that a concept of this fact alone would have."""
        alone = hdc.Memory(self.geometry)
        alone.add("d", "l", self.geometry.project(_features(fact)[None]))
        return _row(_features(fact), alone.pack()["ones"][0])


def _features(fact: Fact) -> NDArray[np.uint8]:
    return np.frombuffer(fact.features, np.uint8)


def _row(features: NDArray[np.generic], ones: NDArray[np.generic]) -> Floats:
    return np.concatenate([features, ones]).astype(np.float64)


def _basis(rows: Floats) -> Floats:
    """Return an orthonormal basis of the span of rows."""
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(right[values > TOLERANCE * values.max()])


def _lies_in(basis: Floats, row: Floats) -> bool:
    rest = row - (row @ basis.T) @ basis
    return bool(np.linalg.norm(rest) < TOLERANCE * max(1.0, float(np.linalg.norm(row))))


class FleetDevice:
    """A device with a real ledger that publishes what it has learned."""

    def __init__(self, folder: Path) -> None:
        digits = load_digits()
        columns = digits.data.shape[1]
        quantiser = encoder.Quantiser(np.ones(columns, np.float32), np.zeros(columns, np.int32))
        self.model = encoder.open_model(encoder.vector_card(columns, "digits", quantiser))
        self.store = Store.create(folder / "knowledge.db", self.model.card)
        self.runtime = Runtime(Config(), self.model, self.store)
        self.waiting = [
            Fact(
                id=f"digit-{number}",
                stream="s",
                domain=("hall", "yard")[number % 2],
                label=str(label),
                captured_at_ns=number,
                features=row.astype(np.uint8).tobytes(),
            )
            for number, (row, label) in enumerate(zip(digits.data, digits.target, strict=True))
        ]
        self.facts: dict[str, Fact] = {}
        self.ever: dict[str, Fact] = {}

    def feed(self, event: object) -> None:
        """Handle an event durably."""
        self.store.apply_all(self.runtime.handle(event))  # type: ignore[arg-type]

    def learn(self, count: int) -> None:
        """Learn the next facts."""
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        self.feed(Enrol(tuple(taken)))
        self._hold({one.id: one for one in taken})

    def _hold(self, facts: Mapping[str, Fact]) -> None:
        self.facts |= facts
        self.ever |= facts

    def change(self, number: int, chance: random.Random) -> None:
        """Change a few facts in one of five ways."""
        chosen = chance.sample(sorted(self.facts), chance.choice((1, 1, 1, 2, 5)))
        match number % 5:
            case 0 | 1:
                self.feed(
                    ForgetRequest(request_id=f"r{number}", selector=Selector(ids=frozenset(chosen)))
                )
                self.facts = {k: one for k, one in self.facts.items() if k not in chosen}
            case 2:
                self.learn(chance.choice((1, 2, 9)))
            case 3:
                self.feed(Relabel(Selector(ids=frozenset(chosen)), label="0"))
                for one in chosen:
                    held = self.store.get(one)
                    assert held is not None
                    self._hold({one: held})
            case _:
                back = tuple(self.facts.pop(one) for one in chosen)
                self.feed(Unlabel(tuple(chosen)))
                self.waiting = [*back, *self.waiting]

    def publish(self) -> Revision:
        """Publish what may be published; return what an observer sees of it."""
        publications = self.store.publications
        before = publications.published()
        made = self.runtime.contribute("a", 1, before)
        assert publications.record(made.plan, before)
        arrays = made.contribution.arrays
        columns = self.runtime.knowledge.geometry.slices[0][1]
        if not arrays:
            return Revision({}, np.zeros((columns, columns)))
        gram = np.zeros((columns, columns))
        gram[np.tril_indices(columns)] = arrays["gram"]
        names = bytes(arrays["names"]).decode().split("\n")
        rows = zip(arrays["features"], arrays["ones"], strict=True)
        concepts = {
            (name.split("\t")[0], name.split("\t")[1]): _row(*row)
            for name, row in zip(names, rows, strict=True)
        }
        return Revision(concepts, gram + np.tril(gram, -1).T)

    def sums_of_all(self) -> Revision:
        """Return what an observer would see without cohorts."""
        known = self.runtime.knowledge
        packed = known.own.pack()
        keys = zip(packed["domains"].tolist(), packed["labels"].tolist(), strict=True)
        ones = dict(zip(keys, packed["ones"], strict=True))
        gram = np.zeros((known.geometry.slices[0][1],) * 2)
        sums: dict[Concept, NDArray[np.int64]] = {}
        for batch in self.store.batches():
            rows = batch.features.astype(np.int64)
            gram += rows.T @ rows
            for domain, label, row in zip(batch.domains, batch.labels, rows, strict=True):
                sums[domain, label] = sums.get((domain, label), 0) + row
        return Revision({name: _row(sums[name], ones[name]) for name in sums}, gram)


def attack(seed: int = 0, changes: int = CHANGES) -> tuple[int, int, float]:
    """Return how many facts the published revisions isolate, how many sums over all facts would,
    and the share of the facts that is published in the end."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        device = FleetDevice(Path(folder))
        device.learn(FACTS)
        device.feed(FitGeometry())
        geometry = device.runtime.knowledge.geometry
        watcher, reference = Observer(geometry), Observer(geometry)
        for number in range(changes + 1):
            if number:
                device.change(number, chance)
            watcher.revisions.append(device.publish())
            reference.revisions.append(device.sums_of_all())
        facts = tuple(device.ever.values())
        last = np.trace(watcher.revisions[-1].gram) / np.trace(reference.revisions[-1].gram)
        found = watcher.isolated(facts), reference.isolated(facts)
        device.store.close()
    return len(found[0]), len(found[1]), float(last)


def fleet_rows(seeds: Iterable[int] = range(2), changes: int = CHANGES) -> list[BenchmarkRow]:
    """Return the rows of this part; a minute on one core.  No data needed."""
    found = [attack(seed, changes) for seed in seeds]
    return [
        BenchmarkRow("fleet", "fleet_isolatable_facts", sum(one[0] for one in found)),
        BenchmarkRow("fleet", "isolatable_without_cohorts", sum(one[1] for one in found)),
        BenchmarkRow("fleet", "published_share", sum(one[2] for one in found) / len(found)),
    ]
