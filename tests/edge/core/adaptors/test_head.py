from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptors.adaptor import fit_adaptor
from edge.core.adaptors.crossfit import cross_scores
from edge.core.adaptors.head import DUAL_MAX, FittedHead, HeadTrainingSet, solve_head
from edge.core.adaptors.standardisation import standardise
from edge.core.facts import FactBatch, stack_facts
from tests.worlds import clouds, fact

WIDTH = 600
SPANS = ((0, WIDTH),)


def batch(count: int, domain: str, seed: int, labels: str = "ab") -> FactBatch:
    """`count` facts, around one centre a label."""
    values = clouds(range(len(labels)), -(-count // len(labels)), 60, seed, WIDTH)[:count]
    rows = [
        fact(f"{domain}{row:05}", labels[row * len(labels) // count], domain, width=WIDTH)
        for row in range(count)
    ]
    made = stack_facts(rows)
    return FactBatch(made.ids, made.domains, made.labels, np.array(values))


def alone(own: FactBatch, others: FactBatch) -> FittedHead:
    """The head alone."""
    made = fit_adaptor(own, others, None, SPANS)
    assert isinstance(made, FittedHead)
    return made


@pytest.mark.parametrize("others", [0, 40])
def test_few_facts_and_many_are_solved_alike(others):
    """Just below and above the size where the solver changes, the answers hardly differ."""
    support = batch(others, "away", 2) if others else stack_facts([])
    limit = int(DUAL_MAX * WIDTH) - others
    own = batch(limit, "home", 1), batch(limit + 4, "home", 1)
    few, many = (alone(rows, support).answer(own[0].features).ravel() for rows in own)
    assert np.corrcoef(few, many)[0, 1] > 0.99


def test_a_handful_of_labels_leans_on_other_domains():
    """Labels that only other domains know can be answered too, and own facts count for more."""
    own, others = batch(6, "home", 1, "ab"), batch(60, "away", 2, "abc")
    head = alone(own, others)
    assert head.labels == ("a", "b", "c")
    lessons = HeadTrainingSet(head.transform, own, others, standardise(own, others, SPANS))
    assert lessons.weight < 1


def test_its_cost_is_that_of_its_weights():
    """Bytes are those of centre, factor, weights and bias; operations those of a product each."""
    head = alone(batch(6, "home", 1), stack_facts([]))
    assert (head.nbytes, head.operations) == (4 * (2 * WIDTH + 2 * WIDTH + 2), 3 * WIDTH)


def test_held_out_scores_are_those_of_heads_without_the_fold():
    """The closed form agrees with solving again, where statistics and weight stay the same."""
    own, others = batch(30, "home", 1), stack_facts([])
    fold = np.arange(30) % 3
    transform, standard = alone(own, others).transform, standardise(own, others, SPANS)
    labels, scores = cross_scores(transform, own, others, standard, fold)
    left = np.flatnonzero(fold != 0)
    fewer = FactBatch(
        tuple(own.ids[i] for i in left),
        tuple(own.domains[i] for i in left),
        tuple(own.labels[i] for i in left),
        own.features[left],
    )
    again = solve_head(transform, fewer, others, standard)
    assert labels == again.labels
    held = again.answer(own.features[fold == 0])
    assert np.corrcoef(scores[fold == 0].ravel(), held.ravel())[0, 1] > 0.98


def test_facts_never_held_out_score_as_fitted():
    """Fold -1 keeps a fact in, and its score is that of the head itself."""
    own, others = batch(30, "home", 1), batch(20, "away", 2)
    head, standard = alone(own, others), standardise(own, others, SPANS)
    _, scores = cross_scores(head.transform, own, others, standard, np.full(30, -1))
    np.testing.assert_allclose(scores, head.answer(own.features), atol=1e-3)
