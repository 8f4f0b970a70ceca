"""Arithmetic that strategies and benchmarks share."""

import numpy as np
from numpy.typing import NDArray

from .strategy import Floats, Targets


def softmax(logits: Floats, allowed: NDArray[np.bool_] | None = None) -> Floats:
    """Return probabilities float32 [n, labels], zero where a label is not allowed."""
    masked = logits if allowed is None else np.where(allowed, logits, -np.inf)
    odds = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


def unit_rows(rows: Floats) -> Floats:
    """Return rows divided by their Euclidean norms."""
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9), np.float32)


def one_hot(targets: Targets, labels: int) -> Floats:
    """Return float32 [n, labels], one in the column of each row's target."""
    made = np.zeros((len(targets), labels), np.float32)
    made[np.arange(len(targets)), targets] = 1
    return made


def solve_ridge(gram: Floats, sought: Floats, penalty: float, added: float = 0.0) -> Floats:
    """Return (gram + (penalty * mean of its diagonal + added) * I)^-1 sought.

    A millionth of the mean is the least that is added: sums of few rows are singular.
    """
    mean = float(np.trace(gram)) / len(gram)
    ridged = gram.copy()
    ridged.flat[:: len(gram) + 1] += max(penalty * mean + added, 1e-6 * mean + 1e-12)
    return np.asarray(np.linalg.solve(ridged, sought), np.float32)
