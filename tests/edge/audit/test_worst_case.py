"""The worst facts to forget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.audit.answers import model_of
from edge.audit.shadows import LikeHome
from edge.audit.worst_case import project, worst_forget_set
from edge.core.facts import FactBatch, select_rows
from tests.audits import digit_rows


@pytest.fixture(scope="module")
def rows() -> FactBatch:
    """Two hundred digits."""
    return digit_rows(np.random.default_rng(3).permutation(1700)[:200])


def left_margin(rows: FactBatch, at: np.ndarray) -> float:
    """The mean margin of some facts under a model that never saw them."""
    kept = np.setdiff1d(np.arange(len(rows)), at)
    model = model_of(select_rows(rows, kept), LikeHome({}, ((0, 64),)))
    return float(model.margins(select_rows(rows, at)).mean())


def test_the_worst_set_is_still_answered_after_it_is_forgotten(rows: FactBatch) -> None:
    """A model without the worst set answers it more surely than random sets of the size: it is the
    hardest to tell from retained facts."""
    worst = worst_forget_set(rows, 20)
    random = np.random.default_rng(1)
    others = [
        left_margin(rows, np.sort(random.choice(len(rows), 20, replace=False))) for _ in range(3)
    ]
    assert len(set(worst.tolist())) == 20
    assert left_margin(rows, worst) > max(others)


@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=40),
    st.floats(0.05, 0.95),
)
def test_a_projection_has_the_wanted_sum(values: list[float], share: float) -> None:
    """The projected weights lie between 0 and 1, sum to the size, and keep their order."""
    given_values, size = np.array(values), share * len(values)
    made = project(given_values, size)
    assert ((made >= 0) & (made <= 1)).all()
    assert made.sum() == pytest.approx(size, abs=1e-6)
    order = np.argsort(given_values, kind="stable")
    assert (np.diff(made[order]) >= -1e-12).all()


def test_weights_that_fit_stay_as_they_are() -> None:
    """A point of the set is its own projection."""
    point = np.array([0.2, 0.8, 0.5, 0.5])
    assert project(point, 2.0) == pytest.approx(point)
