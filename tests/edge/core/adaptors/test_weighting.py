from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from edge.core.adaptors.weighting import (
    PENALTY_MIN,
    WEIGHTS,
    _dual_residuals,
    _leave_one_out,
    _primal_residuals,
    choose_ridge,
    choose_weight,
    exact_residuals,
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


def test_the_mean_of_few_facts_is_left_out_with_each():
    """Exact errors equal those of ridge regressions with an intercept of the own facts, refitted
    without each fact; with the mean kept, the label left out shows in it."""
    random = np.random.default_rng(5)
    own, other = random.normal(size=(8, 200)), random.normal(size=(5, 200))
    marks, others = np.eye(4)[np.arange(8) // 2], np.eye(4)[random.integers(0, 4, 5)]
    root = np.sqrt(random.uniform(0.5, 2, 8))
    share, weight, ridge = np.square(root) / np.square(root).sum(), 0.1, 0.3

    def centred(rows, kept=slice(None)):
        return rows - share[kept] @ rows[kept] / share[kept].sum()

    inputs = np.concatenate([centred(own) * root[:, None], other])
    targets = np.concatenate([centred(marks) * root[:, None], others])
    penalty = ridge * np.square(inputs).sum() / len(inputs) + PENALTY_MIN
    expected = []
    for out in range(8):
        kept = np.arange(8) != out
        rows = np.concatenate([centred(own, kept)[kept] * root[kept, None], other])
        aims = np.concatenate([centred(marks, kept)[kept] * root[kept, None], others])
        weights = np.r_[np.ones(7), np.full(5, weight)][:, None]
        solved = np.linalg.solve(
            rows.T @ (weights * rows) + penalty * np.eye(200), rows.T @ (weights * aims)
        )
        error = centred(marks, kept)[out] - centred(own, kept)[out] @ solved
        expected.append(error * root[out])
    sample = inputs.astype(np.float32), targets.astype(np.float32), 8
    exact = exact_residuals(sample, weight, ridge, share.astype(np.float32))
    assert exact == pytest.approx(np.array(expected), abs=2e-3)
    _, kept_mean = choose_ridge(sample, weight, (ridge,))
    assert np.square(kept_mean).sum() < 0.95 * np.square(exact).sum()
