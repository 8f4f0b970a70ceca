"""Streams that say too little to adapt to: the known heads answer them as they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.adaptation import Adaptation, Basis, adapt, solving, unadapted
from edge.core.facts import FactBatch, untimed_batch
from tests.edge.core.adaptation.worlds import LABELS, WIDTH, accuracy, basis, drawn, facts, seen

SKEWED = (10, 1, 1)
SPREAD = 24.0


def skewed_facts() -> FactBatch:
    """Facts of a domain with one common class."""
    classes = drawn(240, SKEWED, seed=3)
    ids = tuple(f"home-{at:04}" for at in range(len(classes)))
    labels = tuple(LABELS[one] for one in classes)
    return untimed_batch(ids, ("home",) * len(ids), labels, seen(classes, seed=3, spread=SPREAD))


def rare_classes_moved(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Samples of which only the rare classes have moved, each in its own way."""
    classes = drawn(400, SKEWED, seed=5)
    own = np.random.default_rng(seed).normal(0, 5.6, (len(LABELS), WIDTH))
    own[0] = 0
    rows = seen(classes, seed=9, spread=SPREAD) + own[classes]
    return np.clip(rows, 0, 255).astype(np.uint8), classes


def right(known: Basis, made: Adaptation, rows: NDArray[np.uint8], at: NDArray[np.intp]) -> float:
    """Share of right answers."""
    return accuracy(made.logits(known, known.project(rows)).argmax(axis=1), at)


@pytest.mark.parametrize("seed", [0, 1])
def test_heads_that_centring_makes_less_sure_answer(seed, monkeypatch):
    """Where the labels' shares are those of the facts and centring lowers the lead, nothing is
    adapted; centred all the same, fewer answers would be right."""
    known = basis(skewed_facts())
    rows, classes = rare_classes_moved(seed)
    made = adapt(known, known.project(rows))
    plain = right(known, unadapted(known), rows, classes)
    assert made.strength == 0
    assert made.count == len(rows)
    assert right(known, made, rows, classes) == plain
    monkeypatch.setattr(solving, "LEAD_KEPT_MIN", 0.0)
    assert right(known, adapt(known, known.project(rows)), rows, classes) < plain


def test_heads_that_answer_few_labels_are_no_evidence():
    """A shift that changes the labels' shares is taken off."""
    known, classes = basis(), drawn(400, seed=5)
    rows = seen(classes, shift=0.8, seed=9)
    made = adapt(known, known.project(rows))
    assert made.strength > 0.5
    assert right(known, made, rows, classes) > right(known, unadapted(known), rows, classes) + 0.1


def test_overlapping_classes_teach_nothing():
    """Where the known classes overlap, unlabelled samples do not show them: the heads answer."""
    known = basis(facts(spread=60.0))
    rows = seen(drawn(400, seed=5), shift=0.8, seed=9, spread=60.0)
    made = adapt(known, known.project(rows))
    assert known.separation < solving.SEPARATION_MIN
    assert (made.strength, made.count) == (0, len(rows))
    assert not made.weights.any()
    clear = basis()
    taught = adapt(clear, clear.project(seen(drawn(400, seed=5), shift=0.8, seed=9)))
    assert clear.separation > solving.SEPARATION_MIN
    assert taught.weights.any()
