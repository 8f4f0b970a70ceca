"""The interface of change point detectors, and the state that they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedChange:
    """A change point of a stream.

    step: when it was detected, counted from 0; start: when it began, at most step.  severity: mean
    change of the affected channels, |after - before| as a share of the larger, 0 to 1.  channels:
    the affected ones, ascending.  kind: "outage" if a channel falls silent, "return" if one comes
    back, "jump" if several move at once, "level" if one moves or slides, "drift" if the
    distribution of the whole stream changes.  regime: number of the state that the stream is in
    now, 0 for the first; a recurring state has the same number again.
    """

    step: int
    start: int
    severity: float
    channels: tuple[int, ...]
    kind: str
    regime: int


class ChangeDetector(Protocol):
    """Detects changes sample by sample.  Memory is bounded; equal samples give equal bits."""

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Update with one sample and return the changes that it reveals.

        values: float64 [C]; NaN, infinity and sizes beyond 1e150 count as missing.  The array is
        neither kept nor changed.  Raises ValueError for another shape.
        """

    def state(self) -> State:
        """Return everything learned as arrays of a bounded size; copies."""

    def restore(self, state: State) -> None:
        """Continue from a state.  Raises ValueError for the state of another detector."""


class StatefulDetector:
    """Base of detectors that keep everything learned in arrays, named for storage."""

    _arrays: dict[str, NDArray[Any]]

    def state(self) -> State:
        """Return copies of the arrays."""
        return {name: array.copy() for name, array in self._arrays.items()}

    def restore(self, state: State) -> None:
        """Copy the arrays from a state.  Raises ValueError and changes nothing where names or
        shapes differ."""
        shapes = {name: array.shape for name, array in self._arrays.items()}
        if shapes != {name: np.shape(array) for name, array in state.items()}:
            raise ValueError(
                f"restoring a detector: expected the arrays {sorted(shapes)} of the same channels,"
                f" found the state of another detector, {sorted(state)}"
            )
        for name, array in self._arrays.items():
            array[...] = state[name]
