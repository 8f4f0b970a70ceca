"""Adaptors: the classifier of a domain, a transform of the features with a head on top.

`fit_adaptor` solves a domain's adaptor from its facts: on the transform of the domain's record, or
without a record the default, a head on the standardised features or a small kernel if that does
better on facts left out.  A head's unsure answers are revised by the nearest facts where that does
better on facts left out.  To add a kind of transform: one class and one line in `kinds.KINDS`.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..facts import FactBatch
from .head import FittedHead, HeadTrainingSet, Transform, build_transform, solve_head
from .kernel import KIND, KernelMachine, TunedKernels, solve_kernel, tune_kernel
from .losses import can_be_better, grade_scores, is_better
from .record import AdaptorRecord
from .standardisation import Spans, Standardisation, standardise
from .weighting import OWN_PENALTY_FACTS

Floats = NDArray[np.float32]

KERNEL_BYTES_MAX: Final = 1 << 19
"""Bytes of landmarks of a kernel that serves without growth: 4,096 facts of 128 columns.  An answer
then takes 0.1 ms or so; a larger kernel has to be grown within the budget."""
KERNEL_COLUMNS_MAX: Final = 1_365
"""Columns up to which the facts that judge a kernel (`OWN_PENALTY_FACTS`) always fit: 1 MiB.  With
fewer, a domain would lose its kernel while it learns: docs/decisions/0024."""


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
    tuned: TunedKernels | None = None,
) -> Adaptor:
    """Fit the adaptor of a domain to its own facts, at least one, with the others' as support.

    record: the trained adaptor of the domain, or None for the default.  spans: (start, stop)
    columns of the encoder's taps; one tap by default.  tuned: kernels of earlier fits, to save
    time.  The result depends on the set of facts alone.  Raises StateCorruptError for a record that
    does not fit the spans.
    """
    spans = spans or ((0, own.features.shape[1]),)
    standard = standardise(own, others, spans)
    if record is not None:
        transform = build_transform(record, spans)
        if record.blueprint.kind != KIND:
            return HeadTrainingSet(transform, own, others, standard).revised()
        return solve_kernel(transform, own)
    training_set = _plain_training_set(own, others, standard, spans)
    try:
        kernel = _better_kernel(training_set, (own, others), standard, spans, tuned)
        return training_set.revised() if kernel is None else solve_kernel(kernel, own)
    except np.linalg.LinAlgError:
        # Rounding may leave a kernel of nearly equal facts singular; the head's system never is.
        return training_set.solve()


def fit_head(own: FactBatch, others: FactBatch, spans: Spans) -> FittedHead:
    """Fit the head alone, also where a kernel is the default; see `fit_adaptor`."""
    return _plain_training_set(own, others, standardise(own, others, spans), spans).solve()


def fit_head_and_kernel(
    own: FactBatch, others: FactBatch, spans: Spans, tuned: TunedKernels
) -> tuple[FittedHead, KernelMachine | None]:
    """Return what `fit_head` and `fit_better_kernel` do, in the time of one.  tuned: kernels of
    earlier fits."""
    standard = standardise(own, others, spans)
    training_set = _plain_training_set(own, others, standard, spans)
    head = training_set.solve()
    try:
        kernel = _better_kernel(training_set, (own, others), standard, spans, tuned)
        return head, None if kernel is None else solve_kernel(kernel, own)
    except np.linalg.LinAlgError:
        return head, None


def head_training_set(
    own: FactBatch, others: FactBatch, spans: Spans, record: AdaptorRecord | None
) -> HeadTrainingSet:
    """Return what the head of a domain is solved from; see `fit_adaptor`.  record: of a kind with a
    head, or None."""
    standard = standardise(own, others, spans)
    if record is None:
        return _plain_training_set(own, others, standard, spans)
    return HeadTrainingSet(build_transform(record, spans), own, others, standard)


def fit_better_kernel(own: FactBatch, others: FactBatch, spans: Spans) -> KernelMachine | None:
    """Fit the kernel that serves a domain by default; None where the head does."""
    made = fit_adaptor(own, others, None, spans)
    return made if isinstance(made, KernelMachine) else None


def _plain_training_set(
    own: FactBatch, others: FactBatch, standard: Standardisation, spans: Spans
) -> HeadTrainingSet:
    plain = Blueprint(kind="none", taps=tuple(range(len(spans))))
    transform = build_transform((plain, standardising_arrays(plain, standard, spans)), spans)
    return HeadTrainingSet(transform, own, others, standard)


def _better_kernel(
    training_set: HeadTrainingSet,
    facts: tuple[FactBatch, FactBatch],
    standard: Standardisation,
    spans: Spans,
    tuned: TunedKernels | None,
) -> Transform | None:
    """Return the transform of a kernel that does better than the head on facts left out, or None.

    None, too, if this domain shares some labels with the others and lacks some of theirs, which a
    kernel could not answer, and if it may have fewer landmarks than facts judge.
    """
    own, others = facts
    labels = tuple(sorted(set(own.labels)))
    width = min(len(own), landmarks_max(own.features.shape[1]))
    judges = training_set.judging_labels
    known = frozenset(others.labels)
    lacking = bool(known - set(labels) and known & set(labels)) or set(judges) != set(labels)
    if lacking or len(labels) < 2 or width < len(judges):
        return None
    blueprint = Blueprint(kind=KIND, taps=tuple(range(len(spans))), width=width)
    targets = np.array([labels.index(label) for label in judges])
    answered = np.array([training_set.labels.index(label) for label in judges])
    linear = grade_scores(training_set.left_out_scores(), answered)
    # Most heads of well separated labels leave nothing to gain: tuning takes longer than all else.
    if not can_be_better(linear):
        return None
    arrays, scores = tune_kernel(blueprint, own, standard, spans, tuned)
    if not is_better(grade_scores(scores, targets), linear):
        return None
    return build_transform((blueprint, arrays), spans)


def landmarks_max(columns: int) -> int:
    """Return how many landmarks a kernel over these columns may have without growth."""
    least = OWN_PENALTY_FACTS if columns <= KERNEL_COLUMNS_MAX else 0
    return max(least, KERNEL_BYTES_MAX // columns)


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
