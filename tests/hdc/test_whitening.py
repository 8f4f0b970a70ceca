"""Whitening measures Mahalanobis distances, whichever way it computes them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hdc.whitening import RANK_MAX, Rows, Scatter, distances_without, whiten

Reals = NDArray[np.float64]


def _draw(seed: int, count: int, width: int) -> tuple[Reals, NDArray[np.intp]]:
    """Rows of length about 1 with a decaying spectrum, in three classes."""
    random = np.random.default_rng(seed)
    group = np.arange(count) % 3
    spread = 1 / (1 + np.arange(width))
    mixing = np.linalg.qr(random.normal(size=(width, width)))[0]
    rows = random.normal(size=(3, width))[group] + random.normal(size=(count, width)) * spread
    rows = rows @ mixing
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), group


def _expected(
    values: Reals, group: NDArray[np.intp], scored: NDArray[np.intp], kept: NDArray[np.bool_]
) -> Reals:
    """Distances under the shrunk covariance of the kept rows, by LAPACK."""
    scatter = Scatter((rows := Rows.make(values)).whole[kept], group[kept])
    covariance = scatter.shrunk(scatter.covariance(), scatter.floor(rows.unit))
    apart = rows.whole[scored] - scatter.means[group[scored]]
    solved = np.linalg.solve(covariance, apart.T)
    return np.asarray(np.sqrt((apart.T * solved).sum(axis=0)))


@pytest.mark.parametrize(("count", "width"), [(200, 12), (30, 60), (60, 200), (120, 150)])
def test_held_out_distances_are_those_of_the_shrunk_covariance(count: int, width: int) -> None:
    """Narrow rows, and wide rows of few samples, are measured with the whole covariance."""
    values, group = _draw(0, count, width)
    scored, kept = np.arange(10), np.arange(count) >= 10
    rows = Rows.make(values)
    found = distances_without(rows, group, scored, kept, whiten(rows, group).leading)
    assert found == pytest.approx(_expected(values, group, scored, kept), rel=1e-4)


def test_many_wide_rows_are_measured_in_the_leading_directions() -> None:
    """Beyond the rank that is kept, one variance stands for the rest: distances stay close."""
    values, group = _draw(1, 600, 200)
    scored, kept = np.arange(10), np.arange(600) >= 10
    rows = Rows.make(values)
    found = distances_without(rows, group, scored, kept, whiten(rows, group).leading)
    assert found == pytest.approx(_expected(values, group, scored, kept), rel=0.1)


def test_the_iteration_finds_nearly_all_leading_variance() -> None:
    """The subspace holds at least 99.9 % of the variance that the best one holds."""
    values, group = _draw(2, 500, 300)
    scatter = Scatter(Rows.make(values).whole, group)
    found = np.trace(scatter.within(scatter.leading()))
    best = np.linalg.eigvalsh(scatter.covariance())[-RANK_MAX:].sum()
    assert best >= found * (1 - 1e-6)
    assert found >= 0.999 * best


def test_axes_are_orthonormal_and_span_the_class_means() -> None:
    """The length outside the axes is then the same for every class."""
    values, group = _draw(3, 500, 300)
    rows = Rows.make(values)
    whitening = whiten(rows, group)
    size = whitening.axes.shape[1]
    assert size <= RANK_MAX + 3
    assert whitening.axes.T @ whitening.axes == pytest.approx(np.eye(size), abs=1e-5)
    means = np.stack([rows.whole[group == at].mean(axis=0) for at in range(3)]).T
    inside = whitening.axes @ (whitening.axes.T @ means)
    assert inside == pytest.approx(means, abs=1e-4 * np.abs(means).max())


def test_rows_without_any_spread_have_a_least_variance() -> None:
    """Identical rows give axes and finite variances."""
    whitening = whiten(Rows.make(np.full((10, 5), 0.25)), np.zeros(10, dtype=np.intp))
    assert whitening.axes.shape == (5, 5)
    assert (whitening.variances > 0).all()
