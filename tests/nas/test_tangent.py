from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import Blueprint, TaskSketch, enumerate_space
from nas.tangent import LeaveOneOutScorer, TangentKernels, measure, score, score_smoothed
from tests.nas.sketches import sketch

RIDGE = 0.3


def test_leave_one_out_is_exact():
    """The closed form equals ridge regressions without each fact."""
    task = sketch(own=12, others=6)
    kernel = TangentKernels(task, 0).of(Blueprint(kind="none", taps=(0, 1, 2))).astype(np.float64)
    weights = np.where(task.own, 1.0, task.support)
    share = weights / weights.sum()
    centre = np.eye(18) - share
    kernel = centre @ kernel @ centre.T
    targets = np.eye(3)[task.targets]
    targets -= share @ targets
    penalty = RIDGE * (weights * np.diag(kernel)).sum() / weights.sum() + 1e-6
    slow = []
    for left in range(12):
        kept = np.delete(np.arange(18), left)
        inner = kernel[np.ix_(kept, kept)] + penalty * np.diag(1 / weights[kept])
        slow.append(kernel[left, kept] @ np.linalg.solve(inner, targets[kept]))
    logits = 8 * np.array(slow)
    right = logits[np.arange(12), task.targets[:12]] - np.log(np.exp(logits).sum(axis=1))
    fast = LeaveOneOutScorer(task).measure(
        TangentKernels(task, 0).of(Blueprint(kind="none", taps=(0, 1, 2)))
    )[0]
    assert fast == pytest.approx(right.mean(), rel=1e-3)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_kernels_are_those_of_wide_random_networks(activation):
    """The kernel of random features agrees with drawn random features."""
    task = sketch(own=30, others=0)
    rows = task.rows / np.sqrt(np.square(task.rows).sum(axis=1).mean())
    drawn = rows @ np.random.default_rng(1).standard_normal((rows.shape[1], 40_000))
    bends: dict[str, Callable[[Any], Any]] = {
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    }
    bent = bends[activation](drawn)
    true = bent @ bent.T
    found = TangentKernels(task, 0).of(
        Blueprint(kind="random", taps=(0, 1, 2), width=4_096, activation=activation)
    )
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("informative", range(3))
def test_the_informative_tap_scores_best(informative):
    """Of single taps the informative one scores best, with every kind."""
    task = sketch(separation=2.0, informative=informative)
    for kind, width, rank in (("none", 0, 0), ("linear", 8, 0), ("random", 256, 0)):
        blueprints = [Blueprint(kind=kind, taps=(tap,), width=width, rank=rank) for tap in range(3)]
        assert np.argmax(score(blueprints, task, 0)) == informative


def test_narrow_is_worse_than_wide():
    """Two random features score below a thousand."""
    narrow, wide = (
        Blueprint(kind="random", taps=(0, 1, 2), width=width, activation="relu")
        for width in (2, 1_024)
    )
    scores = score([narrow, wide], sketch(separation=2.0), 0)
    assert scores[0] < scores[1]


@given(st.permutations(range(60)))
def test_the_order_of_facts_has_no_effect(order):
    """A kernel without random parts has the same score for facts in another order."""
    task = sketch()
    order = np.array(order)
    mixed = TaskSketch(task.rows[order], task.targets[order], task.own[order], task.spans)
    by_domain = np.argsort(~mixed.own, kind="stable")
    mixed = TaskSketch(
        mixed.rows[by_domain], mixed.targets[by_domain], mixed.own[by_domain], mixed.spans
    )
    plain = Blueprint(kind="none", taps=(0, 1, 2))
    first, second = (
        LeaveOneOutScorer(one).measure(TangentKernels(one, 0).of(plain)) for one in (task, mixed)
    )
    assert first == pytest.approx(second, rel=1e-4)


def test_every_blueprint_of_the_space_has_a_finite_score():
    """Every blueprint of the space has a finite score, also with one fact per label."""
    space = list(enumerate_space(3))
    for own in (3, 40):
        assert np.isfinite(score(space, sketch(own=own, others=0), 0)).all()


def test_alignment_is_a_cosine_that_ignores_confidence():
    """The alignment is at most 1, higher for informative columns, and independent of the scale."""
    for spread in (0.0, 3.0):
        task = sketch(separation=spread)
        kernel = TangentKernels(task, 0).of(Blueprint(kind="none", taps=(0,)))
        aligned = LeaveOneOutScorer(task).measure(kernel)[1]
        assert LeaveOneOutScorer(task).measure(10 * kernel)[1] == pytest.approx(aligned, abs=1e-3)
        assert -1 <= aligned <= 1
        assert (aligned > 0.8) == (spread > 0)


def test_the_probability_of_labels_is_near_the_accuracy():
    """It is 1 for separated labels, and no more than chance by much without information."""
    plain = [Blueprint(kind="none", taps=(0,))]
    clear, noise = (measure(plain, sketch(separation=s), 0)[2, 0] for s in (4.0, 0.0))
    assert clear > 0.9
    assert noise < 0.5


def test_a_smoothed_score_has_a_deviation():
    """Smoothed scores are ranks about the middle; each has a deviation, and a seed repeats them."""
    space = list(enumerate_space(3))[::7]
    (first, sure), (again, _) = (score_smoothed(space, sketch(), 3) for _ in range(2))
    assert np.array_equal(first, again)
    assert (sure > 0).all()
    assert 0 < first.min() < 0.5 < first.max() < 1
