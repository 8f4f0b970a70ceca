"""A ridge regression of labels on columns, where a recipe needs a linear model of the facts."""

from typing import Final

import numpy as np
from torch import Tensor

from ..training_set import AdaptorTrainingSet
from ..training_steps import Floats

PENALTY: Final = 0.3
"""Relative to the mean energy of a fact: that of the search (nas/tangent.py)."""


def ridge_map(facts: AdaptorTrainingSet, columns: Tensor) -> Floats:
    """Return float32 [k, labels], from columns [n, k] of the facts to their labels as one-hot rows
    about their mean.  Facts count by their weights.  Cost: a matrix of the smaller of n and k,
    squared, is inverted."""
    roots = np.sqrt(facts.weights.numpy().astype(np.float64))[:, None]
    inputs = columns.numpy().astype(np.float64) * roots
    hot = np.eye(facts.labels)[facts.targets.numpy()]
    shares = np.square(roots)
    targets = (hot - (shares * hot).sum(axis=0) / shares.sum()) * roots
    count, width = inputs.shape
    penalty = PENALTY * float(np.einsum("ij,ij->", inputs, inputs)) / count + 1e-9
    if count < width:
        system = inputs @ inputs.T + penalty * np.eye(count)
        return np.asarray(inputs.T @ np.linalg.solve(system, targets), np.float32)
    system = inputs.T @ inputs + penalty * np.eye(width)
    return np.asarray(np.linalg.solve(system, inputs.T @ targets), np.float32)
