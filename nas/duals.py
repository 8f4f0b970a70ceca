"""Kernels of layers: the duals of activations, roots and scales of kernel matrices."""

from collections.abc import Callable
from functools import cache
from math import factorial
from typing import Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss, hermeval
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_JITTER: Final = np.float32(1e-3)
# Hermite polynomials of an activation; the energy of the rest goes to the last term.  Chosen by
# hand; effect not measured.
_DEGREE: Final = 8


def root(kernel: Floats) -> Floats:
    """Return a lower triangular root of a kernel float32 [n, n], which may be singular."""
    found = np.linalg.cholesky(kernel + _JITTER * np.eye(len(kernel), dtype=np.float32))
    return np.asarray(found, np.float32)


def normalised(kernel: Floats) -> Floats:
    """Scale a kernel to a mean diagonal of 1."""
    mean = np.maximum(np.trace(kernel) / np.float32(len(kernel)), np.float32(1e-12))
    return np.asarray(kernel / mean)


def dual(kernel: Floats, activation: str) -> tuple[Floats, Floats]:
    """Return the kernels of an activation's values and slopes for inputs with this kernel."""
    if activation == "none":
        return kernel, np.ones_like(kernel)
    lengths = np.sqrt(np.maximum(np.diag(kernel), np.float32(1e-12)))
    scale = np.outer(lengths, lengths)
    angle = np.clip(kernel / scale, np.float32(-1), np.float32(1))
    powers = _energies(activation)
    value, slope = np.full_like(kernel, powers[-1]), np.zeros_like(kernel)
    for energy in powers[-2::-1]:
        slope = np.asarray(slope * angle + value, np.float32)
        value = np.asarray(value * angle + energy, np.float32)
    return value * scale, slope


@cache
def _energies(activation: str) -> Floats:
    """Return the energy of an activation by Hermite polynomial; they sum to 1, with the rest in the
    last."""
    points, weights = hermegauss(80)
    values = _ACTIVATIONS[activation](points)
    weights = weights / weights.sum()
    energy = (weights * values * values).sum()
    parts = [
        (weights * values * hermeval(points, one)).sum() ** 2 / factorial(order)
        for order, one in enumerate(np.eye(_DEGREE))
    ]
    return np.array([*parts, max(0.0, energy - sum(parts))], np.float32) / np.float32(energy)


_ACTIVATIONS: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}
