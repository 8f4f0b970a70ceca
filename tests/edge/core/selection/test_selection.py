"""What each selector keeps, on pools whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.core.selection import FactPool, keep_rows, rank_ids
from edge.core.selection.adaptive import most_telling, share_places
from edge.core.selection.clusters import cluster
from edge.core.selection.herding import herding


def line(*values: int) -> FactPool:
    """Facts whose roots lie on a line: squares of the given numbers."""
    rows = np.array([[value * value] for value in values], np.uint8)
    return FactPool(rows, rank_ids(map(str, values)))


def kept(name: str, values: list[int], count: int) -> list[int]:
    """The values that stay."""
    return [values[row] for row in keep_rows(name, line(*values), count)]


def test_the_newest_stay():
    """The last rows stay."""
    assert kept("newest", [3, 1, 2, 9], 2) == [2, 9]


def test_a_random_sample_does_not_depend_on_what_is_seen_later_or_earlier():
    """Of a stream, the same facts stay whether they are chosen at once or one after the other."""
    values = list(range(15))
    for number in range(4, 15):
        values_now = kept("random", values[: number + 1], 4)
        one_by_one = kept("random", [*kept("random", values[:number], 4), number], 4)
        assert values_now == one_by_one


def test_herding_keeps_the_mean():
    """One fact that stays is the one at the mean, and two are equally far on either side of it."""
    assert kept("herding", [2, 5, 7, 10], 2) in ([2, 10], [5, 7])
    assert kept("herding", [2, 6, 10], 1) == [6]


def test_herding_equals_its_definition_in_floats():
    """Each choice minimises the distance of the means, computed the plain way."""
    rows = np.random.default_rng(1).integers(0, 256, (25, 6)).astype(np.uint8)
    pool = FactPool(rows, rank_ids(map(str, range(25))))
    points = pool.coordinates.astype(float)
    mean = points.mean(axis=0)
    chosen: list[int] = []
    for number in range(1, 9):
        free = [row for row in range(25) if row not in chosen]
        away = [
            float(np.linalg.norm(mean - (points[chosen].sum(axis=0) + points[row]) / number))
            for row in free
        ]
        chosen.append(free[int(np.argmin(away))])
    assert sorted(chosen) == herding(pool, 8).tolist()


def test_coverage_reaches_both_ends():
    """The centre is taken first, then the ends."""
    assert kept("coverage", [1, 2, 3, 8, 9, 15], 3) == [1, 8, 15]


def test_the_adaptive_selector_prunes_copies_first():
    """Of copies of one fact and a few others, the others stay."""
    random = np.random.default_rng(0)
    rows = np.concatenate([np.full((20, 8), 100), random.integers(0, 256, (8, 8))]).astype(np.uint8)
    pool = FactPool(rows, rank_ids(map(str, range(28))))
    stay = keep_rows("adaptive", pool, 10)
    assert (stay >= 20).sum() >= 7


def test_places_are_shared_equally_among_clusters():
    """Small clusters keep all that they have, and large ones share what is left."""
    assert share_places(np.array([1, 9, 9]), 9) == [1, 4, 4]
    assert share_places(np.array([5, 5]), 3) == [1, 2]
    assert sum(share_places(np.array([2, 3, 50]), 20)) == 20


def test_the_score_of_highest_entropy_is_chosen():
    """Scores that spread over their range tell more than one outlier among equal ones."""
    spread, flat = np.arange(40, dtype=np.int64), np.zeros(40, np.int64)
    flat[3] = 1_000
    assert most_telling([flat, spread]) is spread
    assert most_telling([spread, flat]) is spread


def test_clusters_are_found():
    """Two groups far apart are two clusters, and each point is next to its own centre."""
    points = np.array([[0, 0], [1, 0], [100, 100], [101, 99], [0, 2]], np.int64)
    pool = FactPool(np.zeros((5, 2), np.uint8), rank_ids(map(str, range(5))))
    assigned, far = cluster(points, pool, 2)
    assert assigned.tolist() in ([0, 0, 1, 1, 0], [1, 1, 0, 0, 1])
    assert np.array_equal(far.argmin(axis=1), assigned)


@pytest.mark.parametrize("seed", range(3))
def test_products_do_not_depend_on_the_order_of_addition(seed: int):
    """Products in float64 equal those in integers, bit for bit."""
    rows: Any = np.random.default_rng(seed).integers(0, 256, (30, 700)).astype(np.uint8)
    pool = FactPool(rows, rank_ids(map(str, range(30))))
    assert np.array_equal(pool.products, pool.coordinates @ pool.coordinates.T)
