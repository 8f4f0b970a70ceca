from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.core.session.candidates import choose_candidates, score_candidates
from tests.worlds import clouds

WIDE = 16


def pool(*counts: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Clouds of so many rows each."""
    rows = [clouds((number + 1,), count, width=WIDE) for number, count in enumerate(counts)]
    return np.concatenate(rows).astype(np.float32)


def test_each_cloud_is_named_once():
    """As many labels as there are clouds: one from each, the largest cloud first."""
    chosen = choose_candidates(pool(10, 30, 20), 3)
    assert [0 if at < 10 else 1 if at < 40 else 2 for at in chosen] == [1, 2, 0]


def test_what_is_labelled_is_not_asked_again():
    """A cloud with a label gives way to one without."""
    rows = pool(30, 20)
    (chosen,) = choose_candidates(rows, 1, labelled=1)
    assert chosen >= 30


def test_the_typical_is_chosen():
    """An outlier of a cloud is not worth its first label."""
    rows = pool(30)
    rows[7] = 255
    assert choose_candidates(rows, 1) != (7,)


@given(st.integers(0, 12), st.integers(0, 6), st.integers(0, 12), st.integers(0, 5))
def test_a_choice_is_distinct_bounded_and_repeatable(
    rows: int, count: int, labelled: int, kinds: int
):
    """Whatever is asked: distinct unlabelled rows, at most as many as asked, the same twice."""
    features = np.random.default_rng(kinds).integers(0, 1 + kinds, (rows, WIDE)).astype(np.float32)
    chosen = choose_candidates(features, count, labelled)
    assert len(set(chosen)) == len(chosen) <= count
    assert all(labelled <= at < rows for at in chosen)
    assert chosen == choose_candidates(features, count, labelled)


def test_an_outlook_holds_what_tells_labels_apart():
    """Answers raised all alike, or scaled, are the same outlook."""
    answers = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found = [score_candidates([given]) for given in (answers, 4 * answers + 2)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    assert score_candidates([answers, answers]).shape == (5, 6)
