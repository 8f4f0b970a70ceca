"""Standardisation by domain: each domain's columns about their own mean, over a shared spread."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..facts import FactBatch
from .transform import LEVELS, Spans

Floats = NDArray[np.float32]

MEAN_FACTS: Final = 20
SPREAD_FACTS: Final = 50
STEP: Final = 0.1
"""Spread of a column that does not move, in roots of levels: less cannot be told from rounding."""
BALANCE: Final = 0.125


@dataclass(frozen=True, slots=True, eq=False)
class Standardisation:
    """What makes columns comparable.  centre, factor: float32 [width], of the domain itself;
    centres: float32 [domains of the others, sorted; width]; numbers: a domain a fact of them."""

    centre: Floats = field(repr=False)
    factor: Floats = field(repr=False)
    centres: Floats = field(repr=False)
    numbers: NDArray[np.intp] = field(repr=False)


def standardise(own: FactBatch, others: FactBatch, spans: Spans) -> Standardisation:
    """Measure a domain's columns, leaning on the other domains while its facts are few.

    Columns are weighted so that a small tap counts nearly as much as a large one.
    """
    count = len(own)
    mean = _means(own, np.zeros(count, np.intp))[0]
    numbers = np.unique(np.array(others.domains), return_inverse=True)[1].astype(np.intp)
    centres = np.zeros((0, len(mean)))
    if len(others):
        centres = _means(others, numbers)
        lean = MEAN_FACTS / (MEAN_FACTS + count)
        shares = np.bincount(numbers) / len(others)
        mean = (1 - lean) * mean + lean * (shares @ centres)
    variance = _variance(own, mean[None], np.zeros(count, np.intp))
    if len(others):
        support = _variance(others, centres, numbers)
        variance = (count * variance + SPREAD_FACTS * support) / (count + SPREAD_FACTS)
    factor = balance_weights(spans, len(mean)) / (np.sqrt(variance) + STEP)
    return Standardisation(_single(mean), _single(factor), _single(centres), numbers)


def balance_weights(spans: Spans, width: int) -> NDArray[np.float64]:
    """Weigh columns: (columns of an average tap / columns of theirs) to the power BALANCE."""
    weights = np.ones(width)
    for start, stop in spans:
        weights[start:stop] = (width / len(spans) / (stop - start)) ** BALANCE
    return weights


def block_slices(count: int) -> Iterator[slice]:
    """Cut so many rows into parts small enough to leave no trace in memory."""
    for at in range(0, count, limits.BATCH_FACTS):
        yield slice(at, at + limits.BATCH_FACTS)


def _means(rows: FactBatch, numbers: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the columns' means by domain number."""
    summed = np.zeros((int(numbers.max()) + 1, rows.features.shape[1]))
    for part in block_slices(len(rows)):
        belongs = np.equal.outer(np.arange(len(summed)), numbers[part]).astype(np.float32)
        summed += belongs @ LEVELS[rows.features[part]]
    return summed / np.bincount(numbers)[:, None]


def _variance(
    rows: FactBatch, centres: NDArray[np.float64], numbers: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Average the squared deviations of each column from its domain's centre."""
    summed = np.zeros(rows.features.shape[1])
    for part in block_slices(len(rows)):
        apart = LEVELS[rows.features[part]] - _single(centres)[numbers[part]]
        summed += np.einsum("ij,ij->j", apart, apart)
    return summed / len(rows)


def _single(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)
