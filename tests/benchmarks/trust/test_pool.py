"""The comparison of the pool with its simple experts: definitions, and no look into the future."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trust import pool
from benchmarks.trust.pool_sets import PoolSet, pool_sets


def made(values, period=None, name="made"):
    """A set of one channel."""
    table = np.asarray(values, np.float64)[:, None]
    return PoolSet(name=name, values=table, elapsed_s=60.0, period=period)


def test_the_best_simple_method_is_the_measure():
    """On a straight line the drift has no error, so that the others have no ratio; on a season the
    seasonal method has the ratio 1 at every horizon but its own length."""
    steps = np.arange(260)
    noise = np.random.default_rng(1).normal(size=260)
    season = pool.measure_set(made(10 * np.sin(steps * np.pi / 6) + 0.1 * noise, period=12))
    assert season["seasonal naive"] == pytest.approx([1, 1, 1, 1])
    assert min(season["last value"][:2]) > 10
    walk = pool.measure_set(made(np.cumsum(noise)))
    best = np.min([walk[name] for name in ("last value", "seasonal naive", "drift")], axis=0)
    assert best == pytest.approx([1, 1, 1, 1])


def test_the_switch_knows_no_later_target():
    """The switch to the best method so far does not depend on values after the origin."""
    values = np.cumsum(np.random.default_rng(2).normal(size=200))
    other = values.copy()
    other[150:] += 50
    found = []
    for row in (values, other):
        one = made(row)
        simple = pool._simple_points(one)  # noqa: SLF001 - the switch has no other entry
        errors = [pool._errors(points, one.values) for points in simple.values()]  # noqa: SLF001
        found.append(pool._switched(errors))  # noqa: SLF001
    for place, ahead in enumerate(pool.HORIZONS):
        known = 150 - ahead
        assert np.array_equal(found[0][:known, place], found[1][:known, place])


def test_the_part_reports_every_set_and_horizon(monkeypatch):
    """The summary has the mean and the worst ratio; a horizon with few targets has no row."""
    values = np.cumsum(np.random.default_rng(3).normal(size=160))
    monkeypatch.setattr(pool, "pool_sets", lambda _data, **_: ([made(values)], []))
    rows, summary, _ = pool.run_part(None, quick=True)
    found = {row.metric: row.value for row in rows if row.method == pool.OURS}
    assert {f"made_h{ahead}" for ahead in pool.HORIZONS} <= set(found)
    worst = max(found[f"made_h{ahead}"] for ahead in pool.HORIZONS)
    assert summary["pool_over_best_simple_worst"] == pytest.approx(worst)
    assert 0.5 < summary["pool_over_best_simple_mean"] <= worst
    monkeypatch.setattr(pool, "pool_sets", lambda _data, **_: ([made(values[:150])], []))
    rows, _, _ = pool.run_part(None, quick=True)
    assert "made_h24" not in {row.metric for row in rows}


def test_the_synthetic_sets_are_the_same_every_time():
    """Without a data folder there are sets of both halves, with equal values in every run."""
    first, second = (pool_sets(None, quick=True)[0] for _ in range(2))
    assert [one.name for one in first] == [one.name for one in second]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.values, other.values, equal_nan=True)
    assert {one.development for one in first} == {True, False}
