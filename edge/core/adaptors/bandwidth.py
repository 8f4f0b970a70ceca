"""How far a kernel reaches and how strongly it is penalised: chosen by leaving facts out."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..facts import FactBatch
from .standardisation import Standardisation
from .transform import LEVELS, Spans
from .weighting import GAIN_MIN, OWN_PENALISED, has_choice

Floats = NDArray[np.float32]

REACHES: Final = (0.5, 1.0, 2.0)
"""Tried: squared distance at which facts are still alike, the usual one over this."""
PENALTIES: Final = (0.03, 0.1, 0.3)
USUAL: Final = (1.0, 0.1)
"""Where there is no choice, or nothing much better."""
APART_MIN: Final = 1e-6


def tune_kernel(
    blueprint: Blueprint, own: FactBatch, standard: Standardisation, spans: Spans
) -> dict[str, Floats]:
    """Return the arrays of a kernel's transform for a domain with these facts, at least one.

    Its factor brings the distance at which facts are alike to 1: usually the median distance
    between facts.  Up to 768 facts are looked at; their errors when left out are in closed form
    (Allen 1974).  Cost: nine inverses of that size.
    """
    columns = np.concatenate([np.arange(*spans[tap]) for tap in blueprint.taps])
    centre, factor = standard.centre[columns], standard.factor[columns]
    every = -(-len(own) // OWN_PENALISED)
    rows = (LEVELS[own.features[::every][:, columns]] - centre) * factor
    labels = own.labels[::every]
    apart = _squared(rows)
    between = apart[np.triu_indices(len(rows), 1)]
    middle = max(float(np.median(between)), APART_MIN) if len(between) else 1.0
    reach, penalty = _choose(apart / np.float32(middle), labels) if has_choice(labels) else USUAL
    scaled = factor * np.float32(np.sqrt(reach / middle))
    return {"centre": centre, "factor": scaled, "penalty": np.array([penalty], np.float32)}


def _choose(apart: Floats, labels: tuple[str, ...]) -> tuple[float, float]:
    """Choose reach and penalty by the squared error of left-out facts."""
    names, numbers = np.unique(np.array(labels), return_inverse=True)
    targets = np.eye(len(names), dtype=np.float32)[numbers]
    targets -= targets.mean(axis=0)
    errors = {}
    for reach in REACHES:
        kernel = np.exp(-np.float32(reach) * apart)
        for penalty in PENALTIES:
            errors[reach, penalty] = _left_out(kernel, targets, penalty)
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < (1 - GAIN_MIN) * errors[USUAL] else USUAL


def _left_out(kernel: Floats, targets: Floats, penalty: float) -> float:
    inverse = np.linalg.inv(kernel + np.float32(penalty) * np.eye(len(kernel), dtype=np.float32))
    return float(np.square(inverse @ targets / np.diag(inverse)[:, None]).sum())


def _squared(rows: Floats) -> Floats:
    """Squared distances between rows."""
    lengths = np.square(rows).sum(axis=1)
    apart = lengths[:, None] + lengths - 2 * (rows @ rows.T)
    return np.asarray(np.maximum(apart, 0))
