from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptors import adaptor as adaptors
from edge.core.adaptors.adaptor import fit_adaptor, fit_head
from edge.core.adaptors.crossfit import fold_scores
from edge.core.adaptors.head import FittedHead
from edge.core.adaptors.kernel import KernelMachine
from edge.core.adaptors.losses import grade_scores, is_better
from edge.core.adaptors.weighting import OWN_PENALTY_FACTS, class_weights
from edge.core.facts import FactBatch, stack_facts, untimed_batch

WIDTH = 16
NOTHING = stack_facts([])
SPANS = ((0, WIDTH),)


def ring(count: int, seed: int, domain: str = "home", labels: str = "io") -> FactBatch:
    """Facts inside and outside a ball, which no linear head separates."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, WIDTH))
    outside = np.square(rows[:, :2]).sum(axis=1) > 1.4
    levels = np.clip(np.square(11 + 2 * rows), 0, 255).astype(np.uint8)
    named = tuple(labels[int(one)] for one in outside)
    return untimed_batch(
        tuple(f"{domain}{at:05}" for at in range(count)), (domain,) * count, named, levels
    )


def clouds(counts: dict[str, int], seed: int) -> FactBatch:
    """Overlapping clouds, so many facts a label."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((len(counts), WIDTH))
    labels = tuple(name for name, count in counts.items() for _ in range(count))
    numbers = [list(counts).index(name) for name in labels]
    rows = centres[numbers] + 1.5 * random.standard_normal((len(labels), WIDTH))
    levels = np.clip(128 + 20 * rows, 0, 255).astype(np.uint8)
    ids = tuple(f"{at:05}" for at in range(len(labels)))
    return untimed_batch(ids, ("home",) * len(ids), labels, levels)


def accuracy(made, rows: FactBatch) -> float:
    """Share of facts answered with their label."""
    best = made.answer(rows.features).argmax(axis=1)
    return float(
        np.mean([made.labels[at] == one for at, one in zip(best, rows.labels, strict=True)])
    )


def test_a_kernel_answers_where_a_head_cannot():
    """Without growth, a domain that is not linearly separable is answered by a kernel."""
    own, fresh = ring(300, 1), ring(500, 2)
    made = fit_adaptor(own, NOTHING)
    assert isinstance(made, KernelMachine)
    assert accuracy(made, fresh) > accuracy(fit_head(own, NOTHING, ((0, WIDTH),)), fresh) + 0.1


@pytest.mark.parametrize("seed", range(5))
def test_a_head_answers_where_labels_are_linear(seed: int):
    """Where a kernel does no better on facts left out, the head stays."""
    made = fit_adaptor(clouds({"a": 60, "b": 60}, seed), NOTHING)
    assert isinstance(made, FittedHead)


def test_a_kernel_does_not_hide_labels_of_other_domains():
    """With a label that only other domains know, the head answers: a kernel could not."""
    others = ring(60, 3, "away", "ix")
    made = fit_adaptor(ring(300, 1), others)
    assert isinstance(made, FittedHead)
    assert made.labels == ("i", "o", "x")


def test_domains_without_a_common_label_keep_their_kernels():
    """Where other domains have other labels only, they say nothing on those of this one."""
    made = fit_adaptor(ring(300, 1), ring(60, 3, "away", "xy"))
    assert isinstance(made, KernelMachine)
    assert made.labels == ("i", "o")


def test_a_large_kernel_has_to_be_grown(monkeypatch):
    """Beyond its bytes, a kernel of many columns does not serve without growth."""
    monkeypatch.setattr(adaptors, "KERNEL_BYTES_MAX", 100 * WIDTH)
    monkeypatch.setattr(adaptors, "KERNEL_COLUMNS_MAX", WIDTH - 1)
    assert isinstance(fit_adaptor(ring(300, 1), NOTHING), FittedHead)


def test_a_domain_keeps_its_kernel_while_it_learns(monkeypatch):
    """Up to so many columns, the facts that judge a kernel always fit: with more facts than fill
    its bytes it serves as well, with as many landmarks."""
    monkeypatch.setattr(adaptors, "KERNEL_BYTES_MAX", 100 * WIDTH)
    made = fit_adaptor(ring(900, 1), NOTHING)
    assert isinstance(made, KernelMachine)
    assert len(made.landmarks.codes) == OWN_PENALTY_FACTS


