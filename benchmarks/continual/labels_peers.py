"""The peers of `labels`: linear probe, nearest neighbours, RanPAC, each in several variants.

Every peer gets float features, the first tap alone or all taps, and the new domain's labels alone
or together with those of the old domains; the best mean accuracy of its variants (`peer/way`)
counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Reals = NDArray[np.float32]
Labels = NDArray[np.int64]
Slices = tuple[tuple[int, int], ...]

PROJECTED = 5_000
"""RanPAC projects to 10,000 (McDonnell et al. 2023); half of it halves the run time.  Effect not
measured."""
PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)
"""Ridge penalties a decade apart, the best one reported: an upper bound for the peer."""
NEIGHBOURS = (1, 5)
"""k of the nearest-neighbour peers.  Chosen by hand; effect not measured."""
INVERSE_PENALTIES = (1e-3, 1e-2)
"""C of scikit-learn's logistic regression.  Chosen by hand; effect not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelTask:
    """Labelled rows of the new domain and of the old ones, and the test rows."""

    own: Reals
    own_labels: Labels
    old: Reals
    old_labels: Labels
    test: Reals


def peer_answers(task: LabelTask, slices: Slices) -> dict[str, Labels]:
    """Return labels int64 [test rows] by `peer/way`."""
    made: dict[str, Labels] = {}
    for way, (rows, labels, test, own) in _ways(task, slices):
        taps = slices if way.startswith("all") else slices[:1]
        made |= {f"{name}/{way}": found for name, found in _probes(rows, labels, test, own)}
        made |= {f"{name}/{way}": f for name, f in _neighbours(rows, labels, test, taps)}
        made |= {f"{name}/{way}": found for name, found in _ranpac(rows, labels, test)}
    return made


def _ways(
    task: LabelTask, slices: Slices
) -> Iterator[tuple[str, tuple[Reals, Labels, Reals, int]]]:
    """Yield each variant of taps and old labels: rows, their labels, test rows, number of own
    rows."""
    for taps, old in product(("first", "all"), ("new", "both")):
        part = slice(*slices[0]) if taps == "first" else slice(None)
        rows, labels = task.own[:, part], task.own_labels
        if old == "both":
            rows = np.concatenate([rows, task.old[:, part]])
            labels = np.concatenate([labels, task.old_labels])
        yield f"{taps} {old}", (rows, labels, task.test[:, part], len(task.own))


def _probes(rows: Reals, labels: Labels, test: Reals, own: int) -> Iterator[tuple[str, Labels]]:
    """Logistic regression on standardised columns, also with equal weight for new and old
    domains."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    seen, queries = (rows - mean) / spread, (test - mean) / spread
    even = np.ones(len(rows))
    heavy = np.where(np.arange(len(rows)) < own, max(1.0, (len(rows) - own) / own), 1.0)
    for inverse, (name, weights) in product(
        INVERSE_PENALTIES, (("even", even), ("heavy", heavy))[: 1 + (own < len(rows))]
    ):
        fitted = LogisticRegression(C=inverse, max_iter=60, tol=1e-3)
        fitted.fit(seen, labels, sample_weight=weights)
        yield f"linear probe {inverse:g} {name}", np.asarray(fitted.predict(queries), np.int64)


def _neighbours(
    rows: Reals, labels: Labels, test: Reals, taps: Slices
) -> Iterator[tuple[str, Labels]]:
    """Cosine over taps of unit length; ties go to the nearer neighbour."""
    near = _unit(test, taps) @ _unit(rows, taps).T
    for count in NEIGHBOURS:
        best = np.argsort(-near, axis=1, kind="stable")[:, :count]
        votes = np.zeros((len(test), int(labels.max()) + 1))
        for place in range(best.shape[1]):
            votes[np.arange(len(test)), labels[best[:, place]]] += 1 - 0.01 * place
        yield f"knn {count}", np.asarray(votes.argmax(axis=1))


def _unit(rows: Reals, taps: Slices) -> Reals:
    parts = [rows[:, start:stop] for start, stop in taps]
    return np.hstack([p / (np.linalg.norm(p, axis=1, keepdims=True) + 1e-9) for p in parts])


def _ranpac(rows: Reals, labels: Labels, test: Reals) -> Iterator[tuple[str, Labels]]:
    """RanPAC (McDonnell et al. 2023, arXiv 2307.02251): relu of 5,000 random projections, class
    sums decorrelated by the ridge of their Gram matrix, solved here in its dual."""
    matrix = _gaussians(rows.shape[1])
    seen, queries = np.maximum(rows @ matrix, 0), np.maximum(test @ matrix, 0)
    values, vectors = np.linalg.eigh((seen @ seen.T).astype(np.float64))
    onto = vectors.T @ np.eye(int(labels.max()) + 1)[labels]
    near = (queries @ seen.T) @ vectors
    for penalty in PENALTIES:
        scores = near @ (onto / (values.clip(0) + penalty)[:, None])
        yield f"ranpac {penalty:g}", np.asarray(scores.argmax(axis=1))


@cache
def _gaussians(width: int) -> Reals:
    return np.random.default_rng(0).standard_normal((width, PROJECTED)).astype(np.float32)
