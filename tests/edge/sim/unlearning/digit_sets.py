"""Real digits as a set for the comparison of methods of unlearning."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from edge.sim.unlearning import UnlearningSet, standardise_columns

LEARNED, HELD_OUT = 200, 150


def draw_digits(seed: int) -> UnlearningSet:
    """200 digits to learn and 150 held out, in two domains by the order of the file."""
    digits = load_digits()
    at = np.random.default_rng(seed).permutation(len(digits.data))[: LEARNED + HELD_OUT]
    rows = standardise_columns(np.rint(digits.data[at] * 15).astype(np.uint8), slice(LEARNED))
    targets = torch.from_numpy(digits.target[at].astype(np.int64))
    groups = (at > 600).astype(np.int64)
    return UnlearningSet(
        name="digits",
        answers="labels",
        rows=rows[:LEARNED],
        targets=targets[:LEARNED],
        groups=groups[:LEARNED],
        test_rows=rows[LEARNED:],
        test_targets=targets[LEARNED:],
        test_groups=groups[LEARNED:],
    )
