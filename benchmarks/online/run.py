"""Accuracy and time, sample by sample: each is answered first and learned afterwards (prequential
evaluation, Gama et al. 2013), with River's own methods in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from threadpoolctl import threadpool_limits

from edge.river import AnomalyDetector, Classifier

from ..report import BenchmarkReport, BenchmarkRow
from .sets import Stream, anomalous, classified

OURS: Final = "auricle"
"""The method of our rows."""
TIMED: Final = "pacs, 24 columns"
"""The stream of the summary's time: its width is that of the target."""


def run(data: Path | None) -> BenchmarkReport:
    """Run all streams, about ten minutes."""
    with threadpool_limits(1):
        rows = [*_classification(data), *_anomalies(data)]
    notes = () if data is not None else ("without data: no electricity, PACS and SKAB",)
    return BenchmarkReport("online", tuple(rows), _summary(rows), notes)


def _summary(rows: Iterable[BenchmarkRow]) -> dict[str, float]:
    at = {(row.method, row.metric): row.value for row in rows}
    accuracies = [metric for method, metric in at if method == OURS and "accuracy" in metric]
    areas = [metric for method, metric in at if method == OURS and "auroc" in metric]
    found = {
        "accuracy_over_tree": mean(at[OURS, m] - at["hoeffding tree", m] for m in accuracies),
        "accuracy_over_knn": mean(at[OURS, m] - at["knn", m] for m in accuracies),
        "accuracy_over_forest": mean(at[OURS, m] - at["adaptive forest", m] for m in accuracies),
        "auroc_over_trees": mean(at[OURS, m] - at["half-space trees", m] for m in areas),
    }
    if (OURS, f"{TIMED}: ms") in at:
        found["sample_ms"] = at[OURS, f"{TIMED}: ms"]
    return found


def _classification(data: Path | None) -> Iterator[BenchmarkRow]:
    from river import forest, neighbors, preprocessing, tree

    methods: dict[str, Callable[[], Any]] = {
        OURS: Classifier,
        "hoeffding tree": lambda: tree.HoeffdingAdaptiveTreeClassifier(seed=1),
        "knn": lambda: preprocessing.StandardScaler() | neighbors.KNNClassifier(),
        "adaptive forest": lambda: forest.ARFClassifier(seed=1),
    }
    for name, load in classified(data).items():
        stream = load()
        for method, make in methods.items():
            right, spent = _answer(make(), stream)
            yield BenchmarkRow(method, f"{name}: accuracy", right / len(stream))
            yield BenchmarkRow(method, f"{name}: ms", spent)


def _answer(model: Any, stream: Stream) -> tuple[int, float]:
    """Return how many answers were right, and the median milliseconds to answer and learn."""
    right, spent = 0, []
    for x, y in stream:
        begun = time.perf_counter()
        found = model.predict_one(x)
        model.learn_one(x, y)
        spent.append(time.perf_counter() - begun)
        right += found == y
    return right, median(spent) * 1e3


def _anomalies(data: Path | None) -> Iterator[BenchmarkRow]:
    from river import anomaly, preprocessing

    methods: dict[str, Callable[[], Any]] = {
        OURS: AnomalyDetector,
        "half-space trees": lambda: preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1),
    }
    for name, load in anomalous(data).items():
        parts = load()
        for method, make in methods.items():
            found = [_score(make(), part) for part in parts]
            yield BenchmarkRow(method, f"{name}: auroc", mean(area for area, _ in found))
            yield BenchmarkRow(method, f"{name}: ms", median(spent for _, spent in found))


def _score(model: Any, stream: Stream) -> tuple[float, float]:
    """Return the area under the ROC curve, and the median milliseconds to score and learn."""
    from sklearn.metrics import roc_auc_score

    scores, spent = [], []
    for x, _ in stream:
        begun = time.perf_counter()
        scores.append(model.score_one(x))
        model.learn_one(x)
        spent.append(time.perf_counter() - begun)
    return float(roc_auc_score([y for _, y in stream], scores)), median(spent) * 1e3
