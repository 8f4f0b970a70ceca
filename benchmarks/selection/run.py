"""Accuracy and novelty detection with few facts a concept, for every selector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from time import process_time
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

import hdc
from edge.core import SELECTORS, FactPool, keep_rows, rank_ids

from ..continual.data import ContinualSamples, Rows
from ..continual.ours import answer_rows, derive
from ..ood.sets import MissingError
from ..report import BenchmarkReport, BenchmarkRow
from .sets import CHANGED, DEVELOPMENT, SETS

SEEDS: Final = (0, 1, 2)
"""Seeds of splits, orders and ranks."""
CAPACITIES: Final = (20, 5, 100)
"""Facts of a concept, at most; the first is the summary's."""
ORDERS: Final = ("time", "shuffled")
"""How facts arrive."""
ALL: Final = "all"
"""Every fact is kept."""
NEWEST: Final = "newest"
"""What the others are compared with: the default in fleets."""
SELECTION: Final = "mixed"
"""The selector that the documentation recommends for accuracy."""
PICTURES: Final = "pacs"
"""The set on which novelty detection is measured."""
NOVEL: Final = 3
"""The domain of PACS that is held back as novel: sketches."""
QUICK_SETS: Final = ("digits", "wine", "iris", "breast_cancer")
"""Sets of a quick run: those that ship with scikit-learn."""

