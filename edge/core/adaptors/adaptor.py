"""Adaptors: what answers for a domain, a transform of the features with a head on top.

`fit` solves a domain's adaptor from its facts: on the transform of the record that serves there,
or on none (the head alone).  To add a kind of transform: one class and one line in `kinds.KINDS`.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..facts import FactBatch
from .bandwidth import tune_kernel
from .crossfit import cross_scores
from .head import FittedHead, solve_head
from .kernel import KIND, KernelMachine, choose_landmarks, solve_kernel
from .kinds import KINDS
from .record import AdaptorRecord
from .standardisation import Standardisation, standardise
from .transform import LEVELS, Spans, Transform, build_transform, transform_shapes

Floats = NDArray[np.float32]


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

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], higher is likelier."""


def fit_adaptor(
    own: FactBatch,
    others: FactBatch,
    record: AdaptorRecord | None = None,
    spans: Spans | None = None,
) -> Adaptor:
    """Fit the adaptor of a domain to its own facts, at least one, with the others' as support.

    record: what growth found for the domain; the head alone answers without.  spans: (start, stop)
    columns of the encoder's taps; one tap where not given.  Depends on the set of facts alone.
    Raises StateCorruptError for a record that does not fit the spans.
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
    """Solve what answers on top of a transform: a kernel compares, all else has a linear head."""
    if transform.blueprint.kind == KIND:
        return solve_kernel(transform, own)
    return solve_head(transform, own, others, standard)


def standardising_arrays(
    blueprint: Blueprint, standard: Standardisation, spans: Spans
) -> dict[str, Floats]:
    """Return the arrays every transform has: centre and factor of the columns it reads."""
    columns = np.concatenate([np.arange(*spans[tap]) for tap in blueprint.taps])
    return {"centre": standard.centre[columns], "factor": standard.factor[columns]}


__all__ = [
    "KINDS",
    "LEVELS",
    "Adaptor",
    "AdaptorRecord",
    "FittedHead",
    "KernelMachine",
    "Spans",
    "Standardisation",
    "Transform",
    "build_transform",
    "choose_landmarks",
    "cross_scores",
    "fit_adaptor",
    "solve_adaptor",
    "solve_head",
    "solve_kernel",
    "standardise",
    "standardising_arrays",
    "transform_shapes",
    "tune_kernel",
]
