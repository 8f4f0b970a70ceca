from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptors.adaptor import fit_adaptor
from edge.core.adaptors.crossfit import cross_scores
from edge.core.adaptors.head import DUAL_MAX, FittedHead, HeadTrainingSet, solve_head
from edge.core.adaptors.standardisation import standardise
from edge.core.facts import FactBatch, stack_facts, untimed_batch
from tests.worlds import clouds, fact

WIDTH = 600
SPANS = ((0, WIDTH),)


def batch(count: int, domain: str, seed: int, labels: str = "ab") -> FactBatch:
    """`count` facts around one centre per label."""
    values = clouds(range(len(labels)), -(-count // len(labels)), 60, seed, WIDTH)[:count]
    rows = [
        fact(f"{domain}{row:05}", labels[row * len(labels) // count], domain, width=WIDTH)
        for row in range(count)
    ]
    made = stack_facts(rows)
    return untimed_batch(made.ids, made.domains, made.labels, np.array(values))


def head_alone(own: FactBatch, others: FactBatch) -> FittedHead:
    """The head without a trained transform."""
    made = fit_adaptor(own, others, None, SPANS)
    assert isinstance(made, FittedHead)
    return made


@pytest.mark.parametrize("others", [0, 40])
def test_primal_and_dual_agree(others):
    """Just below and above the size where the solver changes, the scores hardly differ."""
    support = batch(others, "away", 2) if others else stack_facts([])
    limit = int(DUAL_MAX * WIDTH) - others
    own = batch(limit, "home", 1), batch(limit + 4, "home", 1)
    few, many = (head_alone(rows, support).answer(own[0].features).ravel() for rows in own)
    assert np.corrcoef(few, many)[0, 1] > 0.99


def test_other_domains_support_a_few_labels():
    """Labels of other domains can be predicted too, and own facts have a larger weight."""
    own, others = batch(6, "home", 1, "ab"), batch(60, "away", 2, "abc")
    head = head_alone(own, others)
    assert head.labels == ("a", "b", "c")
    training_set = HeadTrainingSet(head.transform, own, others, standardise(own, others, SPANS))
    assert training_set.weight < 1


def test_the_cost_is_that_of_the_weights():
    """Bytes are those of centre, factor, weights and bias; operations one per weight and column."""
    head = head_alone(batch(6, "home", 1), stack_facts([]))
    assert (head.nbytes, head.operations) == (4 * (2 * WIDTH + 2 * WIDTH + 2), 3 * WIDTH)


def test_held_out_scores_equal_those_of_heads_without_the_fold():
    """The closed form agrees with a head that is solved without the fold."""
    own, others = batch(30, "home", 1), stack_facts([])
    fold = np.arange(30) % 3
    transform, standard = head_alone(own, others).transform, standardise(own, others, SPANS)
    labels, scores = cross_scores(transform, own, others, standard, fold)
    left = np.flatnonzero(fold != 0)
    fewer = untimed_batch(
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
    """Facts of fold -1 get the scores of the head itself."""
    own, others = batch(30, "home", 1), batch(20, "away", 2)
    head, standard = head_alone(own, others), standardise(own, others, SPANS)
    _, scores = cross_scores(head.transform, own, others, standard, np.full(30, -1))
    np.testing.assert_allclose(scores, head.answer(own.features), atol=1e-3)
