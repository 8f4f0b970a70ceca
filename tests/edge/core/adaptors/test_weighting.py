from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from edge.core.adaptors.weighting import (
    WEIGHTS,
    _dual_residuals,
    _leave_one_out,
    _primal_residuals,
    choose_weight,
    has_choice,
)


def labelled_rows(seed: int, count: int, flipped: bool = False):
    """Rows whose first two columns determine the label; flipped: with the opposite sign."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((count, 20)).astype(np.float32)
    signs = np.sign(inputs[:, :1] + 0.3 * inputs[:, 1:2])
    return inputs, (-signs if flipped else signs) * np.array([[0.5, -0.5]], np.float32)


def test_agreeing_domains_weigh_more_than_contradicting_ones():
    """Facts of another domain get a larger weight if labels mean the same there."""
    own = labelled_rows(1, 12)
    chosen = []
    for flipped in (False, True):
        other = labelled_rows(2, 200, flipped)
        both = [np.concatenate(pair).astype(np.float32) for pair in zip(own, other, strict=True)]
        chosen.append(choose_weight(both[0], both[1], 12, 1.0))
    assert chosen[0] > chosen[1] == min(WEIGHTS)


def test_a_choice_needs_three_facts_of_each_label():
    """With fewer than three facts of a label there is no choice."""
    assert has_choice(("a",) * 3 + ("b",) * 3)
    assert not has_choice(("a",) * 30 + ("b",) * 2)


@pytest.mark.parametrize("weight", [0.03, 0.4])
def test_leave_one_out_errors_equal_those_of_refitting(weight: float):
    """Primal and dual errors equal those of ridge regressions without each fact."""
    own, other = labelled_rows(1, 60), labelled_rows(2, 30, flipped=True)
    inputs, targets = (
        np.concatenate(pair).astype(np.float32) for pair in zip(own, other, strict=True)
    )
    penalty, weights = 4.0, np.r_[np.ones(60), np.full(30, weight)]
    expected = 0.0
    for out in range(60):
        kept = np.arange(90) != out
        held = (inputs[kept] * weights[kept, None]).T.astype(np.float64)
        solved = np.linalg.solve(held @ inputs[kept] + penalty * np.eye(20), held @ targets[kept])
        expected += float(np.square(targets[out] - inputs[out] @ solved).sum())
    primal, _ = _leave_one_out(inputs, targets, 60)
    assert isinstance(primal, partial)
    assert primal.func is _primal_residuals
    assert np.square(primal(penalty, weight)).sum() == pytest.approx(expected, rel=1e-4)
    by_facts = _dual_residuals(inputs @ inputs.T, targets, 60, penalty, weight)
    assert np.square(by_facts).sum() == pytest.approx(expected, rel=1e-2)
