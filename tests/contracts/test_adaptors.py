"""What every kind of adaptor promises."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core import Batch, Fact, gather
from edge.core.adaptors import KINDS, fit
from tests.worlds import clouds

WIDTH = 16
LABELS = ("a", "b", "c")


def facts(domain: str, seed: int, count: int = 12, labels: tuple[str, ...] = LABELS) -> list[Fact]:
    """`count` facts a label, each label around its own centre."""
    rows = clouds(range(len(labels)), count, seed=seed, width=WIDTH)
    return [
        Fact(f"{domain}{row}", "s", domain, labels[row // count], row, values.tobytes())
        for row, values in enumerate(rows)
    ]


OWN, OTHERS = facts("home", 1), facts("away", 2)
NOTHING = gather([])


@pytest.fixture(params=sorted(KINDS))
def kind(request) -> str:
    """Each kind in turn."""
    return str(request.param)


def test_it_answers_what_it_was_taught(kind):
    """Its best label is the right one for samples like its facts, one row or many."""
    adaptor = fit(gather(OWN), gather(OTHERS), kind)
    batch = gather(facts("home", 3))
    scores = adaptor.answer(batch.features)
    best = [adaptor.labels[column] for column in scores.argmax(axis=1)]
    assert np.mean([one == other for one, other in zip(best, batch.labels, strict=True)]) > 0.9
    assert scores.shape == (len(batch), len(LABELS))
    assert scores.dtype == np.float32


def test_one_row_gets_the_scores_it_gets_among_many(kind):
    """A batch is a loop, up to the last bits of a float."""
    adaptor = fit(gather(OWN), NOTHING, kind)
    features = gather(OWN).features
    for row, scores in zip(features[:4], adaptor.answer(features)[:4], strict=True):
        np.testing.assert_allclose(adaptor.answer(row), scores, rtol=1e-4, atol=1e-5)


def test_the_same_facts_give_the_same_adaptor(kind):
    """Fitted twice, in whatever order the facts came, it answers bit for bit alike."""
    one = fit(gather(OWN), gather(OTHERS), kind)
    other = fit(gather(OWN[::-1]), gather(OTHERS[::-1]), kind)
    features = gather(OWN).features
    np.testing.assert_array_equal(one.answer(features), other.answer(features))
    assert one.labels == other.labels


def test_its_inputs_are_unharmed(kind):
    """Fitting and answering change no feature."""
    own, others = gather(OWN), gather(OTHERS)
    before = own.features.copy(), others.features.copy()
    fit(own, others, kind).answer(own.features)
    np.testing.assert_array_equal(own.features, before[0])
    np.testing.assert_array_equal(others.features, before[1])


def test_its_labels_are_sorted_and_from_the_facts(kind):
    """It can answer every label of its own facts and nothing nobody taught."""
    adaptor = fit(gather(facts("home", 1, labels=("b", "a"))), gather(OTHERS), kind)
    assert list(adaptor.labels) == sorted(adaptor.labels)
    assert {"a", "b"} <= set(adaptor.labels) <= set(LABELS)


def test_its_declared_cost_is_positive(kind):
    """It says how many bytes and multiply-adds it needs."""
    adaptor = fit(gather(OWN), NOTHING, kind)
    assert adaptor.nbytes >= WIDTH
    assert adaptor.operations >= WIDTH


@pytest.mark.parametrize("count", [1, 2, 40])
def test_it_takes_few_facts_and_many(kind, count):
    """One fact a label is enough to answer, and more facts than columns are no trouble."""
    rows = gather(facts("home", 1, count))
    scores = fit(rows, NOTHING, kind).answer(rows.features)
    assert np.isfinite(scores).all()
    assert np.mean(np.array(LABELS)[scores.argmax(axis=1)] == np.array(rows.labels)) > 0.9


def test_one_label_is_answered(kind):
    """With a single label there is only one answer."""
    adaptor = fit(gather(facts("home", 1, labels=("only",))), NOTHING, kind)
    assert adaptor.labels == ("only",)
    assert adaptor.answer(np.zeros(WIDTH, np.uint8)).shape == (1,)


@pytest.mark.parametrize("level", [0, 255])
def test_columns_that_never_move_do_no_harm(kind, level):
    """Constant features give finite scores, also when all columns are constant."""
    features = np.full((4, WIDTH), level, np.uint8)
    batch = Batch(("1", "2", "3", "4"), ("d",) * 4, ("a", "b", "a", "b"), features)
    assert np.isfinite(fit(batch, NOTHING, kind).answer(features)).all()
