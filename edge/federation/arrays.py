"""Named float arrays of a model, and the few operations that federated strategies need.

Sums run over devices in the order given and in float64, so that the same devices give the same
bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""Parameters by name, float32; sums are int64."""


def weighted_mean(several: Sequence[Arrays], weights: Sequence[float]) -> dict[str, NDArray[Any]]:
    """Return the weighted mean of models with equal names and shapes, at least one, float32.

    weights: positive, not all zero.  Cost: one pass over every model.
    """
    total = float(sum(weights))
    shares = [weight / total for weight in weights]
    made = {}
    for name in several[0]:
        summed = np.zeros(several[0][name].shape, np.float64)
        for one, share in zip(several, shares, strict=True):
            summed += share * one[name].astype(np.float64)
        made[name] = summed.astype(np.float32)
    return made


def difference(left: Arrays, right: Arrays) -> dict[str, NDArray[Any]]:
    """Return left - right, in the type of left."""
    return {name: value - right[name] for name, value in left.items()}


def add_scaled(base: Arrays, step: Arrays, factor: float) -> dict[str, NDArray[Any]]:
    """Return base + factor * step, computed in float64, as float32."""
    return {
        name: (value.astype(np.float64) + factor * step[name].astype(np.float64)).astype(np.float32)
        for name, value in base.items()
    }


def inner_product(left: Arrays, right: Arrays) -> float:
    """Return the inner product over all arrays, summed in float64 in the order of names."""
    return float(sum(np.sum(a * b, dtype=np.float64) for a, b in _pairs(left, right)))


def cosine(left: Arrays, right: Arrays) -> float:
    """Return the cosine of the angle between two models; 0 if one of them is zero."""
    norms = inner_product(left, left) * inner_product(right, right)
    return inner_product(left, right) / norms**0.5 if norms > 0 else 0.0


def are_finite(arrays: Arrays) -> bool:
    """Return whether all numbers are finite."""
    return all(bool(np.isfinite(value).all()) for value in arrays.values())


def byte_count(arrays: Arrays) -> int:
    """Return the bytes of all arrays."""
    return sum(value.nbytes for value in arrays.values())


def _pairs(left: Arrays, right: Arrays) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for name in sorted(left):
        yield left[name].astype(np.float64), right[name].astype(np.float64)
