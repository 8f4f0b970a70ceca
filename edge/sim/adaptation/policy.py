"""The interface of policies of adaptation without labels, and what most of them share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .source_model import Bytes, Doubles, Floats, SourceModel

WINDOW: Final = 256
"""Samples over which the mean of a stream runs.  From the prototype."""
MEAN_SAMPLES: Final = 16
"""Samples that the source's own mean counts for: a short stream is aligned only in part.  From the
prototype."""
BATCH: Final = 16
"""Samples of a step of the policies that learn in batches, however they arrive."""
NUMBER_BYTES: Final = 8
"""Bytes that a plain number counts for."""
TINY: Final = 1e-12
"""Keeps logarithms and divisions finite."""


class AdaptationPolicy(Protocol):
    """A policy of adaptation at work on one stream, begun from a source model and a seed.

    `answer` may look at the samples of its call and at earlier ones, never at later ones.
    """

    @property
    def passes(self) -> int:
        """The most rows that it scores with the source's head, for one sample."""

    @property
    def chunk_share(self) -> float:
        """The most answers that differ between one sample at a time and chunks of 16, as a
        share."""

    @property
    def bytes_max(self) -> int:
        """The bound of `nbytes`."""

    @property
    def nbytes(self) -> int:
        """Bytes of the state that the stream has left; the source is not counted."""

    def answer(self, features: Bytes) -> NDArray[np.floating]:
        """Return scores [n, labels] of the next uint8 features [n, columns], higher is more
        likely."""

    def reset(self) -> None:
        """Drop all that the stream has left: answers are those of the source again, bit for bit."""


class StreamMean:
    """The mean of a stream's rows over the newest samples, shrunk towards that of the source."""

    def __init__(self, columns: int) -> None:
        self.count = 0
        self.total = np.zeros(columns)

    def __call__(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return the shift of each row [n, columns], which knows the row itself and those before
        it, and how far it is believed [n]."""
        shifts, shares = np.empty_like(rows), np.empty(len(rows), np.float32)
        for at, row in enumerate(rows):
            if self.count == WINDOW:
                self.total *= 1 - 1 / WINDOW
            else:
                self.count += 1
            self.total += row
            shifts[at] = self.total / (self.count + MEAN_SAMPLES)
            shares[at] = self.count / (self.count + MEAN_SAMPLES)
        return shifts, shares


class HeadPolicy:
    """Base of the policies: the source's head, where wanted on rows less their running mean."""

    aligned: ClassVar[bool] = False
    passes: ClassVar[int] = 1
    chunk_share: ClassVar[float] = 0.0

    def __init__(self, source: SourceModel, seed: int = 0) -> None:
        self.source = source
        self.seed = seed
        self.fixed = self.prepare()
        self.reset()

    def prepare(self) -> Mapping[str, Any]:
        """Return what follows from the source alone and never changes."""
        return {}

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        kept = {name: getattr(self, name) for name in ("source", "seed", "fixed")}
        self.__dict__.clear()
        self.__dict__.update(kept)
        self.mean = StreamMean(self.source.columns if self.aligned else 0)
        self.begin()

    def begin(self) -> None:
        """Set the state with which a stream begins."""

    def answer(self, features: Bytes) -> NDArray[np.floating]:
        """See `AdaptationPolicy`."""
        return self.answer_rows(self.source.standardise(features))

    def answer_rows(self, rows: Floats) -> NDArray[np.floating]:
        """Return scores of standardised rows [n, columns]."""
        if not self.aligned:
            return self.answer_aligned(rows, np.zeros(len(rows), np.float32))
        shifts, shares = self.mean(rows)
        return self.answer_aligned(rows - shifts, shares)

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """Return scores of rows after their alignment; shares: how much of it was done."""
        return self.source.logits(rows, shares)

    @property
    def nbytes(self) -> int:
        """See `AdaptationPolicy`: of everything that the object holds."""
        return sum(
            count_bytes(value)
            for name, value in vars(self).items()
            if name not in ("source", "seed", "fixed")
        )

    @property
    def bytes_max(self) -> int:
        """See `AdaptationPolicy`."""
        mean = self.source.columns * NUMBER_BYTES if self.aligned else 0
        return mean + 2 * NUMBER_BYTES + self.own_bytes_max()

    def own_bytes_max(self) -> int:
        """Return the bound of what the policy itself keeps."""
        return 0


class BatchPolicy(HeadPolicy, ABC):
    """Base of the policies that learn from each batch of samples, however they arrive."""

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        super().reset()
        self.waiting_rows = np.zeros((0, self.source.columns), np.float32)
        self.waiting_shares = np.zeros(0, np.float32)

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """Answer by what was learned before, and learn where a batch is full."""
        answers = []
        while len(rows):
            room = BATCH - len(self.waiting_rows)
            answers.append(self.predict(rows[:room], shares[:room]))
            self.waiting_rows = np.concatenate([self.waiting_rows, rows[:room]])
            self.waiting_shares = np.concatenate([self.waiting_shares, shares[:room]])
            rows, shares = rows[room:], shares[room:]
            if len(self.waiting_rows) == BATCH:
                self.learn(self.waiting_rows, self.waiting_shares)
                self.waiting_rows, self.waiting_shares = self.waiting_rows[:0], shares[:0]
        return np.concatenate(answers)

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """Return scores of rows by what was learned so far."""
        return self.source.logits(rows, shares)

    @abstractmethod
    def learn(self, rows: Floats, shares: Floats) -> None:
        """Learn from a batch."""

    @property
    def bytes_max(self) -> int:
        """See `AdaptationPolicy`: with the batch that waits."""
        return super().bytes_max + BATCH * (4 * self.source.columns + 4)


def count_bytes(value: object) -> int:
    """Return the bytes of arrays and numbers in a value, in what it contains and its
    attributes."""
    if isinstance(value, np.ndarray):
        return value.nbytes if value.base is None else max(value.nbytes, value.base.nbytes)
    if isinstance(value, Mapping):
        return sum(map(count_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(count_bytes, value))
    if isinstance(value, np.random.Generator):
        return NUMBER_BYTES
    if hasattr(value, "__dict__"):
        return sum(map(count_bytes, vars(value).values()))
    return NUMBER_BYTES


def entropy(shares: Doubles) -> Doubles:
    """Return the entropy [n] of probabilities [n, labels], in nats."""
    return np.asarray(-(shares * np.log(shares + TINY)).sum(1))


def unit_rows(rows: NDArray[np.floating]) -> Floats:
    """Return rows divided by their Euclidean norm."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / (norms + TINY), np.float32)
