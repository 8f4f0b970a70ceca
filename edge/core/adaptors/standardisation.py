"""Standardisation per domain: columns centred on the domain's mean, over a shared deviation."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..facts import FactBatch
from ..structs import FrozenStruct

Floats = NDArray[np.float32]
Spans = tuple[tuple[int, int], ...]

LEVELS: Final = np.sqrt(np.arange(256, dtype=np.float32))
"""A feature's value by its level: square roots, since the variance of activations grows with
them."""

MEAN_FACTS: Final = 20
"""Own facts that weigh as much in the mean as all other domains.  Chosen by hand; effect not
measured."""
VARIANCE_FACTS: Final = 50
"""Own facts that weigh as much in the variance as all other domains: a variance needs more facts
than a mean.  Chosen by hand; effect not measured."""
STEP: Final = 0.1
"""Added to the deviation of a column, in roots of levels: smaller deviations are rounding."""
BALANCE: Final = 0.125
"""Exponent of the tap weights: 0 leaves columns alone, 0.5 gives taps equal energy.  Chosen by
hand; effect not measured."""


class Standardisation(FrozenStruct, frozen=True, eq=False):
    """The statistics that make columns comparable.

    centre, factor: float32 [width], mean and inverse deviation in the domain itself.  centres:
    float32 [other domains, sorted by name; width].  numbers: intp [facts of other domains], the row
    of each fact's domain in `centres`.
    """

    centre: Floats
    factor: Floats
    centres: Floats
    numbers: NDArray[np.intp]


def standardise(own: FactBatch, others: FactBatch, spans: Spans) -> Standardisation:
    """Compute a domain's statistics, shrunk towards the other domains while its facts are few.

    Columns are weighted so that a small tap counts nearly as much as a large one.
    """
    count = len(own)
    mean = _means(own, np.zeros(count, np.intp))[0]
    numbers = np.unique(np.array(others.domains), return_inverse=True)[1].astype(np.intp)
    centres = np.zeros((0, len(mean)))
    if len(others):
        centres = _means(others, numbers)
        shrinkage = MEAN_FACTS / (MEAN_FACTS + count)
        shares = np.bincount(numbers) / len(others)
        mean = (1 - shrinkage) * mean + shrinkage * (shares @ centres)
    variance = _variance(own, mean[None], np.zeros(count, np.intp))
    if len(others):
        support = _variance(others, centres, numbers)
        variance = (count * variance + VARIANCE_FACTS * support) / (count + VARIANCE_FACTS)
    factor = balance_weights(spans, len(mean)) / (np.sqrt(variance) + STEP)
    return Standardisation(_single(mean), _single(factor), _single(centres), numbers)


def balance_weights(spans: Spans, width: int) -> NDArray[np.float64]:
    """Return column weights: (columns of an average tap / columns of their tap) ** BALANCE."""
    weights = np.ones(width)
    for start, stop in spans:
        weights[start:stop] = (width / len(spans) / (stop - start)) ** BALANCE
    return weights


def block_slices(count: int) -> Iterator[slice]:
    """Yield slices of so many rows, small enough for allocators to return their memory."""
    for at in range(0, count, limits.BATCH_FACTS):
        yield slice(at, at + limits.BATCH_FACTS)


def _means(rows: FactBatch, numbers: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the means of the columns by domain number."""
    summed = np.zeros((int(numbers.max()) + 1, rows.features.shape[1]))
    for part in block_slices(len(rows)):
        belongs = np.equal.outer(np.arange(len(summed)), numbers[part]).astype(np.float32)
        summed += belongs @ LEVELS[rows.features[part]]
    return summed / np.bincount(numbers)[:, None]


def _variance(
    rows: FactBatch, centres: NDArray[np.float64], numbers: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the mean squared deviation of each column from its domain's centre."""
    summed = np.zeros(rows.features.shape[1])
    for part in block_slices(len(rows)):
        deviations = LEVELS[rows.features[part]] - _single(centres)[numbers[part]]
        summed += np.einsum("ij,ij->j", deviations, deviations)
    return summed / len(rows)


def _single(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)
