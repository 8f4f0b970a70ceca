"""The contract of selectors, for every entry of the table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edge.core.selection import SELECTORS, FactPool, keep_rows, rank_ids, selected_rows
from edge.core.selection.kinds import BLOCK

WIDTH = 12


def pool(count: int, seed: int = 0, width: int = WIDTH) -> FactPool:
    """A pool of clustered facts, some of them twice."""
    random = np.random.default_rng(seed)
    centres = random.integers(40, 216, (4, width))
    noise = random.integers(-30, 31, (count, width))
    rows = np.clip(centres[random.integers(0, 4, count)] + noise, 0, 255).astype(np.uint8)
    rows[1::7] = rows[0]
    return FactPool(rows, rank_ids(f"{seed}-{row}" for row in range(count)))


@pytest.fixture(params=list(SELECTORS))
def name(request):
    """Each selector of the table."""
    return request.param


@pytest.mark.parametrize("capacity", [1, 2, 5, 20, 59])
def test_a_selector_keeps_a_bounded_number_of_different_facts_in_order(name, capacity):
    """As many rows stay as the concept has places beyond the margin, each once, in order."""
    kept = keep_rows(name, pool(60), capacity)
    assert len(kept) == max(1, capacity - SELECTORS[name].margin(capacity))
    assert all(one < other for one, other in pairwise(kept.tolist()))
    assert 0 <= kept[0] <= kept[-1] < 60


def test_facts_that_fit_all_stay(name):
    """A concept with room loses nothing."""
    assert keep_rows(name, pool(20), 20).tolist() == list(range(20))


def test_a_choice_depends_on_the_facts_alone(name):
    """The same facts are chosen each time, whatever was chosen in between."""
    first = keep_rows(name, pool(50), 20)
    keep_rows(name, pool(50, seed=9), 20)
    assert np.array_equal(keep_rows(name, pool(50), 20), first)


def test_facts_of_equal_content_are_no_trouble(name):
    """A concept of copies of one fact keeps some of them."""
    rows = np.full((30, WIDTH), 7, np.uint8)
    assert len(keep_rows(name, FactPool(rows, rank_ids(map(str, range(30)))), 10)) == 10


@pytest.mark.parametrize("level", [0, 255])
def test_a_constant_column_is_no_trouble(name, level):
    """Columns without variance, and extreme levels, divide nothing by zero."""
    found = pool(30)
    found.features[:, 3:] = level
    assert len(keep_rows(name, found, 10)) == 10


def test_wide_features_overflow_nothing(name):
    """Products of the widest shipped features stay exact: distances are never negative."""
    wide = pool(40, width=4_096)
    wide.features[::2] = 255
    wide.features[1::2] = 0
    assert (wide.distances >= 0).all()
    assert wide.distances.max() == 4_096 * 1_021**2
    assert len(keep_rows(name, wide, 20)) == max(1, 20 - SELECTORS[name].margin(20))


def test_the_order_of_rows_only_matters_to_selectors_by_age(name):
    """The same facts in another order of rows: the same ids stay, but by age, and for the adaptive
    one, which prunes what resembles an older fact."""
    given = pool(40)
    order = np.random.default_rng(3).permutation(40)
    turned = given.select(order)
    kept = set(given.ranks[keep_rows(name, given, 15)].tolist())
    again = set(turned.ranks[keep_rows(name, turned, 15)].tolist())
    assert (kept == again) is (name in {"random", "herding", "coverage", "mixed"})


def test_more_facts_than_a_block_are_divided(name):
    """The number that stays is exact for pools that are not compared as a whole."""
    kept = keep_rows(name, pool(2 * BLOCK + 5), 640)
    assert len(kept) == 640 - SELECTORS[name].margin(640)
    assert len(set(kept.tolist())) == len(kept)


def test_rows_are_selected_for_each_target(name):
    """`selected_rows` keeps as many rows of each target as a concept would, and all of a rare
    one."""
    given = pool(50)
    targets = np.arange(50, dtype=np.int64) % 3
    targets[targets == 2] = 1
    targets[49] = 5
    kept = selected_rows(name, given.features, targets, 10, 4)
    assert np.bincount(targets[kept]).tolist() == [10, 10, 0, 0, 0, 1]
    assert np.array_equal(kept, np.sort(kept))


def test_an_unknown_selector_is_an_error():
    """A name outside the table raises KeyError."""
    with pytest.raises(KeyError):
        selected_rows("nearest", pool(3).features, np.zeros(3, np.int64), 1, 0)