Found = dict[tuple[str, str, int, str], list[float]]
"""Figures of each seed by set, selector, capacity and order."""


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Compare selectors.  Quick: the packaged sets, one seed and 20 facts a concept.

    Cost: about 20 s for a quick run, half an hour for all.  Raises SystemExit for a set that does
    not exist.
    """
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise SystemExit(f"select: unknown set {unknown[0]!r}, expected some of {', '.join(SETS)}")
    seeds, capacities = (SEEDS[:1], CAPACITIES[:1]) if quick else (SEEDS, CAPACITIES)
    found: Found = {}
    novelty: Found = {}
    spent: Found = {}
    notes = []
    with threadpool_limits(1):
        for name in sets or (QUICK_SETS if quick else SETS):
            try:
                for seed in seeds:
                    samples = SETS[name](data, seed)
                    measure_set(name, samples, seed, capacities, (found, novelty, spent))
            except MissingError as reason:
                notes.append(f"{name}: {reason}")
    lines = (
        *_rows(found, "accuracy"),
        *_rows(novelty, "novelty AUROC"),
        *_rows(spent, "us a fact"),
    )
    notes.append(f"development sets: {', '.join(sorted(DEVELOPMENT))}; the others confirm")
    return BenchmarkReport("select", lines, summarise(found), tuple(notes))


def measure_set(
    name: str,
    samples: ContinualSamples,
    seed: int,
    capacities: Sequence[int],
    into: tuple[Found, Found, Found],
) -> None:
    """Measure every selector on a set, and keeping all.  into: accuracies, AUROCs of pictures, and
    microseconds a fact."""
    found, novelty, spent = into
    record(found, (name, ALL, 0, ""), accuracy(samples, samples.train, seed))
    if name == PICTURES:
        record(novelty, (name, ALL, 0, ""), auroc(samples, samples.train, seed))
    orders = ORDERS[:1] if name == CHANGED else ORDERS
    for way, capacity, keep in product(orders, capacities, SELECTORS):
        key = (name, keep, capacity, way)
        began = process_time()
        rows = stream(samples, keep, capacity, way, seed)
        record(spent, key, 1e6 * (process_time() - began) / len(samples.train))
        record(found, key, accuracy(samples, rows, seed))
        if name == PICTURES and capacity == CAPACITIES[0]:
            record(novelty, key, auroc(samples, rows, seed))


def record(found: Found, key: tuple[str, str, int, str], value: float) -> None:
    """Add the figure of one seed."""
    found.setdefault(key, []).append(value)


def stream(samples: ContinualSamples, keep: str, capacity: int, way: str, seed: int) -> Rows:
    """Return the rows that stay when facts arrive one by one, as the runtime admits them."""
    ranks = rank_ids(f"{seed}-{row:05}" for row in range(len(samples.label)))
    arriving = samples.train
    if way == "shuffled":
        arriving = np.random.default_rng(seed).permutation(arriving)
    concepts = samples.domain * samples.classes + samples.label
    kept = []
    for concept in np.unique(concepts):
        rows: list[int] = []
        for row in arriving[concepts[arriving] == concept].tolist():
            rows.append(row)
            if len(rows) > capacity:
                pool = FactPool(samples.features[rows], ranks[rows])
                rows = [rows[at] for at in keep_rows(keep, pool, capacity).tolist()]
        kept += rows
    return np.sort(np.array(kept))


def accuracy(samples: ContinualSamples, rows: Rows, seed: int) -> float:
    """Return the mean accuracy over domains, unknown to the answer: the router's and heads'."""
    right = answer_rows(derive(samples, rows, seed), samples, samples.held).answered
    right = right == samples.label[samples.held]
    domain = samples.domain[samples.held]
    return fmean(float(right[domain == one].mean()) for one in np.unique(domain))


def auroc(samples: ContinualSamples, rows: Rows, seed: int) -> float:
    """Return the AUROC of sketches against held-out samples of the other domains, the only ones
    learned."""
    known = derive(samples, rows[samples.domain[rows] != NOVEL], seed)
    codes = known.geometry.project(samples.features[samples.held])
    scores = hdc.novelty(codes, known.memory, known.calibration())
    return float(roc_auc_score(samples.domain[samples.held] == NOVEL, scores))


def _rows(found: Found, what: str) -> Iterator[BenchmarkRow]:
    for (name, keep, capacity, way), values in found.items():
        metric = f"{name}, {capacity} a concept, {way}: {what}" if way else f"{name}: {what}"
        yield BenchmarkRow(keep, metric, fmean(values))
        if len(values) > 1:
            yield BenchmarkRow(keep, f"{metric}, sd", stdev(values))


def summarise(found: Found) -> dict[str, float]:
    """Return points of accuracy at 20 facts a concept, means over sets and orders.

    selection_over_newest_points: of the recommended selector, on all sets;
    confirmed_over_newest_points: on those that are not development sets.
    selection_below_all_points: how far it stays below keeping all.  changed_over_newest_points:
    where labels change their meaning, which counts in no mean.
    """
    steady = {key: values for key, values in found.items() if key[0] != CHANGED}
    changed = {key: values for key, values in found.items() if key[0] == CHANGED}
    made: dict[str, float] = {}
    for keep in (one for one in SELECTORS if one != NEWEST):
        made |= _mean(f"{keep}_over_newest_points", _gains(steady, keep))
    ours = _gains(steady, SELECTION)
    made |= _mean("selection_over_newest_points", ours)
    confirmed = [one for one in ours if one[0] not in DEVELOPMENT]
    made |= _mean("confirmed_over_newest_points", confirmed)
    made |= _mean("changed_over_newest_points", _gains(changed, SELECTION))
    below = _mean("selection_below_all_points", _gains(steady, SELECTION, ALL))
    below |= _mean("newest_below_all_points", _gains(steady, NEWEST, ALL))
    return made | {name: -value for name, value in below.items()}


def _mean(name: str, gains: Sequence[tuple[str, float]]) -> dict[str, float]:
    return {name: fmean(gain for _, gain in gains)} if gains else {}


def _gains(found: Found, keep: str, over: str = NEWEST) -> list[tuple[str, float]]:
    """Return by set and order how many points a selector gains over another at 20 a concept."""
    made = []
    for (name, selector, capacity, way), values in found.items():
        if (selector, capacity) == (keep, CAPACITIES[0]):
            base = found[(name, ALL, 0, "") if over == ALL else (name, over, capacity, way)]
            made.append((name, 100 * (fmean(values) - fmean(base))))
    return made
