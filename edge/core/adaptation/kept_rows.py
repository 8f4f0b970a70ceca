"""The newest projected samples of an opening, as bytes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .basis import Basis

ROWS_MAX: Final = 768
"""Newest samples kept: with seven labels, what fits the bytes.  On the development streams of
docs/explanation/adaptation.md 800 gained half a point over 512."""

STEPS: Final = 16
"""Steps of a kept number per standard deviation: a byte then holds eight deviations to both
sides."""

STEP_MAX: Final = 127
"""Largest number of steps: what a signed byte holds, on both sides."""

FRESH_MAX: Final = 32
"""Samples that wait to be turned into bytes together, which takes less time for each."""

FRESH_BYTES_MAX: Final = 24 << 10
"""Bytes of the samples that wait: 32 with up to 64 labels, fewer with more.  Chosen by hand."""

Floats = NDArray[np.float32]


class KeptRows:
    """The newest samples, as few as fit into `bytes_max` and at most `ROWS_MAX`.

    Of each sample, a byte for each principal direction and two for the score of each label.  seen:
    samples added.
    """

    def __init__(self, basis: Basis, bytes_max: int) -> None:
        size, labels = basis.directions, len(basis.labels)
        self._spread = basis.spread
        self._centre = self._step = np.zeros(size, np.float32)
        waiting = max(1, min(FRESH_MAX, FRESH_BYTES_MAX // (4 * (size + labels))))
        self._fresh = np.zeros((waiting, size + labels), np.float32)
        room = max(1, (bytes_max - self._fresh.nbytes) // (size + 2 * labels))
        self._most = min(ROWS_MAX, room)
        self._inputs = np.zeros((self._most, size), np.int8)
        self._scores = np.zeros((self._most, labels), np.float16)
        self._stored = 0
        self.seen = 0

    def __len__(self) -> int:
        return min(self.seen, self._most)

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return int(self._inputs.nbytes + self._scores.nbytes + self._fresh.nbytes)

    def add(self, projected: Floats) -> None:
        """Add a sample, float32 [directions + labels]."""
        self._fresh[self.seen - self._stored] = projected
        self.seen += 1
        if self.seen - self._stored == len(self._fresh):
            self._store()

    def rows(self) -> Floats:
        """Return the samples float32 [n, directions + labels], oldest first, to within the
        rounding of a byte."""
        self._store()
        first = self.seen - len(self)
        places = np.arange(first, self.seen) % self._most
        inputs = self._inputs[places] * self._step + self._centre
        return np.asarray(np.concatenate([inputs, self._scores[places]], axis=1), np.float32)

    def _store(self) -> None:
        """Turn the samples that wait into bytes."""
        fresh, size = self._fresh[: self.seen - self._stored], self._inputs.shape[1]
        places = np.arange(self._stored, self.seen) % self._most
        if not self._stored and len(fresh):
            # A domain may lie far from the known ones: bytes count from its first samples.
            self._centre = fresh[:, :size].mean(axis=0)
            self._step = np.maximum(self._spread, fresh[:, :size].std(axis=0)) / np.float32(STEPS)
        steps = np.rint((fresh[:, :size] - self._centre) / self._step)
        self._inputs[places] = np.clip(steps, -STEP_MAX, STEP_MAX)
        self._scores[places] = fresh[:, size:]
        self._stored = self.seen
