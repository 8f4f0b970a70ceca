"""What every detector of changes takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedChange:
    """A stream is no longer what it was.

    step: when it was noticed, counted from 0; start: when it began, at most step.  severity: mean
    change of the channels concerned, |after - before| as a share of the larger, 0 to 1.  channels:
    which ones, ascending.  kind: "outage" where a channel falls silent, "return" where one comes
    back, "jump" where several move at once, "level" where one moves or slides, "drift" where the
    stream as a whole is no longer what it was.  regime: which state the stream is in now, by what
    moved (0: the first); the same number comes back with the same state.
    """

    step: int
    start: int
    severity: float
    channels: tuple[int, ...]
    kind: str
    regime: int


class ChangeDetector(Protocol):
    """Looks at one sample after the other.  Memory is bounded; the same samples, the same bits."""

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Take one sample: float64 [C], NaN, infinite or beyond 1e150 where missing; the array is
        neither kept nor changed.  Raises ValueError for another shape."""

    def state(self) -> State:
        """Return all that it has learned, as arrays of a bounded size; copies."""

    def restore(self, state: State) -> None:
        """Go on where `state` was taken.  Raises ValueError for the state of another detector."""


class StatefulDetector:
    """Keeps all that changes in arrays, so that it can be saved.  To be derived from."""

    _kept: dict[str, NDArray[Any]]

    def state(self) -> State:
        """Return copies of the arrays."""
        return {name: array.copy() for name, array in self._kept.items()}

    def restore(self, state: State) -> None:
        """Take the arrays over; ValueError where names or shapes differ, and nothing is changed."""
        shapes = {name: array.shape for name, array in self._kept.items()}
        if shapes != {name: np.shape(array) for name, array in state.items()}:
            raise ValueError("restoring a detector: the state is that of another one")
        for name, array in self._kept.items():
            array[...] = state[name]
