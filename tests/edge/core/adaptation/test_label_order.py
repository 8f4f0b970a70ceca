from __future__ import annotations

import numpy as np

from edge.core.adaptation import LabelOrder

LABELS = 5


def answered(classes, sure=2.0, seed=0):
    """Logits of a head that is right more often than not, and the filter's answers."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (len(classes), LABELS))
    logits[np.arange(len(classes)), classes] += sure
    order = LabelOrder(LABELS)
    found = np.array([order.update(row).argmax() for row in logits])
    return logits.argmax(axis=1), found, order


def runs(count, length):
    """Classes in runs of `length`."""
    kinds = np.random.default_rng(2).integers(0, LABELS, count // length)
    return np.repeat(kinds, length)


def test_runs_of_a_label_are_answered_better():
    """In runs of twenty samples, neighbours correct many wrong answers."""
    classes = runs(600, 20)
    plain, found, order = answered(classes)
    assert order.active
    assert (found == classes).mean() > (plain == classes).mean() + 0.1


def test_shuffled_labels_are_left_alone():
    """Without an order every answer is that of the head."""
    classes = np.random.default_rng(3).integers(0, LABELS, 600)
    plain, found, order = answered(classes)
    assert not order.active
    np.testing.assert_array_equal(found, plain)


def test_a_head_that_prefers_one_label_makes_no_order():
    """A head that answers one label far too often is not taken for a stream of runs."""
    classes = np.random.default_rng(3).integers(0, LABELS, 600)
    random = np.random.default_rng(4)
    order = LabelOrder(LABELS)
    for one in classes:
        logits = random.normal(0, 1, LABELS)
        logits[0] += 2.5
        logits[one] += 1
        found = order.update(logits)
        assert not order.active
        assert found.argmax() == logits.argmax()


def test_an_order_that_ends_is_no_longer_used():
    """After runs, shuffled labels turn the filter off within its trail."""
    shuffled = np.random.default_rng(5).integers(0, LABELS, 300)
    _, _, order = answered(np.concatenate([runs(300, 20), shuffled]), sure=3)
    assert not order.active


def test_one_label_throughout_is_answered_with_it():
    """A stream of one label never turns to another label that the head does not answer."""
    plain, found, _ = answered(np.zeros(400, int), sure=4)
    assert (found == 0).mean() >= (plain == 0).mean()
