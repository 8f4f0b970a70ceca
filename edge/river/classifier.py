"""A River classifier: discriminants from integer sums, and nearest facts, mixed by recent losses.

Four experts answer: a linear discriminant solved from the sums of all facts, one from those of the
newest, the nearest of all facts, and the nearest of the newest.  The two short memories follow
drift; the long ones keep recurring concepts.  The weights of the experts follow their recent
losses, so that a new sample causes no refit.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from river import base

from .fact_memory import FactMemory, Levels

Floats = NDArray[np.float64]

RECENT_FACTS: Final = 200
"""Facts of the short memories; docs/howto/river.md has the measurement."""

NEIGHBOURS: Final = 8
"""Nearest facts that vote; docs/howto/river.md has the measurement."""

PRIOR_VOTES: Final = 0.3
"""Votes of the class frequencies among those of the neighbours: keeps shares above zero.  Chosen by
hand; effect not measured."""

NEAREST_LEAD: Final = 0.9
"""The farthest neighbour's vote counts 0.1, a fact at the same place counts 1.  Chosen by hand;
effect not measured."""

LOSS_DISCOUNT: Final = 0.97
"""Weight of a loss one sample later: about 30 samples decide the weights of the experts;
docs/howto/river.md has the measurement."""

SHARE_MIN: Final = 0.02
"""Lowest share that enters a loss: one sure mistake must not decide the weights.  Chosen by hand;
effect not measured."""

FREQUENCY_SAMPLES: Final = 500
"""Samples over which class frequencies are forgotten.  Chosen by hand; effect not measured."""

EXPERTS: Final = 4  # two discriminants and two votes of neighbours

_TINY: Final = 1e-9  # instead of a division by zero


class Classifier(base.Classifier):
    """Classifies dictionaries of numbers, and learns from one sample at a time.

    Features may appear and disappear: a new one gets a column, up to 256, and a missing one is
    replaced by the mean of its column.  Classes may appear at any time.  Nothing is random, and the
    order of the features in a dictionary does not matter.

    Parameters
    ----------
    facts
        Samples kept in memory.  Another one replaces the oldest of the largest class.

    """

    def __init__(self, facts: int = 2_000) -> None:
        if facts < 1:
            raise ValueError(f"making a classifier: expected facts of 1 or more, found {facts}")
        self.facts = facts
        self.memory = FactMemory(facts, RECENT_FACTS)
        # Numbers of the classes, free numbers, and the frequency of each, forgotten slowly.
        self._numbers: dict[base.typing.ClfTarget, int] = {}
        self._free: list[int] = []
        self._frequencies: Floats = np.zeros(0)
        self._losses = np.zeros(EXPERTS)
        # The last sample that was answered, with its shares: learning it then needs no answer.
        self._answered: tuple[bytes, Floats] | None = None

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Mapping[Hashable, Any], y: base.typing.ClfTarget) -> None:
        """Learn a sample of class y.  Raises ValueError for a value that is no number."""
        number = self._numbers.get(y)
        if number is not None:
            shares = self._shares(self.memory.levels(x))[:, number]
            self._losses = LOSS_DISCOUNT * self._losses - np.log(np.maximum(shares, SHARE_MIN))
        new = self._free[-1] if self._free else len(self._frequencies)
        lost = self.memory.learn(x, new if number is None else number)
        if number is None:
            number = self._give(y)
        self._frequencies *= 1 - 1 / FREQUENCY_SAMPLES
        self._frequencies[number] += 1
        if lost is not None and lost != number:
            self._release(lost)
        self._answered = None

    def predict_proba_one(
        self, x: Mapping[Hashable, Any], **_kwargs: Any
    ) -> dict[base.typing.ClfTarget, float]:
        """Return the probability of each class; none before the first sample."""
        if not len(self.memory):
            return {}
        weights = np.exp(self._losses.min() - self._losses)
        shares = weights @ self._shares(self.memory.levels(x)) / weights.sum()
        shares /= shares.sum()
        return {name: float(shares[number]) for name, number in self._numbers.items()}

    def _give(self, y: base.typing.ClfTarget) -> int:
        """Give a class a free number, or a new one."""
        if self._free:
            number = self._free.pop()
        else:
            number = len(self._frequencies)
            self._frequencies = np.append(self._frequencies, 0.0)
        self._numbers[y] = number
        return number

    def _release(self, number: int) -> None:
        """Drop the class of a number: it has no fact left."""
        del self._numbers[next(name for name, at in self._numbers.items() if at == number)]
        self._frequencies[number] = 0.0
        self._free.append(number)

    def _shares(self, levels: Levels) -> Floats:
        """Return the class probabilities of each expert, float64 [experts, classes]."""
        key = levels.tobytes()
        if self._answered is None or self._answered[0] != key:
            self._answered = key, self._answer(levels)
        return self._answered[1]

    def _answer(self, levels: Levels) -> Floats:
        memory = self.memory
        frequent = self._frequencies / self._frequencies.sum()
        shares = np.empty((EXPERTS, len(frequent)))
        found = memory.discriminants()
        for row, one in enumerate(found):
            numbers = [int(label) for label in one.labels]
            shares[row] = _TINY
            shares[row, numbers] += one.answer(levels)
            shares[row] *= frequent + _TINY
        apart, chosen = memory.distances(levels, found[0].factor), memory.newest
        held = np.bincount(memory.labels, minlength=len(frequent)) / len(memory)
        # Classes have about as many facts each, however rare they are.
        shares[2] = self._votes(apart, memory.labels) * frequent / np.maximum(held, _TINY)
        shares[3] = self._votes(apart[chosen], memory.labels[chosen])
        shares[2:] += PRIOR_VOTES * frequent
        whole: Floats = shares.sum(axis=1, keepdims=True)
        return np.asarray(shares / whole, np.float64)

    def _votes(self, apart: NDArray[np.float32], labels: NDArray[np.int64]) -> Floats:
        """Return the votes of the nearest facts by class; nearer ones count more."""
        count = min(NEIGHBOURS, len(apart))
        nearest = np.argpartition(apart, count - 1)[:count]
        near = apart[nearest]
        votes = 1 - NEAREST_LEAD * near / (near.max() + _TINY)
        found = np.bincount(labels[nearest], votes, len(self._frequencies))
        return np.asarray(found, np.float64)
