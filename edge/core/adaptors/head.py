"""The head: a linear answer on top of a transform, solved in closed form from facts.

The other domains' facts take part with a weight, so that a handful of labels in a new domain is
enough (transfer).  Constants and their measurements: docs/decisions/0007.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import Batch
from .gram import Gram
from .standard import Standard, parts
from .transform import Transform

RIDGE: Final = 0.2
SUPPORT_WEIGHTS: Final = (0.1, 0.3)
"""Weight of another domain's fact where own facts are few, and where they are many."""
SUPPORT_FACTS: Final = 1_000
"""Own facts at which the weight is half way."""
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
    if len(own) + len(others) <= transform.out // 2:
        labels, inputs, targets, centre, level = blend(transform, own, others, standard)
        weights = _solve_dual(inputs, targets, ridge(own, others))
    else:
        labels = _labels(own, others)
        chunks = _chunks(transform, own, others, standard)
        centre, level = _middle(chunks, transform.out)
        weights = _solve_primal(chunks, centre, level, ridge(own, others))
    return Fitted(labels, transform, weights, level - centre @ weights)


def blend(
    transform: Transform, own: Batch, others: Batch, standard: Standard
) -> tuple[tuple[str, ...], Floats, Floats, Floats, Floats]:
    """Put all facts side by side, as ridge regression takes them.

    Returns labels; inputs float32 [n, out] and targets [n, labels], own facts first, about their
    weighted means and times the roots of their weights; and those means, of columns and targets.
    """
    chunks = _chunks(transform, own, others, standard)
    centre, level = _middle(chunks, transform.out)
    made = [_centred(chunk, centre, level) for chunk in chunks]
    inputs = np.concatenate([rows for rows, _ in made])
    targets = np.concatenate([rows for _, rows in made])
    return _labels(own, others), inputs, targets, centre, level


def ridge(own: Batch, others: Batch) -> float:
    """Return the penalty, as a share of the energy of all weighted rows."""
    return RIDGE / (len(own) + support_weight(len(own)) * len(others))


def support_weight(count: int) -> float:
    """Return the weight of another domain's fact where the domain has so many facts."""
    few, many = SUPPORT_WEIGHTS
    return few + (many - few) * count / (count + SUPPORT_FACTS)


def _labels(own: Batch, others: Batch) -> tuple[str, ...]:
    return tuple(sorted({*own.labels, *others.labels}))


def _chunks(
    transform: Transform, own: Batch, others: Batch, standard: Standard
) -> list[Chunk]:
    """Make functions that transform a part of the facts, with targets and weight, when asked."""
    labels = _labels(own, others)
    chunks = _chunk(own, labels, transform, 1.0)
    if len(others):
        weight = support_weight(len(own))
        centres = standard.centres[:, transform.columns]
        chunks += _chunk(others, labels, transform, weight, centres, standard.numbers)
    return chunks


def _chunk(
    rows: Batch,
    labels: tuple[str, ...],
    transform: Transform,
    weight: float,
    centres: Floats | None = None,
    numbers: NDArray[np.intp] | None = None,
) -> list[Chunk]:
    at = {label: column for column, label in enumerate(labels)}
    columns = np.array([at[name] for name in rows.labels])
    eye = np.eye(len(labels), dtype=np.float32)

    def chunk(part: slice) -> tuple[Floats, Floats, float]:
        known = centres is None or numbers is None
        made = transform(rows.features[part], None if known else centres[numbers[part]])
        return made, eye[columns[part]], weight

    return [partial(chunk, part) for part in parts(len(rows))]


def _middle(chunks: list[Chunk], width: int) -> tuple[Floats, Floats]:
    """Return the weighted means of columns and targets."""
    weight, mean, target = 0.0, np.zeros(width), np.float64(0)
    for chunk in chunks:
        rows, sought, each = chunk()
        weight += each * len(rows)
        mean += each * rows.sum(axis=0, dtype=np.float64)
        target = target + each * sought.sum(axis=0, dtype=np.float64)
    return (mean / weight).astype(np.float32), np.asarray(target / weight, np.float32)


def _centred(chunk: Chunk, centre: Floats, level: Floats) -> tuple[Floats, Floats]:
    rows, sought, weight = chunk()
    scale = np.float32(np.sqrt(weight))
    return (rows - centre) * scale, (sought - level) * scale


def _solve_primal(chunks: list[Chunk], centre: Floats, level: Floats, ridge: float) -> Floats:
    """Solve for one number a column."""
    gram = Gram(len(centre))
    products = []
    for chunk in chunks:
        inputs, targets = _centred(chunk, centre, level)
        gram.add(inputs)
        products.append(inputs.T @ targets)
    sought = np.asarray(np.sum(products, axis=0))
    return gram.solve(ridge * gram.trace() + PENALTY_MIN, sought)


def _solve_dual(inputs: Floats, targets: Floats, ridge: float) -> Floats:
    """Solve for one number a fact instead of one a column."""
    gram = inputs @ inputs.T
    gram.flat[:: len(gram) + 1] += ridge * float(np.trace(gram, dtype=np.float64)) + PENALTY_MIN
    return np.asarray(inputs.T @ np.linalg.solve(gram, targets))
