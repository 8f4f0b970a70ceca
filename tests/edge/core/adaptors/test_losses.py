from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptors.losses import can_be_better, grade_scores, is_better


@pytest.mark.parametrize("seed", range(8))
def test_where_nothing_is_left_to_gain_nothing_is_better(seed):
    """Not even scores that are certain of every label."""
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 400))
    targets = random.integers(0, 3, count)
    certain = np.eye(3)[targets]
    scores = certain + random.normal(0, 0.02 * (1 + seed), (count, 3))
    graded, best = grade_scores(scores, targets), grade_scores(100 * certain, targets)
    missing = float((1 - np.exp(-graded.loss)).sum())
    assert can_be_better(graded) == (missing > 1)
    assert can_be_better(graded) or not is_better(best, graded)
    assert not can_be_better(best)
    weights = np.full(count, 2 / max(missing, 0.1))
    assert can_be_better(graded, weights) == (missing > 0.05)
