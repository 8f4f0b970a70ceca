import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas import (
    AdaptorBudget,
    DeviceSpeed,
    NasError,
    NoFit,
    SearchChoice,
    TaskSketch,
    combine,
    count_cost,
    search,
)
from tests.nas.sketches import SPANS, sketch

OPEN = AdaptorBudget(1 << 40, 1 << 40, 1e9)
FREE = DeviceSpeed(0.0, 0.0, 0.0, 0.0)
SLOW = DeviceSpeed(1.0, 1.0, 1.0, 1.0)


def test_the_informative_tap_is_chosen():
    """Without limits the best blueprint reads the informative tap."""
    found = search(sketch(separation=2.0, informative=1), OPEN, FREE)
    assert isinstance(found, SearchChoice)
    assert 1 in found.blueprint.taps
    assert len(found.ranking) == len(found.scores) == found.considered


@pytest.mark.parametrize(
    "budget",
    [
        pytest.param(AdaptorBudget(2_000, 1 << 40, 1e9), id="bytes"),
        pytest.param(AdaptorBudget(1 << 40, 700, 1e9), id="operations"),
        pytest.param(AdaptorBudget(1 << 40, 1 << 40, 6.5), id="milliseconds"),
    ],
)
def test_nothing_over_the_budget_is_ranked(budget):
    """Every ranked blueprint is within all limits, and some blueprints are not."""
    task = sketch()
    found = search(task, budget, SLOW)
    assert isinstance(found, SearchChoice)
    assert len(found.ranking) < found.considered
    for one in found.ranking:
        cost = count_cost(one, task.shape)
        assert cost.nbytes <= budget.nbytes
        assert cost.operations <= budget.operations
        assert SLOW.latency_ms(cost) <= budget.latency_ms


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (AdaptorBudget(10, 1 << 40, 1e9), "bytes"),
        (AdaptorBudget(1 << 40, 1 << 40, 0.1), "milliseconds"),
    ],
)
def test_a_budget_too_small_gives_a_reason(budget, word):
    """The reason names the limit and the least cost."""
    found = search(sketch(), budget, SLOW)
    assert isinstance(found, NoFit)
    assert word in found.reason
    assert "least" in found.reason


def test_one_label_gives_a_reason():
    """A domain with a single label gives a reason, not an error."""
    task = sketch(own=5, others=20)
    targets = np.where(task.own, 0, task.targets)
    found = search(TaskSketch(task.rows, targets, task.own, SPANS), OPEN, FREE)
    assert isinstance(found, NoFit)
    assert "two labels" in found.reason or "2 labels" in found.reason


@pytest.mark.parametrize("proxies", [{}, {"wishes": 1.0}])
def test_unknown_proxies_are_refused(proxies):
    """Unknown names and an empty mapping are errors that list the table."""
    with pytest.raises(NasError, match="naswot"):
        search(sketch(), OPEN, FREE, proxies=proxies)


def test_a_search_is_reproducible():
    """The same task, budget and seed give the same ranking, and the task is not modified."""
    task = sketch()
    before = task.rows.copy()
    first, second = (search(task, OPEN, FREE, 3) for _ in range(2))
    assert isinstance(first, SearchChoice)
    assert isinstance(second, SearchChoice)
    assert first.ranking == second.ranking
    assert np.array_equal(task.rows, before)


def test_a_shortlist_starts_with_the_best_of_each_kind():
    """A shortlist has no repeats, starts with the best, and has every kind before a second of
    one."""
    found = search(sketch(), OPEN, FREE)
    assert isinstance(found, SearchChoice)
    short = found.shortlist(9)
    assert len(set(short)) == 9
    assert short[0] == found.blueprint
    assert len({one.kind for one in short[:6]}) == 6
    assert found.shortlist(2) == short[:2]


FINITE = arrays(np.float64, 12, elements=st.floats(-1e6, 1e6))


@given(FINITE)
def test_one_proxy_keeps_its_order(scores):
    """Combining a single proxy keeps its order, ties included."""
    combined = combine({"a": scores}, {"a": 2.0})
    before, after = (np.sign(np.subtract.outer(v, v)) for v in (scores, combined))
    assert np.array_equal(before, after)


@given(FINITE, FINITE)
def test_a_unanimous_preference_is_kept(one, two):
    """A blueprint that every proxy ranks higher is ranked higher in combination."""
    combined = combine({"a": one, "b": two}, {"a": 1.0, "b": 0.25})
    both = np.less.outer(one, one) & np.less.outer(two, two)
    assert np.less.outer(combined, combined)[both].all()


def test_nan_ranks_last():
    """A NaN score ranks below every number."""
    assert np.argmin(combine({"a": np.array([0.0, np.nan, -1e300])}, {"a": 1.0})) == 1
