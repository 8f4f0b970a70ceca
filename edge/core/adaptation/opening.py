"""The adaptation of one opened domain, sample by sample."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..structs import FrozenStruct
from .basis import Basis
from .centring import softmax
from .kept_rows import ROWS_MAX, KeptRows
from .label_order import LabelOrder
from .solving import Adaptation, adapt, leaves_alone, unadapted

OPENING_BYTES_MAX: Final = 128 << 10
"""Bytes kept for an opened domain: its newest samples, hashes of their ids, and the order of their
labels."""

ID_BYTES: Final = 8
"""Bytes of the hash of an id, by which a forget request finds a sample.  Two of 2,000 are equal
once in 10^13."""

IDS_MAX: Final[int] = ROWS_MAX + 128
"""Ids kept: of all samples, and of earlier ones that the adaptation in force was solved from."""

SOLVE_EVERY: Final = 32
"""Samples between two solutions."""

FIRST_SOLUTIONS: Final = (8, 16)
"""Samples after which the first solutions are due."""


class AdaptedAnswer(FrozenStruct, frozen=True, eq=False):
    """The answer to a sample.  probabilities: float64 [labels].  order: whether the order of labels
    took part.  adaptation: the one in force."""

    probabilities: NDArray[np.float64]
    order: bool
    adaptation: Adaptation


class OpeningAdapter:
    """Answers the samples of one opened domain and adapts to them; bounded.

    basis: of the knowledge that the domain was opened under.  adaptation: the one in force, which
    follows from the samples and is not counted in `nbytes`.
    """

    def __init__(self, basis: Basis) -> None:
        self.basis = basis
        self._order = LabelOrder(len(basis.labels))
        self._alone = leaves_alone(basis)
        ids = ID_BYTES * IDS_MAX
        self._kept = KeptRows(basis, OPENING_BYTES_MAX - ids - self._order.nbytes)
        self.adaptation = unadapted(basis)
        self._solved = 0
        self._map = self.adaptation.as_map(basis)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def seen(self) -> int:
        """Samples observed."""
        return self._kept.seen

    @property
    def nbytes(self) -> int:
        """Bytes kept of the samples, their ids and their order."""
        return self._kept.nbytes + self._order.nbytes + ID_BYTES * IDS_MAX

    @property
    def waiting(self) -> int:
        """Samples observed since the last solution."""
        return self.seen - self._solved

    @property
    def due(self) -> bool:
        """Whether a new solution is due."""
        return self.waiting >= SOLVE_EVERY or any(
            self._solved < first <= self.seen for first in FIRST_SOLUTIONS
        )

    def extend(self, rows: NDArray[np.uint8]) -> None:
        """Keep samples uint8 [n, width] from before: none of them is answered, and they say nothing
        about the order of labels.  A solution is due where they are enough."""
        for projected in self.basis.project(rows):
            self._kept.add(projected)

    def observe(self, row: NDArray[np.uint8]) -> AdaptedAnswer:
        """Answer a sample uint8 [width] under the adaptation in force, and keep it for the next."""
        projected = self.basis.project(row)
        self._kept.add(projected)
        logits: NDArray[np.floating]
        if self._map is None:
            logits = self.adaptation.logits(self.basis, projected[None])[0]
        else:
            group = self.adaptation.group_of(projected[: self.basis.directions])
            logits = projected @ self._map[0] + self._map[1][group]
        if self._alone:
            alone = softmax(logits.astype(np.float64))
            return AdaptedAnswer(alone, order=False, adaptation=self.adaptation)
        probabilities = self._order.update(logits)
        return AdaptedAnswer(probabilities, self._order.active, self.adaptation)

    def rows(self) -> NDArray[np.float32]:
        """Return the kept samples, for `adapt`."""
        return self._kept.rows()

    def solve(self) -> None:
        """Adapt to the kept samples now."""
        self.accept(self.solution(self.rows()), self.seen)

    def solution(self, rows: NDArray[np.float32]) -> Adaptation:
        """Return the adaptation to kept samples; in any thread."""
        return adapt(self.basis, rows)

    def accept(self, adaptation: Adaptation, seen: int) -> None:
        """Take in an adaptation to the samples up to the `seen`th."""
        self.adaptation, self._solved = adaptation, seen
        self._map = adaptation.as_map(self.basis)
