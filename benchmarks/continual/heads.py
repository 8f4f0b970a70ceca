"""Heads for a new domain: the runtime's head compared with other closed-form heads and logistic
regression.

PACS, all taps as uint8, official split; each domain in turn is new, with 1 to all labels per class,
and the other three support it.  Accuracy on the new domain's official held-out part.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

import encoder
from edge.core import HEAD_FACTS_MAX, SUPPORT_FACTS_MAX, FactBatch, untimed_batch
from edge.core.adaptors import fit_adaptor

from ..report import BenchmarkReport, BenchmarkRow

LABELS_A_CLASS = (1, 5, 10, 20, None)
DRAWS = 3
"""Draws of the few labels, for a mean and a range."""
EDGES = (0, 1280, 1296, 1320, 1360, 1440, 1552, 1744, 2064)
"""Columns of the features and of the seven stages of EfficientNet-Lite0 in the PACS file."""
SPANS = tuple(pairwise(EDGES))
FILES = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")

Answer = Callable[[FactBatch, FactBatch, NDArray[np.uint8]], NDArray[np.int64]]


def run(data: Path | None) -> BenchmarkReport:
    """Run all heads on all domains; about two minutes."""
    if data is None or not all((data / name).is_file() for name in FILES):
        return BenchmarkReport(
            "heads", (), {}, (f"skipped: needs --data with {' and '.join(FILES)}",)
        )
    features, label, domain, held = _pacs(data)
    rows = []
    for count in LABELS_A_CLASS:
        found: dict[str, list[float]] = {name: [] for name in METHODS}
        for new in range(4):
            for draw in range(DRAWS if count else 1):
                own, others = _drawn(
                    features, label, domain, train=~held, new=new, count=count, draw=draw
                )
                test = held & (domain == new)
                for name, answer in METHODS.items():
                    right = answer(own, others, features[test]) == label[test]
                    found[name].append(float(right.mean()))
        metric = f"accuracy_{count or 'all'}"
        rows += [
            BenchmarkRow(name, metric, float(np.mean(values))) for name, values in found.items()
        ]
    summary = {row.metric: row.value for row in rows if row.method == "auricle"}
    return BenchmarkReport("heads", tuple(rows), summary)


def _pacs(
    data: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    final, stages = (np.load(data / name) for name in FILES)
    taps = [final["features"], *(stages[f"stage{number}"] for number in range(1, 8))]
    values = np.concatenate(taps, axis=1).astype(np.float32)
    held = final["split"] == 1
    spans = tuple(slice(a, b) for a, b in SPANS)
    frozen = encoder.freeze_quantiser(values[~held][::10], spans)
    quantised = frozen.quantise(values)
    return quantised, final["label"].astype(np.int64), final["domain"].astype(np.int64), held


def _drawn(
    features: NDArray[np.uint8],
    label: NDArray[np.int64],
    domain: NDArray[np.int64],
    train: NDArray[np.bool_],
    new: int,
    count: int | None,
    draw: int,
) -> tuple[FactBatch, FactBatch]:
    order = np.random.default_rng(draw).permutation(np.flatnonzero(train))
    mine, rest = order[domain[order] == new], order[domain[order] != new]
    if count is not None:
        mine = np.concatenate([mine[label[mine] == one][:count] for one in np.unique(label)])
    return tuple(
        untimed_batch(
            tuple(f"{row:05}" for row in rows),
            tuple(f"{domain[row]}" for row in rows),
            tuple(f"{label[row]}" for row in rows),
            features[rows],
        )
        for rows in (np.sort(mine[:HEAD_FACTS_MAX]), np.sort(rest[:SUPPORT_FACTS_MAX]))
    )  # type: ignore[return-value]


def _ours(own: FactBatch, others: FactBatch, test: NDArray[np.uint8]) -> NDArray[np.int64]:
    head = fit_adaptor(own, others, None, SPANS)
    return np.asarray(np.array(head.labels, np.int64)[head.answer(test).argmax(axis=1)])


def _scaled(own: FactBatch) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    mean, spread = own.features.mean(axis=0), own.features.std(axis=0) + 1.0
    return lambda rows: (rows - mean) / spread


def _scratch(own: FactBatch, _others: FactBatch, test: NDArray[np.uint8]) -> NDArray[np.int64]:
    scale, label = _scaled(own), np.array(own.labels, np.int64)
    rows = scale(own.features)
    solved = Ridge(0.3 * np.square(rows).sum() / len(rows)).fit(rows, np.eye(7)[label])
    return np.asarray(solved.predict(scale(test)).argmax(axis=1))


def _residual(own: FactBatch, others: FactBatch, test: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The other domains' ridge regression, plus a ridge on its residual in the new domain."""
    wide, near = _scaled(others), _scaled(own)
    rows = wide(others.features)
    base = Ridge(0.3 * np.square(rows).sum() / len(rows)).fit(
        rows, np.eye(7)[np.array(others.labels, np.int64)]
    )
    left = np.eye(7)[np.array(own.labels, np.int64)] - base.predict(wide(own.features))
    rows = near(own.features)
    delta = Ridge(0.3 * np.square(rows).sum() / len(rows)).fit(rows, left)
    return np.asarray((base.predict(wide(test)) + delta.predict(near(test))).argmax(axis=1))


def _logistic(own: FactBatch, _others: FactBatch, test: NDArray[np.uint8]) -> NDArray[np.int64]:
    scale, label = _scaled(own), np.array(own.labels, np.int64)
    fitted = LogisticRegression(C=0.001, max_iter=300).fit(scale(own.features), label)
    return np.asarray(fitted.predict(scale(test)))


METHODS: dict[str, Answer] = {
    "auricle": _ours,
    "ridge from scratch": _scratch,
    "others plus residual": _residual,
    "logistic from scratch": _logistic,
}