def test_the_choice_depends_on_the_set_of_facts():
    """Two fits of the same facts give the same kernel, to the bit."""
    one, other = fit_adaptor(ring(200, 1), NOTHING), fit_adaptor(ring(200, 1), NOTHING)
    features = ring(20, 5).features
    np.testing.assert_array_equal(one.answer(features), other.answer(features))


def test_rare_labels_are_not_neglected():
    """A head finds labels with few facts among many, and loses little elsewhere."""
    names = "abcdefgh"
    own = clouds(dict.fromkeys(names, 120) | {"y": 40, "z": 40}, 1)
    fresh = clouds(dict.fromkeys(names, 100) | {"y": 100, "z": 100}, 2)
    made = fit_head(own, NOTHING, ((0, WIDTH),))
    best = np.array(made.labels)[made.answer(fresh.features).argmax(axis=1)]
    right = best == np.array(fresh.labels)
    rare = np.isin(fresh.labels, ["y", "z"])
    assert right[rare].mean() > right[~rare].mean() - 0.2


def test_class_weights_give_a_label_the_root_of_its_facts():
    """A label with four times the facts weighs twice as much in all; the mean weight is 1."""
    weights = class_weights(("a",) * 40 + ("b",) * 10)
    assert weights.mean() == pytest.approx(1)
    assert weights[:40].sum() == pytest.approx(2 * weights[40:].sum())
    np.testing.assert_array_equal(class_weights(("a", "b") * 8), np.ones(16, np.float32))


def test_better_needs_more_right_answers_and_a_clearly_smaller_loss():
    """Equal scores are not better, nor are surer ones that get no more right."""
    targets = np.array([0, 1] * 20)
    good = np.eye(2)[targets]
    bad = good.copy()
    bad[:10] = 1 - bad[:10]
    assert is_better(grade_scores(good, targets), grade_scores(bad, targets))
    assert not is_better(grade_scores(bad, targets), grade_scores(good, targets))
    assert not is_better(grade_scores(good, targets), grade_scores(0.5 * good, targets))


def test_facts_that_are_mostly_equal_are_answered():
    """Discrete features, most of them equal: the default is finite and answers."""
    random = np.random.default_rng(4)
    rare = random.random(600) < 0.2
    levels = np.zeros((600, 3), np.uint8)
    levels[rare] = random.integers(0, 3, (rare.sum(), 3)) * 120
    labels = tuple("ny"[int(one)] for one in levels.sum(axis=1) > 200)
    own = untimed_batch(tuple(f"{at:05}" for at in range(600)), ("home",) * 600, labels, levels)
    made = fit_adaptor(own, NOTHING)
    assert np.isfinite(made.answer(levels)).all()
    assert accuracy(made, own) > 0.9


def test_a_singular_kernel_leaves_the_answer_to_the_head(monkeypatch):
    """If a kernel cannot be solved, the head answers."""

    def singular(*_):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(adaptors, "solve_kernel", singular)
    assert isinstance(fit_adaptor(ring(300, 1), NOTHING), FittedHead)


def test_adaptors_of_different_labels_are_compared_over_all():
    """Where the folds' adaptors know different labels, what one lacks is its least likely."""
    own, others = ring(60, 1), ring(60, 3, "away", "xy")
    fold = np.arange(60) % 2
    head, kernel = fit_head(own, others, SPANS), fit_adaptor(ring(300, 1), others)
    assert (head.labels, kernel.labels) == (("i", "o", "x", "y"), ("i", "o"))
    made = iter((head, kernel))
    labels, scores = fold_scores(own, fold, lambda _rows: next(made))
    assert labels == head.labels
    np.testing.assert_array_equal(scores[fold == 0], head.answer(own.features[fold == 0]))
    np.testing.assert_array_equal(scores[fold == 1, :2], kernel.answer(own.features[fold == 1]))
    assert (scores[fold == 1, 2:] < scores[fold == 1, :2].min(axis=1)[:, None]).all()
