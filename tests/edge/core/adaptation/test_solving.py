from __future__ import annotations

import numpy as np

from edge.core.adaptation import adapt, unadapted
from edge.core.adaptation.centring import PSEUDO_SHARPNESS, SHARPNESS, softmax
from edge.core.adaptation.solving import known_scores
from edge.core.adaptors import fit_head
from edge.core.facts import untimed_batch
from tests.edge.core.adaptation.worlds import WIDTH, accuracy, basis, drawn, facts, seen

SHIFT = 0.6


def answers(adaptation, known, rows):
    """The labels' columns that an adaptation answers with."""
    return adaptation.logits(known, known.project(rows)).argmax(axis=1)


def test_without_samples_the_known_head_answers():
    """With no samples the answers are those of the head itself."""
    known, rows = basis(), seen(drawn(60))
    made = adapt(known, known.project(np.zeros((0, WIDTH), np.uint8)))
    head = made.logits(known, known.project(rows)) / SHARPNESS
    assert made.count == 0
    assert made.strength == 0
    nothing = untimed_batch((), (), (), np.zeros((0, WIDTH), np.uint8))
    expected = fit_head(facts(), nothing, ((0, WIDTH),)).answer(rows)
    np.testing.assert_allclose(head, expected, atol=1e-4)


def test_a_moved_domain_is_answered_better():
    """Samples that a shift mixes up are answered better after adaptation to samples like them."""
    known, classes = basis(), drawn(300, seed=5)
    rows = seen(classes, SHIFT, seed=5)
    before = accuracy(answers(unadapted(known), known, rows), classes)
    made = adapt(known, known.project(seen(drawn(200, seed=6), SHIFT, seed=6)))
    after = accuracy(answers(made, known, rows), classes)
    assert before < 0.8
    assert after > before + 0.15


def test_the_mix_of_labels_hardly_moves_the_centre():
    """A stream of nearly one class is centred nearly like a balanced one."""
    known = basis()
    even = adapt(known, known.project(seen(drawn(400, seed=8), 0.3, seed=8))).shifts[0].inputs
    rare = (
        adapt(known, known.project(seen(drawn(400, (8, 1, 1), seed=9), 0.3, seed=9)))
        .shifts[0]
        .inputs
    )
    plain = known.project(seen(drawn(400, (8, 1, 1), seed=9), 0.3, seed=9))
    naive = plain[:, : known.directions].mean(axis=0)
    assert np.linalg.norm(rare - even) < 0.5 * np.linalg.norm(naive - even)


def test_the_order_of_samples_does_not_count():
    """The adaptation is a function of the set of samples."""
    known, rows = basis(), seen(drawn(90, seed=4), SHIFT, seed=4)
    one, other = (adapt(known, known.project(given)) for given in (rows, rows[::-1]))
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)
    np.testing.assert_allclose(one.bias, other.bias, atol=1e-5)


def test_known_domains_that_lie_apart_shrink_the_shift():
    """Where several known domains lie as far apart as the samples do, half the shift is applied."""
    apart = basis(facts("one", 0.0), facts("two", 0.8, seed=4))
    rows = seen(drawn(200, seed=6), 0.5, seed=6)
    one = basis(facts("one", 0.4))
    alone = adapt(one, one.project(rows))
    assert adapt(apart, apart.project(rows)).strength < 0.7 * alone.strength


def test_known_samples_are_answered_as_well_as_before():
    """Adapting to samples of the known domain costs no more than a point."""
    known, classes = basis(), drawn(600, seed=11)
    rows = seen(classes, seed=11)
    made = adapt(known, known.project(seen(drawn(300, seed=12), seed=12)))
    before = accuracy(answers(unadapted(known), known, rows), classes)
    assert accuracy(answers(made, known, rows), classes) >= before - 0.01


def entropy(logits):
    """Entropy of the labels' shares."""
    shares = softmax(logits).mean(axis=0)
    return -float((shares * np.log(shares)).sum())


def test_pseudo_facts_do_not_make_labels_disappear():
    """Where classes overlap and one is common, rounds of pseudo-facts answer with labels as varied
    as the centred head does."""
    known, classes = basis(facts(spread=30)), drawn(400, (5, 1, 1), seed=2)
    projected = known.project(seen(classes, 1.2, seed=2, spread=30))
    made = adapt(known, projected)
    scores = projected.astype(float)[:, known.directions :]
    centred = known_scores(known, scores, made.shifts[0])
    after = made.logits(known, projected) * PSEUDO_SHARPNESS / made.sharpness
    assert entropy(after) > entropy(PSEUDO_SHARPNESS * centred) - 0.03
