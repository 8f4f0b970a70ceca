from __future__ import annotations

import numpy as np
import pytest

from edge.core import Batch, gather
from edge.core.adaptors import Head, fit_head
from edge.core.adaptors.head import SUPPORT_WEIGHT
from tests.worlds import clouds, fact

WIDTH = 600


def batch(count: int, domain: str, seed: int, labels: str = "ab") -> Batch:
    """`count` facts, around one centre a label."""
    values = clouds(range(len(labels)), -(-count // len(labels)), 60, seed, WIDTH)[:count]
    rows = [
        fact(f"{domain}{row:05}", labels[row * len(labels) // count], domain, width=WIDTH)
        for row in range(count)
    ]
    made = gather(rows)
    return Batch(made.ids, made.domains, made.labels, np.array(values))


@pytest.mark.parametrize("others", [0, 40])
def test_few_facts_and_many_are_solved_alike(others):
    """Just below and above the size where the solver changes, the answers hardly differ."""
    support = batch(others, "away", 2) if others else gather([])
    own = batch(256, "home", 1), batch(260, "home", 1)
    few, many = (fit_head(rows, support) for rows in own)
    scores = few.answer(own[0].features), many.answer(own[0].features)
    assert np.corrcoef(scores[0].ravel(), scores[1].ravel())[0, 1] > 0.99


def test_a_handful_of_labels_leans_on_other_domains():
    """Labels that only other domains know can be answered too, and own facts count for more."""
    own, others = batch(6, "home", 1, "ab"), batch(60, "away", 2, "abc")
    head = fit_head(own, others)
    assert head.labels == ("a", "b", "c")
    assert SUPPORT_WEIGHT < 1


def test_its_cost_is_that_of_its_weights():
    """Bytes and operations follow from the size of the matrix."""
    head = Head(("a", "b"), np.zeros((5, 2), np.float32), np.zeros(2, np.float32))
    assert (head.nbytes, head.operations) == (48, 10)
    assert head.answer(np.zeros((3, 5), np.uint8)).shape == (3, 2)
