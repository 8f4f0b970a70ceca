"""The contract of labelling rules, for every entry of the table."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.labelling import LABELLING_RULES, LabellingPool, PoolSpace, score_candidates

WIDE = 8
CLASSES = 3
MOST = 256


@pytest.fixture(params=sorted(LABELLING_RULES))
def make(request):
    """The constructor of each rule."""
    return LABELLING_RULES[request.param]


def pool(rows, labelled=(), answers=None, given=None):
    """A pool of rows whose answers, where not given, follow the first columns."""
    rows = np.asarray(rows, np.float32)
    answers = rows[:, :CLASSES] / 4 if answers is None else answers
    if given is None:
        given = [int(answers[row].argmax()) for row in labelled]
    return LabellingPool(
        features=PoolSpace.of(rows),
        described=PoolSpace.of(score_candidates([rows[:, :CLASSES]])),
        answers=np.asarray(answers, np.float32),
        labelled=tuple(labelled),
        given=tuple(given),
    )


def clouds(sizes=(20, 30, 10), seed=0):
    """Rows of clouds far apart, and the cloud of each."""
    random = np.random.default_rng(seed)
    centres = 6 * np.eye(WIDE)[: len(sizes)]
    kind = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[kind] + random.normal(0, 0.5, (len(kind), WIDE))).astype(np.float32), kind


def test_the_same_seed_gives_the_same_choice(make):
    """Two rules of one seed choose the same rows, and leave the pool as it was."""
    rows, _ = clouds()
    asked = pool(rows, labelled=(3, 40))
    kept = [one.copy() for one in (asked.features.rows, asked.features.squared, asked.answers)]
    first, second = make(5).choose(asked, 9), make(5).choose(asked, 9)
    assert first == second
    now = (asked.features.rows, asked.features.squared, asked.answers)
    assert all(np.array_equal(*pair) for pair in zip(kept, now, strict=True))


def test_labelled_rows_are_never_chosen(make):
    """Asked again and again, a rule names each row once and then none."""
    rows, _ = clouds((4, 5, 3))
    labelled: list[int] = []
    rule = make(0)
    while len(labelled) < len(rows):
        found = rule.choose(pool(rows, labelled), 2)
        assert found
        assert not set(found) & set(labelled)
        labelled += found
    assert sorted(labelled) == list(range(len(rows)))
    assert rule.choose(pool(rows, labelled), 2) == ()


@given(
    st.integers(1, 14),
    st.integers(0, 20),
    st.integers(0, 14),
    st.integers(0, 3),
    st.sampled_from((0, 1, CLASSES)),
)
def test_choices_are_distinct_and_as_many_as_possible(rows, count, labelled, kinds, columns):
    """Any budget, also none or above the pool, gives distinct unlabelled rows: equal rows, one
    candidate, and answers without labels included."""
    labelled = tuple(range(min(labelled, rows)))
    drawn = np.random.default_rng(kinds).integers(0, 1 + kinds, (rows, WIDE))
    asked = pool(drawn, labelled, np.zeros((rows, columns), np.float32), (-1,) * len(labelled))
    for make in LABELLING_RULES.values():
        found = make(1).choose(asked, count)
        assert len(set(found)) == len(found) == min(count, rows - len(labelled))
        assert all(len(labelled) <= row < rows for row in found)
        assert all(isinstance(row, int) for row in found)


def test_a_choice_of_the_largest_pool_takes_bounded_time(make):
    """Fourteen of 256 rows with a hundred labels are chosen within half a second."""
    rows = np.random.default_rng(0).normal(size=(MOST, 64)).astype(np.float32)
    asked = pool(rows, labelled=range(100))
    rule = make(0)
    rule.choose(asked, 1)
    began = time.process_time()
    rule.choose(asked, 14)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "name", ["answers", "coreset", "coverage", "learned", "typiclust", "uncertain coverage"]
)
def test_rules_that_diversify_visit_each_cloud_first(name):
    """With as many labels as clouds, each cloud gets one; the other rules promise nothing."""
    rows, kind = clouds()
    found = LABELLING_RULES[name](0).choose(pool(rows, answers=np.zeros((len(rows), 0))), 3)
    assert sorted(kind[list(found)]) == [0, 1, 2]


@pytest.mark.parametrize("name", ["margin", "entropy"])
def test_uncertain_rules_choose_the_least_certain_row(name):
    """The row with two equal best answers comes first."""
    rows, _ = clouds()
    answers = np.tile(np.array([1, 0, 0], np.float32), (len(rows), 1))
    answers[17] = [0.5, 0.5, 0.5]
    assert LABELLING_RULES[name](0).choose(pool(rows, answers=answers), 1) == (17,)


def test_chance_follows_its_seed():
    """Another seed gives another order."""
    rows, _ = clouds()
    orders = {LABELLING_RULES["random"](seed).choose(pool(rows), 9) for seed in range(4)}
    assert len(orders) == 4


def test_uncertain_coverage_prefers_doubtful_clouds():
    """Of two equal clouds, the one whose answers are uncertain is covered first."""
    rows, kind = clouds((20, 20))
    answers = np.tile(np.array([1, 0], np.float32), (len(rows), 1))
    answers[kind == 1] = 0.5
    (found,) = LABELLING_RULES["uncertain coverage"](0).choose(pool(rows, answers=answers), 1)
    assert kind[found] == 1
