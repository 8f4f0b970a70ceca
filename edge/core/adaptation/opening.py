"""The adaptation of one opened domain, sample by sample."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .basis import Basis
from .label_order import LabelOrder
from .solving import Adaptation, adapt_projected, unadapted

OPENING_BYTES_MAX: Final = 128 << 10
"""Bytes kept for an opened domain."""

ROWS_MAX: Final = 512
"""Newest samples kept: 256 lose 1.2 points over the streams of docs/explanation/adaptation.md."""

SOLVE_EVERY: Final = 32
"""Samples between two solutions."""

FIRST_SOLUTIONS: Final = (8, 16)
"""Samples after which the first solutions are due."""

STEPS: Final = 16
"""Steps of a kept number per standard deviation: a byte then holds eight deviations to both
sides."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedAnswer:
    """The answer to a sample.  probabilities: float64 [labels].  order: whether the order of labels
    took part.  adaptation: the one in force."""

    probabilities: NDArray[np.float64] = field(repr=False)
    order: bool
    adaptation: Adaptation


class OpeningAdapter:
    """Answers the samples of one opened domain and adapts to them; bounded.

    basis: of the knowledge that the domain was opened under.
    """

    def __init__(self, basis: Basis) -> None:
        self.basis = basis
        self._scale = STEPS / basis.spread
        self._order = LabelOrder(len(basis.labels))
        row_bytes = basis.directions + 2 * len(basis.labels)
        free = OPENING_BYTES_MAX - self._order.nbytes
        self._most = max(1, min(ROWS_MAX, free // row_bytes))
        self._inputs = np.zeros((self._most, basis.directions), np.int8)
        self._scores = np.zeros((self._most, len(basis.labels)), np.float16)
        self._seen = 0
        self._solved = 0
        self.adaptation = unadapted(basis)

    def __len__(self) -> int:
        return min(self._seen, self._most)

    @property
    def nbytes(self) -> int:
        """Bytes kept of the samples."""
        return int(self._inputs.nbytes + self._scores.nbytes + self._order.nbytes)

    @property
    def due(self) -> bool:
        """Whether a new solution is due."""
        waiting = self._seen - self._solved
        return waiting >= SOLVE_EVERY or any(
            self._solved < first <= self._seen for first in FIRST_SOLUTIONS
        )

    @property
    def seen(self) -> int:
        """Samples observed."""
        return self._seen

    def extend(self, rows: NDArray[np.uint8]) -> None:
        """Keep samples uint8 [n, width] from before, and adapt to them: none of them is answered,
        and they say nothing about the order of labels."""
        for projected in self.basis.project(rows):
            self._keep(projected)
        self.solve()

    def observe(self, row: NDArray[np.uint8]) -> AdaptedAnswer:
        """Answer a sample uint8 [width] under the adaptation in force, and keep it for the next."""
        projected = self.basis.project(row)
        self._keep(projected)
        logits = self.adaptation.logits(projected).astype(np.float64)
        probabilities = self._order.update(logits)
        return AdaptedAnswer(probabilities, self._order.active, self.adaptation)

    def rows(self) -> NDArray[np.float32]:
        """Return the kept samples as projected, oldest first, for `adapt_projected`."""
        at = self._seen % self._most if self._seen > self._most else 0
        order = np.roll(np.arange(len(self)), -at)
        inputs = self._inputs[order].astype(np.float32) / self._scale
        return np.concatenate([inputs, self._scores[order].astype(np.float32)], axis=1)

    def solve(self) -> None:
        """Adapt to the kept samples now."""
        self.accept(self.solution(self.rows()), self._seen)

    def solution(self, rows: NDArray[np.float32]) -> Adaptation:
        """Return the adaptation to kept samples; in any thread."""
        return adapt_projected(self.basis, rows)

    def accept(self, adaptation: Adaptation, seen: int) -> None:
        """Take in an adaptation to the samples up to the `seen`th."""
        self.adaptation, self._solved = adaptation, seen

    def _keep(self, projected: NDArray[np.float32]) -> None:
        at, size = self._seen % self._most, self.basis.directions
        steps = projected[:size] * self._scale
        np.clip(np.rint(steps), -127, 127, out=steps)
        self._inputs[at] = steps
        self._scores[at] = projected[size:]
        self._seen += 1
