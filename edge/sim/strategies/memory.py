"""Replay memories: some rows of earlier tasks, chosen at random, by label, or by a selector."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .base import FLOAT, ROW_NUMBERS
from .strategy import Bytes, Floats, LabelledPart, Targets

Selector = Callable[[Bytes, Targets, int, int], NDArray[np.intp]]
"""Chooses rows to keep: features [n, columns] and targets [n], oldest first, how many to keep of
each target, and a seed; returns their numbers."""

Choice = Literal["random", "balanced"]
"""random: every row seen so far is kept with the same chance.  balanced: every label has the same
share of the memory, within which every row has the same chance."""

CAPACITY: Final = 500
"""Rows of all labels together, as in the study of Buzzega et al. 2020."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReplayMemory:
    """Rows kept for replay.  keys: a random number of each row; the rows with the smallest of all
    keys seen so far are a uniform sample.  logits: float32 [n, labels], scores when it was
    learned, or [n, 0]."""

    features: Bytes = field(repr=False)
    targets: Targets = field(repr=False)
    domains: Targets = field(repr=False)
    keys: NDArray[np.float64] = field(repr=False)
    logits: Floats = field(repr=False)

    @classmethod
    def empty(cls, columns: int, logits: int = 0) -> Self:
        """Return a memory without rows.  logits: how many are kept of each row."""
        return cls(
            features=np.zeros((0, columns), np.uint8),
            targets=np.zeros(0, np.int64),
            domains=np.zeros(0, np.int64),
            keys=np.zeros(0),
            logits=np.zeros((0, logits), np.float32),
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)

    def joined(self, part: LabelledPart, keys: NDArray[np.float64], logits: Floats) -> Self:
        """Return a memory with the rows of a task behind its own."""
        return type(self)(
            features=np.concatenate([self.features, part.features]),
            targets=np.concatenate([self.targets, part.targets]),
            domains=np.concatenate([self.domains, part.domains]),
            keys=np.concatenate([self.keys, keys]),
            logits=np.concatenate([self.logits, logits]),
        )

    def select(self, rows: NDArray[np.intp]) -> Self:
        """Return a memory of some of the rows."""
        return type(self)(
            features=self.features[rows],
            targets=self.targets[rows],
            domains=self.domains[rows],
            keys=self.keys[rows],
            logits=self.logits[rows],
        )

    def without(self, gone: Targets) -> Self:
        """Return a memory without the rows of some targets, and with no score for them."""
        made = self.select(np.flatnonzero(~np.isin(self.targets, gone)))
        if made.logits.size:
            made.logits[:, gone] = 0
        return made


def kept_rows(
    memory: ReplayMemory, capacity: int, choice: Choice | Selector, seed: int
) -> NDArray[np.intp]:
    """Return which rows a memory of a capacity keeps, in their order."""
    if len(memory) <= capacity:
        return np.arange(len(memory))
    if callable(choice):
        share = max(1, capacity // len(np.unique(memory.targets)))
        return np.sort(choice(memory.features, memory.targets, share, seed)[:capacity])
    if choice == "random":
        return np.sort(np.argsort(memory.keys, kind="stable")[:capacity])
    rank = _ranks(memory.targets, memory.keys)
    return np.sort(np.lexsort((memory.keys, rank))[:capacity])


def memory_bytes(capacity: int, columns: int, logits: int = 0) -> int:
    """Return the bytes of a full memory."""
    return capacity * (columns + ROW_NUMBERS + logits * FLOAT)


def _ranks(targets: Targets, keys: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return each row's place among the rows of its target, by key."""
    order = np.lexsort((keys, targets))
    _, starts, counts = np.unique(targets[order], return_index=True, return_counts=True)
    rank = np.empty(len(targets), np.intp)
    rank[order] = np.arange(len(targets)) - np.repeat(starts, counts)
    return rank
