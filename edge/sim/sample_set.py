"""Labelled payloads, whatever they were read from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SampleSet:
    """Payloads with their labels.  taps: (name, width) of vector payloads, empty for images.
    `read(row)` returns a payload for the encoder, `name(row)` says where it comes from."""

    labels: tuple[str, ...]
    read: Callable[[int], Any] = field(repr=False)
    taps: tuple[tuple[str, int], ...] = ()
    name: Callable[[int], str] = field(default="row {}".format, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def spread(self) -> NDArray[np.float64]:
        """Return the value range for corruptions: 255 for images, standard deviations for
        vectors."""
        if not self.taps:
            return np.array(255.0)
        rows = np.array([self.read(row) for row in range(len(self))], np.float64)
        return np.asarray(rows.std(axis=0))


def select_samples(samples: SampleSet, rows: Sequence[int]) -> SampleSet:
    """Select rows, in that order."""
    chosen = [int(row) for row in rows]
    return SampleSet(
        tuple(samples.labels[row] for row in chosen),
        lambda row: samples.read(chosen[row]),
        samples.taps,
        lambda row: samples.name(chosen[row]),
    )
