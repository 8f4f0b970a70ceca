"""Quantise the parts of an extract to integers: head, columns block and plane block.

An adaptor whose answer is linear in the square roots of the features is exported as it is.  For
every other kind, a head solved from the same facts takes its place, and the export reports how
often the two agree.  To export another kind exactly, add its line to `LINEAR`.
"""

from collections.abc import Callable, Mapping
from math import ceil, log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge
import hdc

from ..core import FactBatch, Knowledge, stack_facts
from ..core.adaptors import LEVELS, FittedHead, Transform, fit_head

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

ROOT_SCALE: Final = 64
"""Steps in 1 of a feature's square root: the largest input, 64 sqrt(255) = 1,022, fits 10 bits."""

LEVELS_WHOLE: Final[Ints] = np.rint(LEVELS * ROOT_SCALE).astype(np.int64)
"""The integer input of a head for each feature level: its square root, in steps of a 64th."""

MAGNITUDE_MAX: Final = 1 << 29
"""Largest magnitude of a sum of products, and of a bias, before rounding: their sum fits int32."""

TINY: Final = 1e-30
"""Keeps logarithms and divisions finite where all weights are 0; far below any real weight."""


def exportable_head(knowledge: Knowledge, domain: str) -> FittedHead:
    """Return the domain's adaptor if an extract can hold it, else a head without adaptor."""
    served = knowledge.adaptor(domain)
    if isinstance(served, FittedHead) and served.transform.blueprint.kind in LINEAR:
        return served
    return _solve_plain(*knowledge.training_facts(domain), knowledge)


def solve_shared_head(knowledge: Knowledge, facts: FactBatch) -> FittedHead:
    """Solve one head for all domains from the facts of all of them."""
    return _solve_plain(facts, stack_facts(()), knowledge)


def _solve_plain(own: FactBatch, others: FactBatch, knowledge: Knowledge) -> FittedHead:
    return fit_head(own, others, knowledge.geometry.slices)


def quantise_head(
    adaptor: FittedHead, labels: list[str], mean: Reals, bits: int
) -> bridge.HeadPart:
    """Quantise an adaptor to weights of 8 or 4 bits, its labels numbered by place in `labels`.

    Weights and bias share one scale for all labels, since their scores are compared.  Each column
    also has a power of two of its own: columns of small variance have large weights, and a common
    step would round all others to 0.  mean: mean roots [width]; the bias absorbs the rounding
    error at the mean.
    """
    weights, bias = _fold(adaptor)
    numbers = tuple(labels.index(name) for name in adaptor.labels)
    # A constant added to all labels does not change which score is highest.
    bias = bias - bias.mean()
    return quantise_weights(numbers, weights, bias, mean, (bits, score_unit(weights, bias, bits)))


def quantise_weights(
    labels: tuple[int, ...], weights: Reals, bias: Reals, mean: Reals, size: tuple[int, int]
) -> bridge.HeadPart:
    """Return an integer head.  weights: [labels, width] of the features' roots.  size: bits of a
    weight, and log2 of the unit of the scores."""
    bits, unit = size
    weights, most = weights / ROOT_SCALE, (1 << bits - 1) - 1
    shifts = np.maximum(_column_shifts(weights, most) - unit, 0)
    scaled = weights / 2.0**unit
    whole = np.clip(np.rint(scaled / (1 << shifts)), -most, most)
    lost = (scaled - whole * (1 << shifts)) @ (mean * ROOT_SCALE)
    biases = np.rint(bias / 2.0**unit + lost).astype(np.int64)
    return bridge.HeadPart(labels, whole.astype(np.int8), biases, shifts, bits)


def score_unit(weights: Reals, bias: Reals, bits: int, more: float = 0.0) -> int:
    """Return log2 of the smallest unit in which scores stay within `MAGNITUDE_MAX`.  more: the
    largest magnitude that other terms add."""
    weights = weights / ROOT_SCALE
    sums = np.abs(weights).sum(axis=1) * int(LEVELS_WHOLE[-1])
    largest = max(float(sums.max()), float(np.abs(bias).max()), more, TINY)
    shifts = _column_shifts(weights, (1 << bits - 1) - 1)
    return max(ceil(log2(largest / MAGNITUDE_MAX)), int(shifts.max()) - bridge.SHIFT_MAX)


def _column_shifts(weights: Reals, most: int) -> Ints:
    """Return log2 of the smallest step of each column in which no weight exceeds `most`."""
    largest = np.maximum(np.abs(weights).max(axis=0), TINY)
    return np.asarray(np.ceil(np.log2(largest / most)).astype(np.int64))


def _fold(adaptor: FittedHead) -> tuple[Reals, Reals]:
    """Fold transform and head into one: weights [labels, width] of the roots, bias [labels]."""
    transform = adaptor.transform
    inner = LINEAR[transform.blueprint.kind](transform, adaptor.weights.astype(np.float64))
    inner = inner * transform.arrays["factor"][:, None]
    weights = np.zeros((transform.encoded, inner.shape[1]))
    weights[transform.columns] = inner
    bias = adaptor.bias - transform.arrays["centre"].astype(np.float64) @ inner
    return weights.T, np.asarray(bias)


LINEAR: Final[Mapping[str, Callable[[Transform, Reals], Reals]]] = {
    "none": lambda _, weights: weights,
    "linear": lambda transform, weights: transform.arrays["W"] @ weights,
}
"""Adaptor kinds whose transform is a matrix, with the function that folds it into the head."""


def columns_block(geometry: hdc.Geometry, means: Ints) -> bridge.ColumnsPart | None:
    """Return the columns block of a geometry, if it has one.  means: int64 [concepts, values]."""
    columns = geometry.columns
    if columns is None:
        return None
    start, stop = geometry.spans[0]
    gains = columns.gains.astype(np.int64)
    return bridge.ColumnsPart(int(columns.span[0]), gains, means[:, start:stop])


def plane_block(geometry: hdc.Geometry, means: Ints) -> bridge.PlanePart | None:
    """Return the plane block of a geometry, if it has one.  means: int64 [concepts, values]."""
    plane = geometry.plane
    if plane is None:
        return None
    start, stop = geometry.spans[1]
    return bridge.PlanePart(
        start=int(plane.span[0]),
        scale=plane.scale.astype(np.int64),
        zeros=plane.zeros.astype(np.int64),
        axes=plane.axes.astype(np.int64),
        offset=plane.offset,
        gains=plane.gains,
        centre=plane.centre,
        lengths=plane.lengths,
        rest=int(plane.rest[0]),
        fixed=int(plane.fixed[0]),
        means=means[:, start : stop - 1],
    )
