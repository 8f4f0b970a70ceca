"""From no label to twenty a class: the adapted runtime against the same one without adaptation."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core import Label
from edge.sim.adaptation import AdaptationStream, AdaptationWorld

from .replay import ReplayedRuntime, facts_of, label_of

FACTS: Final = (0, 1, 2, 4)
"""Facts in all, at random, before whole classes are labelled: with few, adapted answers serve."""
PER_CLASS: Final = (1, 2, 3, 5, 10, 20)
"""Facts a class after these."""
UNLABELLED: Final = 400
"""Samples observed before the first label, or a third of a smaller domain."""
SCORED: Final = 150
"""Samples observed after each step, whose answers are scored: fewer of a smaller domain."""


@dataclass(frozen=True, slots=True)
class CrossoverPoint:
    """The answers after some labels: percent right without adaptation and with it.  step: which
    labels; facts: how many."""

    step: str
    facts: int
    off: float
    auto: float


def crossover(world: AdaptationWorld, stream: AdaptationStream) -> Iterator[CrossoverPoint]:
    """Label samples of a stream step by step, in two runtimes that see the same.

    The labelled samples are among those observed before the first label; all answers that count are
    on later ones.
    """
    rows, targets = stream.rows.features, stream.rows.targets
    steps = len(FACTS) + len(PER_CLASS)
    first = min(UNLABELLED, len(rows) // 3)
    scored = min(SCORED, (len(rows) - first) // steps)
    pair = [ReplayedRuntime(rows.shape[1], policy) for policy in ("off", "auto")]
    for one in pair:
        one.learn(facts_of(world, stream))
    ids = [[one.observe(row).observation_id for row in rows[:first]] for one in pair]
    key = zlib.crc32(f"{stream.name} {stream.seed}".encode())
    order = np.random.default_rng(key).permutation(first).tolist()
    labelled: set[int] = set()
    for step, (title, wanted) in enumerate(_steps(order, targets[:first])):
        for row in [row for row in wanted if row not in labelled]:
            for one, known in zip(pair, ids, strict=True):
                one.feed(Label(known[row], label_of(targets[row])))
        labelled.update(wanted)
        part = slice(first + step * scored, first + (step + 1) * scored)
        off, auto = (
            100
            * np.mean(
                [
                    one.observe(row).guess == label_of(target)
                    for row, target in zip(rows[part], targets[part], strict=True)
                ]
            )
            for one in pair
        )
        yield CrossoverPoint(title, len(labelled), float(off), float(auto))


def _steps(order: list[int], targets: NDArray[np.int64]) -> Iterator[tuple[str, list[int]]]:
    """Yield the steps by name, with the rows that are labelled after each."""
    for count in FACTS:
        yield f"{count} labels", order[:count]
    for each in PER_CLASS:
        chosen = order[: FACTS[-1]]
        for target in np.unique(targets).tolist():
            chosen = chosen + [row for row in order if targets[row] == target][:each]
        yield f"{each} a class", list(dict.fromkeys(chosen))
