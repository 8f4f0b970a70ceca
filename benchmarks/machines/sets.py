"""Small sets of facts, most of them awkward for linear algebra.

They are made of whole numbers alone, so that every machine makes the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint8]
Whole = NDArray[np.int64]

PACS_TAPS = (16, 24, 40, 80, 112, 192, 320)
"""Columns of the shipped encoder's stages."""
SECOND_NS = 10**9
START_NS = 1_700_000_000 * SECOND_NS  # any time will do


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MachineSet:
    """Facts: features uint8 [n, w], labels [n], domains [n], and queries uint8 [m, w].

    taps: widths.  times: capture times int64 [n], 0 if unknown.  weights, zeros: of a quantiser.
    doubled: how often the memory is added to itself, for huge counts.
    """

    features: Rows
    labels: Whole
    queries: Rows
    taps: tuple[int, ...]
    domains: Whole | None = None
    times: Whole | None = None
    weights: NDArray[np.float32] | None = None
    zeros: NDArray[np.int32] | None = None
    doubled: int = 0


def _bell(random: np.random.Generator, shape: tuple[int, ...], spread: int) -> Whole:
    """Return whole numbers around 0: sums of four uniform ones."""
    drawn = random.integers(-spread, spread + 1, (4, *shape))
    return np.asarray(drawn.sum(axis=0) // 2)


def _levels(values: Whole) -> Rows:
    return np.clip(values, 0, 255).astype(np.uint8)


def _clouds(
    seed: int, count: int, width: int, classes: int = 3, taps: tuple[int, ...] = ()
) -> MachineSet:
    """Return correlated clouds around one centre a class."""
    random = np.random.default_rng(seed)
    centres = random.integers(60, 196, (classes, width))
    mixing = random.integers(-3, 4, (min(width, 12), width))
    labels = np.arange(count + 20) % classes
    parts = _bell(random, (count + 20, len(mixing)), 6) @ mixing // 4
    rows = _levels(centres[labels] + parts + _bell(random, (count + 20, width), 4))
    return MachineSet(
        features=rows[:count], labels=labels[:count], queries=rows[count:], taps=taps or (width,)
    )


def _with_features(base: MachineSet, change: Callable[[Whole], Whole]) -> MachineSet:
    """Return a set whose features and queries are changed alike."""
    both = np.concatenate([base.features, base.queries]).astype(np.int64)
    rows = _levels(change(both))
    count, width = len(base.features), rows.shape[1]
    taps = base.taps if sum(base.taps) == width else (width,)
    return replace(base, features=rows[:count], queries=rows[count:], taps=taps)


def _noise(seed: int, count: int, width: int, classes: int, *, above: int = 256) -> MachineSet:
    random = np.random.default_rng(seed)
    rows = random.integers(0, above, (count + 12, width)).astype(np.uint8)
    return MachineSet(
        features=rows[:count],
        labels=np.arange(count) % classes,
        queries=rows[count:],
        taps=(width,),
    )


def _constant_columns(rows: Whole) -> Whole:
    return np.where(np.arange(rows.shape[1]) % 2 == 0, 7, rows)


def _identical_rows() -> MachineSet:
    """Six classes of ten identical rows each."""
    base = _noise(8, 6, 24, 6)
    return replace(base, features=base.features.repeat(10, axis=0), labels=np.repeat(range(6), 10))


def _isotropic() -> MachineSet:
    """Each row moves one column up or down: all eigenvalues are equal."""
    steps = np.concatenate([np.eye(40, dtype=np.int64), -np.eye(40, dtype=np.int64)]) * 50
    rows = _levels(128 + steps)
    return MachineSet(
        features=rows, labels=np.zeros(80, np.int64), queries=rows[:10] // 2, taps=(40,)
    )


def _low_rank(width: int) -> MachineSet:
    """Columns of rank five."""
    random = np.random.default_rng(21)
    sides = random.integers(-8, 9, (5, width))
    rows = _levels(128 + random.integers(-3, 4, (170, 5)) @ sides)
    return MachineSet(
        features=rows[:150], labels=np.arange(150) % 2, queries=rows[150:], taps=(width,)
    )


def _in_time(seed: int, drift: int) -> MachineSet:
    """A stream of 300 facts, whose level drifts by `drift` hundredths a fact."""
    base = _clouds(seed, 300, 12, classes=2)
    moved = base.features.astype(np.int64) + (np.arange(300) * drift // 100)[:, None]
    times = START_NS + np.arange(300) * SECOND_NS
    return replace(base, features=_levels(moved), times=times)


def _clusters() -> MachineSet:
    """Classes of many small groups: the nearest neighbour is much nearer than the mean."""
    random = np.random.default_rng(16)
    groups = random.integers(20, 236, (30, 16))
    at = np.arange(330) % 30
    rows = _levels(groups[at] + _bell(random, (330, 16), 1))
    return MachineSet(features=rows[:300], labels=at[:300] % 3, queries=rows[300:], taps=(16,))


def _weighted(seed: int, zero: int) -> MachineSet:
    base = _clouds(seed, 120, 40, taps=(10, 30))
    weights = ((np.arange(40) % 7 + 1) / 16).astype(np.float32)
    return replace(base, weights=weights, zeros=np.full(40, zero, np.int32))


def _two_domains() -> MachineSet:
    base = _clouds(29, 240, 20, classes=4)
    return replace(base, domains=base.labels // 2)


SETS: dict[str, Callable[[], MachineSet]] = {
    "clouds": lambda: _clouds(0, 200, 24),
    "taps": lambda: _clouds(1, 150, 60, taps=(10, 20, 30)),
    "constant_columns": lambda: _with_features(_clouds(2, 120, 30), _constant_columns),
    "twin_columns": lambda: _with_features(
        _clouds(3, 120, 20), lambda rows: np.concatenate([rows, rows], axis=1)
    ),
    "mirrored_columns": lambda: _with_features(
        _clouds(4, 120, 20), lambda rows: np.concatenate([rows, 255 - rows], axis=1)
    ),
    "dependent_column": lambda: _with_features(
        _clouds(5, 120, 20),
        lambda rows: np.concatenate([rows, rows[:, :1] // 2 + rows[:, 1:2] // 2], axis=1),
    ),
    "fewer_facts_than_columns": lambda: _clouds(6, 20, 300),
    "fewer_facts_than_narrow_columns": lambda: _clouds(33, 20, 60),
    "five_facts": lambda: _clouds(7, 5, 60, classes=1),
    "identical_rows": _identical_rows,
    "doubled_rows": lambda: replace(
        (base := _clouds(9, 60, 24)),
        features=base.features.repeat(2, axis=0),
        labels=base.labels.repeat(2),
    ),
    "one_class": lambda: _clouds(10, 100, 24, classes=1),
    "one_fact_a_class": lambda: _clouds(11, 30, 24, classes=30),
    "two_facts_spare": lambda: _clouds(12, 32, 24, classes=30),
    "noise_1280": lambda: _noise(13, 200, 1280, 4),
    "noise_1280_many": lambda: _noise(14, 1400, 1280, 4),
    "equal_eigenvalues": _isotropic,
    "clusters": _clusters,
    "zeros": lambda: _noise(17, 30, 24, 2, above=1),
    "binary": lambda: _with_features(_noise(18, 150, 64, 3, above=2), lambda rows: rows * 255),
    "single_column": lambda: _clouds(19, 60, 1),
    "many_classes": lambda: _clouds(20, 300, 200, classes=60),
    "low_rank": lambda: _low_rank(100),
    "low_rank_wide": lambda: _low_rank(200),
    "more_classes_than_columns": lambda: _clouds(22, 200, 8, classes=40),
    "weights": lambda: _weighted(23, 0),
    "weights_and_zeros": lambda: _weighted(24, 128),
    "encoder_taps": lambda: _clouds(25, 120, sum(PACS_TAPS), classes=7, taps=PACS_TAPS),
    "wide": lambda: _clouds(26, 500, 300),
    "tall": lambda: _clouds(27, 2048, 16),
    "in_time": lambda: _in_time(28, 0),
    "drift_in_time": lambda: _in_time(30, 12),
    "two_domains": _two_domains,
    "huge_counts": lambda: replace(_clouds(31, 60, 24), doubled=24),
}
"""By name; each is made when it is called."""

AWKWARD = tuple(name for name in SETS if name not in {"noise_1280_many", "tall", "wide"})
"""The sets that take a fraction of a second each."""
