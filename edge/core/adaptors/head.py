"""The head: a linear answer on top of a transform, solved in closed form from facts.

The other domains' facts take part with a weight, so that a handful of labels in a new domain is
enough (transfer); which weight, and how much the answer is held back, is chosen by leaving facts
of the domain out.  Constants and their measurements: docs/decisions/0007.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..facts import Batch
from .gram import Gram
from .standard import Standard, parts
from .transform import Transform

SUPPORT_WEIGHT: Final = 0.5
RIDGE: Final = 0.3
PENALTY_MIN: Final = 1e-6

Floats = NDArray[np.float32]
Chunk = Callable[[], tuple[Floats, Floats, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """An adaptor that answers: scores = transform(features) @ weights + bias.

    weights: float32 [out, labels]; bias: [labels].
    """

    labels: tuple[str, ...]
    transform: Transform
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the transform, weights and bias."""
        return int(self.transform.nbytes + self.weights.nbytes + self.bias.nbytes)

    @property
    def operations(self) -> int:
        """Multiply-adds a sample."""
        return int(self.transform.operations + self.weights.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a sure answer."""
        return np.asarray(self.transform(features) @ self.weights + self.bias)


def solve_head(transform: Transform, own: Batch, others: Batch, standard: Standard) -> Fitted:
    """Solve the head of a domain on a transform.  own: its facts, at least one; others: of all
    other domains.

    Weighted ridge regression on one-hot labels (Hoerl & Kennard 1970), in the dual where there are
    far fewer facts than columns.  Rows come sorted by id, so the answer depends on the set of facts
    alone.  Cost: O(n out min(n, out)) time, 2 out^2 bytes in small pieces, n facts.
    """
    labels = tuple(sorted({*own.labels, *others.labels}))
    chunks = _chunks(own, labels, transform, None, 1.0)
    if len(others):
        centres = standard.centres[standard.numbers][:, transform.columns]
        chunks += _chunks(others, labels, transform, centres, SUPPORT_WEIGHT)
    weight = len(own) + SUPPORT_WEIGHT * len(others)
    weights, bias = _solve_ridge(chunks, weight, transform.out)
    return Fitted(labels, transform, weights, bias)


def _chunks(
    rows: Batch,
    labels: tuple[str, ...],
    transform: Transform,
    centres: Floats | None,
    weight: float,
) -> list[Chunk]:
    """Make functions that transform a part of the rows, with its targets, when asked."""
    at = {label: column for column, label in enumerate(labels)}
    columns = np.array([at[name] for name in rows.labels])
    eye = np.eye(len(labels), dtype=np.float32)

    def chunk(part: slice) -> tuple[Floats, Floats, float]:
        made = transform(rows.features[part], None if centres is None else centres[part])
        return made, eye[columns[part]], weight

    return [partial(chunk, part) for part in parts(len(rows))]


def _solve_ridge(chunks: list[Chunk], weight: float, width: int) -> tuple[Floats, Floats]:
    """Solve ridge regression with a free intercept.  weight: of all facts together."""
    mean = np.zeros(width)
    target = np.float64(0)
    for chunk in chunks:
        rows, sought, each = chunk()
        mean += each / weight * rows.sum(axis=0, dtype=np.float64)
        target = target + each / weight * sought.sum(axis=0, dtype=np.float64)
    centre, level = mean.astype(np.float32), np.asarray(target, np.float32)
    if len(chunks) * limits.BATCH_FACTS <= width // 2:
        solved = _solve_dual(chunks, weight, centre, level)
    else:
        solved = _solve_primal(chunks, weight, centre, level)
    return solved, level - centre @ solved


def _centred(chunk: Chunk, centre: Floats, level: Floats) -> tuple[Floats, Floats]:
    rows, sought, weight = chunk()
    scale = np.float32(np.sqrt(weight))
    return (rows - centre) * scale, (sought - level) * scale


def _solve_primal(chunks: list[Chunk], weight: float, centre: Floats, level: Floats) -> Floats:
    """Solve for one number a column."""
    gram = Gram(len(centre))
    products = []
    for chunk in chunks:
        inputs, targets = _centred(chunk, centre, level)
        gram.add(inputs)
        products.append(inputs.T @ targets)
    sought = np.asarray(np.sum(products, axis=0))
    return gram.solve(RIDGE * gram.trace() / weight + PENALTY_MIN, sought)


def _solve_dual(chunks: list[Chunk], weight: float, centre: Floats, level: Floats) -> Floats:
    """Solve for one number a fact instead of one a column."""
    made = [_centred(chunk, centre, level) for chunk in chunks]
    inputs = np.concatenate([rows for rows, _ in made])
    targets = np.concatenate([rows for _, rows in made])
    gram = inputs @ inputs.T
    energy = float(np.trace(gram, dtype=np.float64)) / weight
    gram.flat[:: len(gram) + 1] += RIDGE * energy + PENALTY_MIN
    return np.asarray(inputs.T @ np.linalg.solve(gram, targets))
