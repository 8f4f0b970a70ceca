"""The parts of an extract in integers: head, columns and plane.

An adaptor whose answer is linear in the features' roots goes along as it is.  For every other kind
the head alone, solved from the same facts, takes its place; the export says how often the two
agree.  A kind that the C code learns to compute gets its line in LINEAR's place.
"""

from collections.abc import Callable, Mapping
from math import ceil, log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge
import hdc

from ..core import FactBatch, Knowledge
from ..core import stack_facts as gather_facts
from ..core.adaptors import LEVELS, FittedHead, Transform, fit_adaptor

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

ROOT_SCALE: Final = 64
LEVELS_WHOLE: Final[Ints] = np.rint(LEVELS * ROOT_SCALE).astype(np.int64)
"""What a head takes for a feature's level: its root, in steps of a 64th."""

REACH: Final = 1 << 29
"""Neither a product of features and weights nor a bias reaches farther, before rounding."""

TINY: Final = 1e-30


def linear_adaptor(knowledge: Knowledge, domain: str) -> FittedHead:
    """The domain's adaptor where an extract can hold it, else the head alone."""
    served = knowledge.adaptor(domain)
    if isinstance(served, FittedHead) and served.transform.blueprint.kind in LINEAR:
        return served
    return _alone(*knowledge.lessons(domain), knowledge)


def shared_head(knowledge: Knowledge, facts: FactBatch) -> FittedHead:
    """One head for all domains, solved from facts of all of them."""
    return _alone(facts, gather_facts(()), knowledge)


def _alone(own: FactBatch, others: FactBatch, knowledge: Knowledge) -> FittedHead:
    made = fit_adaptor(own, others, None, knowledge.geometry.slices)
    assert isinstance(made, FittedHead), "without a record the head is linear"
    return made


def head_part(adaptor: FittedHead, labels: list[str], usual: Reals, bits: int) -> bridge.HeadPart:
    """An adaptor with weights of 8 or 4 bits, for labels numbered by their place in `labels`.

    Weights and bias are on one scale for all labels, since their scores are compared; each column
    has a power of two of its own: columns that hardly move have large weights, and all others would
    be rounded away beside them.  usual: mean roots [width]; what rounding changes for them is given
    back to the bias.
    """
    weights, bias = _folded(adaptor)
    names = tuple(labels.index(name) for name in adaptor.labels)
    # What all labels share does not change which score is highest.
    bias = bias - bias.mean()
    return whole_head(names, weights, bias, usual, (bits, unit_of(weights, bias, bits)))


def whole_head(
    names: tuple[int, ...],
    weights: Reals,
    bias: Reals,
    usual: Reals,
    size: tuple[int, int],
) -> bridge.HeadPart:
    """A head in integers.  weights: [labels, width] of the features' roots.  size: bits a weight,
    and log2 of the unit of its scores."""
    bits, unit = size
    weights, most = weights / ROOT_SCALE, (1 << bits - 1) - 1
    shifts = np.maximum(_needed(weights, most) - unit, 0)
    scaled = weights / 2.0**unit
    whole = np.clip(np.rint(scaled / (1 << shifts)), -most, most)
    lost = (scaled - whole * (1 << shifts)) @ (usual * ROOT_SCALE)
    biases = np.rint(bias / 2.0**unit + lost).astype(np.int64)
    return bridge.HeadPart(names, whole.astype(np.int8), biases, shifts, bits)


def unit_of(weights: Reals, bias: Reals, bits: int, more: float = 0.0) -> int:
    """Log2 of the least unit in which scores stay within bounds.  more: what others add at most."""
    weights = weights / ROOT_SCALE
    lengths = np.abs(weights).sum(axis=1) * int(LEVELS_WHOLE[-1])
    reach = max(float(lengths.max()), float(np.abs(bias).max()), more, TINY)
    needed = _needed(weights, (1 << bits - 1) - 1)
    return max(ceil(log2(reach / REACH)), int(needed.max()) - bridge.SHIFT_MAX)


def _needed(weights: Reals, most: int) -> Ints:
    """Log2 of the step of each column in which no weight exceeds `most`."""
    largest = np.maximum(np.abs(weights).max(axis=0), TINY)
    return np.asarray(np.ceil(np.log2(largest / most)).astype(np.int64))


def _folded(adaptor: FittedHead) -> tuple[Reals, Reals]:
    """Transform and head as one: weights [labels, width] of the features' roots, bias [labels]."""
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
"""Kinds whose transform is a matrix, with what it makes of the head's weights."""


def columns_part(geometry: hdc.Geometry, means: Ints) -> bridge.ColumnsPart | None:
    """The columns of a geometry with the concepts' means int64 [c, values]."""
    columns = geometry.columns
    if columns is None:
        return None
    start, stop = geometry.spans[0]
    gains = columns.gains.astype(np.int64)
    return bridge.ColumnsPart(int(columns.span[0]), gains, means[:, start:stop])


def plane_part(geometry: hdc.Geometry, means: Ints) -> bridge.PlanePart | None:
    """The plane of a geometry with the concepts' means int64 [c, values]."""
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
        means=means[:, start : stop - 1],
    )
