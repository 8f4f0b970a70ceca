"""Adaptors: what answers for a domain.  One kind serves now: the ridge head.

To add a kind: one file with a class that satisfies `Adaptor` and a fit function, one line in KINDS.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..facts import Batch
from .head import Head, fit_head
from .record import Record


class Adaptor(Protocol):
    """Answers with one of `labels`; declares its `nbytes` and `operations`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it can answer, in the order of its scores."""

    @property
    def nbytes(self) -> int:
        """Bytes of its parameters."""

    @property
    def operations(self) -> int:
        """Multiply-adds it spends on one sample."""

    def answer(self, features: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Score uint8 [..., width] features: float32 [..., labels], higher is likelier."""


Fit = Callable[[Batch, Batch], Adaptor]

KINDS: Final[Mapping[str, Fit]] = {"head": fit_head}


def fit(own: Batch, others: Batch, kind: str = "head") -> Adaptor:
    """Fit an adaptor of a kind to a domain's own facts, with the other domains' as support."""
    return KINDS[kind](own, others)


__all__ = ["KINDS", "Adaptor", "Head", "Record", "fit", "fit_head"]
