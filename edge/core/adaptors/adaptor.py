"""Adaptors: the classifier of a domain, a transform of the features with a head on top.

`fit_adaptor` solves a domain's adaptor from its facts: on the transform of the domain's record, or
on the standardised features (the head alone).  To add a kind of transform: one class and one line
in `kinds.KINDS`.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..facts import FactBatch
from .head import solve_head
from .kernel import KIND, solve_kernel
from .record import AdaptorRecord
from .standardisation import Standardisation, standardise
from .transform import Spans, Transform, build_transform

Floats = NDArray[np.float32]


class Adaptor(Protocol):
    """Scores each of `labels`; declares its size and cost, `nbytes` and `operations`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it can predict, in the order of its scores."""

    @property
    def nbytes(self) -> int:
        """Bytes of its parameters."""

    @property
    def operations(self) -> int:
        """Multiply-adds per sample."""

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], higher is more likely."""


def fit_adaptor(
    own: FactBatch,
    others: FactBatch,
    record: AdaptorRecord | None = None,
    spans: Spans | None = None,
) -> Adaptor:
    """Fit the adaptor of a domain to its own facts, at least one, with the others' as support.

    record: the trained adaptor of the domain, or None for the head alone.  spans: (start, stop)
    columns of the encoder's taps; one tap by default.  The result depends on the set of facts
    alone.  Raises StateCorruptError for a record that does not fit the spans.
    """
    spans = spans or ((0, own.features.shape[1]),)
    standard = standardise(own, others, spans)
    if record is not None:
        return solve_adaptor(build_transform(record, spans), own, others, standard)
    plain = Blueprint(kind="none", taps=tuple(range(len(spans))))
    return solve_head(
        build_transform((plain, standardising_arrays(plain, standard, spans)), spans),
        own,
        others,
        standard,
    )


def solve_adaptor(
    transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
) -> Adaptor:
    """Solve the classifier on top of a transform: a kernel machine or a linear head."""
    if transform.blueprint.kind == KIND:
        return solve_kernel(transform, own)
    return solve_head(transform, own, others, standard)


def standardising_arrays(
    blueprint: Blueprint, standard: Standardisation, spans: Spans
) -> dict[str, Floats]:
    """Return the arrays of every transform: centre and factor of the columns that it reads."""
    columns = np.concatenate([np.arange(*spans[tap]) for tap in blueprint.taps])
    return {"centre": standard.centre[columns], "factor": standard.factor[columns]}
