"""Active learning in a new domain: the runtime's choice compared with other query strategies.

On each set every source domain in turn is new; 256 of its rows are a pool of unlabelled
observations, from which each strategy picks as many as 1, 2 or 5 labels per class, without knowing
the classes.  The head is solved from those, with the other domains' facts as support.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from edge.core import NOVEL_DOMAIN_OBSERVATIONS_MAX, SUPPORT_FACTS_MAX, FactBatch, untimed_batch
from edge.core.adaptors import fit_adaptor
from edge.core.labelling import choose_candidates, score_candidates

from ..ood.sets import FeatureSet, load_sets
from ..report import BenchmarkRow

LABELS_A_CLASS = (1, 2, 5)
"""Few labels: there the choice of what to label matters most."""
DRAWS = 3
"""Draws of the pool and the test rows, for a mean and a range."""
TESTED_MAX = 600
"""Rows that are tested: a standard error of about 2 points."""
NEAREST = 3
"""Largest domains of each set that each take the part of the new one once."""

Levels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Pick = Callable[[Floats, Floats, int, np.random.Generator], list[int]]


def run_active(data: Path | None) -> list[BenchmarkRow]:
    """Return the mean accuracy by strategy, set and labels per class; some twenty minutes on one
    core."""
    rows: list[BenchmarkRow] = []
    for known in load_sets(data)[0]:
        if known.new is None and _shared(known):
            rows += _measure(known)
    return rows + _means(rows)


def _shared(known: FeatureSet) -> bool:
    """Return whether every source domain has the labels of all others, so that support can help."""
    kinds = [set(known.label[known.domain == one].tolist()) for one in known.sources]
    return len(kinds) > 1 and all(kind == kinds[0] for kind in kinds)


def _measure(known: FeatureSet) -> Iterator[BenchmarkRow]:
    classes = len(np.unique(known.label))
    for count in LABELS_A_CLASS:
        found: dict[str, list[float]] = {name: [] for name in RULES}
        for new in known.sources:
            for draw in range(DRAWS):
                for name, accuracy in _trial(known, new, draw, count * classes).items():
                    found[name].append(accuracy)
        for name, values in found.items():
            yield BenchmarkRow(name, f"{known.name}_{count}", fmean(values))


def _trial(known: FeatureSet, new: int, draw: int, budget: int) -> dict[str, float]:
    random = np.random.default_rng([draw, new])
    scale, zero = known.quantiser(known.values[known.domain != new])
    levels = np.clip(np.rint(known.values / scale) + zero, 0, 255).astype(np.uint8)
    mine = random.permutation(np.flatnonzero(known.domain == new))
    pool = mine[:NOVEL_DOMAIN_OBSERVATIONS_MAX]
    test = mine[len(pool) :][:TESTED_MAX]
    rest = random.permutation(np.flatnonzero(known.domain != new))[:SUPPORT_FACTS_MAX]
    others = _batch(known, levels, rest)
    answers = score_candidates(_answers(known, levels, rest, pool))
    rows = _standardised(levels[pool], known.slices)
    made = {}
    for name, pick in RULES.items():
        chosen = pick(answers, rows, budget, np.random.default_rng(draw))
        adaptor = fit_adaptor(_batch(known, levels, pool[chosen]), others, None, known.slices)
        answers = np.array(adaptor.labels)[adaptor.answer(levels[test]).argmax(axis=1)]
        made[name] = float((answers == known.label[test].astype(str)).mean())
    return made


def _answers(
    known: FeatureSet, levels: Levels, rest: NDArray[np.intp], pool: NDArray[np.intp]
) -> list[Floats]:
    """Return the scores of the (at most three largest) other domains on the pool."""
    domains, counts = np.unique(known.domain[rest], return_counts=True)
    made = []
    for one in domains[np.argsort(-counts, kind="stable")][:NEAREST]:
        own = known.domain[rest] == one
        parts = (_batch(known, levels, rest[own]), _batch(known, levels, rest[~own]))
        made.append(np.asarray(fit_adaptor(*parts, None, known.slices).answer(levels[pool])))
    return made


def _standardised(levels: Levels, slices: tuple[tuple[int, int], ...]) -> Floats:
    """Return standardised columns, with equal weight for every tap."""
    rows = levels.astype(np.float32)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1)
    for start, stop in slices:
        rows[:, start:stop] /= np.float32(np.sqrt(stop - start))
    return np.asarray(rows, np.float32)


def _batch(known: FeatureSet, levels: Levels, rows: NDArray[np.intp]) -> FactBatch:
    rows = np.sort(rows)
    return untimed_batch(
        tuple(f"{row:06}" for row in rows),
        tuple(str(known.domain[row]) for row in rows),
        tuple(str(known.label[row]) for row in rows),
        levels[rows],
    )


def _ours(answers: Floats, _rows: Floats, count: int, _random: np.random.Generator) -> list[int]:
    return list(choose_candidates(answers, count))


def _typical(_answers: Floats, rows: Floats, count: int, _random: np.random.Generator) -> list[int]:
    """TypiClust on the features themselves, as published."""
    return list(choose_candidates(rows, count))


def _chance(_answers: Floats, rows: Floats, count: int, random: np.random.Generator) -> list[int]:
    return [int(row) for row in random.permutation(len(rows))[:count]]


def _farthest(_answers: Floats, rows: Floats, count: int, random: np.random.Generator) -> list[int]:
    """k-centre greedy (Sener & Savarese 2018) from a random row."""
    chosen = [int(random.integers(len(rows)))]
    away = np.full(len(rows), np.inf)
    while len(chosen) < min(count, len(rows)):
        away = np.minimum(away, np.square(rows - rows[chosen[-1]]).sum(axis=1))
        chosen.append(int(away.argmax()))
    return chosen


def _smallest_margin(
    answers: Floats, _rows: Floats, count: int, _random: np.random.Generator
) -> list[int]:
    """Smallest margins between the two most likely answers (Scheffer et al. 2001)."""
    best = np.sort(answers, axis=1)
    return [int(row) for row in np.argsort(best[:, -1] - best[:, -2], kind="stable")[:count]]


def _means(rows: list[BenchmarkRow]) -> list[BenchmarkRow]:
    """Return each strategy's mean over all sets."""
    return [
        BenchmarkRow(
            name,
            f"all_sets_{count}",
            fmean(r.value for r in rows if r.method == name and r.metric.endswith(f"_{count}")),
        )
        for name in RULES
        for count in LABELS_A_CLASS
        if rows
    ]


RULES: dict[str, Pick] = {
    "auricle": _ours,
    "random": _chance,
    "typiclust": _typical,
    "k-centre": _farthest,
    "margin": _smallest_margin,
}
