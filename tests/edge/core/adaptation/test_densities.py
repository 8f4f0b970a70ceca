"""The densities of an opening's own classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.adaptation import Basis, adapt, densities, unadapted
from edge.core.adaptation.centring import PSEUDO_SHARPNESS, softmax
from edge.core.adaptation.densities import class_densities, margin
from edge.core.adaptation.solving import known_scores
from tests.edge.core.adaptation.worlds import LABELS, WIDTH, accuracy, basis, drawn, facts, seen

Numbers = NDArray[np.intp]
Doubles = NDArray[np.float64]


def moved_apart(classes: Numbers, seed: int) -> NDArray[np.uint8]:
    """Samples of classes that have each moved in a direction of their own."""
    own = np.random.default_rng(3).normal(0, 9, (len(LABELS), WIDTH))
    rows = seen(classes, 0.45, seed=seed, spread=16) + own[classes]
    return np.asarray(np.clip(rows, 0, 255), np.uint8)


def parts(known: Basis, rows: NDArray[np.uint8]) -> tuple[Doubles, Doubles]:
    """Inputs and scores of samples that no shift moves."""
    projected = known.project(rows).astype(np.float64)
    inputs, scores = np.split(projected, [known.directions], axis=1)
    shift = unadapted(known).shifts[0]
    return inputs, known_scores(known, scores, shift)


def added(known: Basis, inputs: Doubles, scores: Doubles) -> Doubles:
    """Scores with the densities of the samples."""
    weights, more = class_densities(known, inputs, scores)
    return scores + inputs @ weights + more


def test_classes_that_moved_each_in_its_own_way_are_answered_better():
    """Densities follow classes that no common shift explains."""
    known, classes = basis(facts(spread=16)), drawn(500, seed=5)
    inputs, scores = parts(known, moved_apart(classes, 5))
    before = accuracy(scores.argmax(axis=1), classes)
    assert before < 0.9
    assert accuracy(added(known, inputs, scores).argmax(axis=1), classes) > before + 0.02


def test_densities_of_few_samples_say_little():
    """The weight of densities grows with the samples that they were found from."""
    known = basis(facts(spread=16))
    rows = moved_apart(drawn(500, seed=5), 5)
    inputs, scores = parts(known, rows)
    few, all_ = (class_densities(known, inputs[:n], scores[:n])[0] for n in (20, 500))
    assert np.linalg.norm(few) < 0.2 * np.linalg.norm(all_)


def test_densities_keep_the_labels_varied():
    """Densities make no label disappear where classes overlap."""
    known, classes = basis(facts(spread=30)), drawn(400, (5, 1, 1), seed=2)
    inputs, scores = parts(known, seen(classes, 0.5, seed=2, spread=30))

    def variety(found: Doubles) -> float:
        shares = softmax(PSEUDO_SHARPNESS * found).mean(axis=0)
        return -float((shares * np.log(shares)).sum())

    assert variety(added(known, inputs, scores)) > variety(scores) - 0.03


def test_densities_make_answers_no_surer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What densities add to the lead of an answer, a lower sharpness takes off again, so that the
    order of labels weighs it as before."""
    known = basis(facts(spread=16))
    projected = known.project(moved_apart(drawn(500, seed=5), 5))
    made = adapt(known, projected)
    found = made.logits(known, projected)
    monkeypatch.setattr(densities, "WEIGHT", 0.0)
    without = adapt(known, projected).logits(known, projected)
    assert not np.allclose(found, without, atol=0.1)
    assert abs(margin(found) / margin(without) - 1) < 0.01
    mapped, constants = made.as_map(known) or (np.zeros(0), np.zeros(0))
    np.testing.assert_allclose(projected @ mapped + constants[0], found, atol=1e-2)
