from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import Blueprint, TaskSketch, enumerate_space
from nas.tangent import TangentJudge, TangentKernels, look_closer, score
from tests.nas.sketches import sketch

RIDGE = 0.3


def test_left_out_facts_are_left_out_exactly():
    """The closed form equals solving the regression once for each fact, without it."""
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
    fast = TangentJudge(task).score(
        TangentKernels(task, 0).of(Blueprint(kind="none", taps=(0, 1, 2)))
    )
    assert fast == pytest.approx(right.mean(), rel=1e-3)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_kernels_are_those_of_wide_random_networks(activation):
    """The formula for random features agrees with features that were drawn."""
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


@pytest.mark.parametrize("telling", range(3))
def test_the_tap_that_tells_labels_apart_wins(telling):
    """Of single taps the one that holds the labels scores best, with every kind."""
    task = sketch(spread=2.0, telling=telling)
    for kind, width, rank in (("none", 0, 0), ("linear", 8, 0), ("random", 256, 0)):
        blueprints = [Blueprint(kind=kind, taps=(tap,), width=width, rank=rank) for tap in range(3)]
        assert np.argmax(score(blueprints, task, 0)) == telling


def test_narrow_is_worse_than_wide():
    """Two random columns cannot hold what a thousand can."""
    narrow, wide = (
        Blueprint(kind="random", taps=(0, 1, 2), width=width, activation="relu")
        for width in (2, 1_024)
    )
    scores = score([narrow, wide], sketch(spread=2.0), 0)
    assert scores[0] < scores[1]


@given(st.permutations(range(60)))
def test_the_order_of_facts_is_of_no_account_to_a_kernel(order):
    """Facts in another order give the same score where nothing is drawn."""
    task = sketch()
    order = np.array(order)
    mixed = TaskSketch(task.rows[order], task.targets[order], task.own[order], task.spans)
    by_domain = np.argsort(~mixed.own, kind="stable")
    mixed = TaskSketch(
        mixed.rows[by_domain], mixed.targets[by_domain], mixed.own[by_domain], mixed.spans
    )
    plain = Blueprint(kind="none", taps=(0, 1, 2))
    first, second = (
        TangentJudge(one).score(TangentKernels(one, 0).of(plain)) for one in (task, mixed)
    )
    assert first == pytest.approx(second, rel=1e-4)


def test_every_blueprint_of_the_space_has_a_finite_score():
    """The whole space is scored, with one fact a label as well as with many."""
    space = list(enumerate_space(3))
    for own in (3, 40):
        assert np.isfinite(score(space, sketch(own=own, others=0), 0)).all()


def test_alignment_is_a_cosine_that_ignores_confidence():
    """Between -1 and 1, higher where labels show, and the same for a kernel of any scale."""
    for spread in (0.0, 3.0):
        task = sketch(spread=spread)
        kernel = TangentKernels(task, 0).of(Blueprint(kind="none", taps=(0,)))
        aligned = TangentJudge(task).align(kernel)
        assert TangentJudge(task).align(10 * kernel) == pytest.approx(aligned, abs=1e-3)
        assert -1 <= aligned <= 1
        assert (aligned > 0.8) == (spread > 0)


def test_a_closer_look_keeps_everything():
    """The second look changes the order of the best alone."""
    ranking = list(enumerate_space(3))[:60]
    closer = look_closer(ranking, sketch(), 0)
    assert set(closer) == set(ranking)
    assert closer[24:] == ranking[24:]
