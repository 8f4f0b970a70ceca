"""One trial of `ood`: one domain is enrolled, its held-out rest is known, every other domain is
new."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import hdc

from .peers import peer_scores
from .sets import FeatureSet

Reals = NDArray[np.float64]
Rows = NDArray[np.intp]

OURS = "auricle"
RATE = 0.01
"""The runtime's default false-alarm rate."""
SHARE = 0.7
"""Of a source's rows are enrolled, the rest is tested as known."""
ENROLLED_MAX = 2000
"""Bounds the run time of peers that compare all pairs of rows."""
KNOWN_MAX = 1200
"""A false-alarm rate of 1 % is then known to 0.3 points (standard error)."""
NEW_MAX = 700
"""Of each domain, so that a large one does not outweigh the others."""
WINDOWS = 300
"""Windows drawn for each domain."""
SIZES = (16, 64)
"""Observations in a window: the runtime's default, and four times that."""


@dataclass(frozen=True, slots=True)
class OodTask:
    """A trial's source and seed; `per_class` limits the enrolment, None takes 70 % of the
    domain."""

    source: int
    seed: int
    per_class: int | None = None
    windows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OodTrial:
    """Fractions of 1. auroc, fpr95: per (method, new domain). alarms: false alarms by kind
    (`sample`, `window16`, `window16_two_class`, ...); detected: the same per new domain."""

    name: str
    task: OodTask
    auroc: dict[tuple[str, int], float]
    fpr95: dict[tuple[str, int], float]
    alarms: dict[str, float] = field(default_factory=dict)
    detected: dict[tuple[str, int], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Decisions on rows of one domain, with their true labels."""

    verdicts: tuple[hdc.Verdict, ...]
    labels: NDArray[np.int64]


def run_trial(known: FeatureSet, task: OodTask, *, peers: bool = True) -> OodTrial:
    """Enrol, score and decide; the same rows for every method.  peers: False for ours alone."""
    random = np.random.default_rng([task.seed, task.source])
    enrolled, rest = _split(known, task, random)
    new = {
        domain: random.permutation(np.flatnonzero(known.domain == domain))[:NEW_MAX]
        for domain in known.new or sorted(set(known.domain.tolist()) - {task.source})
    }
    queries = np.concatenate([rest, *new.values()])
    scores, ours = _ours(known, enrolled, queries)
    _, labels = np.unique(known.label[enrolled], return_inverse=True)
    values = known.values.astype(np.float64)
    scored = {OURS: scores}
    if peers:
        scored |= peer_scores(values[enrolled], labels, values[queries], known.slices)
    edges = np.cumsum([0, len(rest), *(len(rows) for rows in new.values())])
    parts = {d: slice(*edges[n : n + 2]) for n, d in enumerate([task.source, *new])}
    trial = OodTrial(name=known.name, task=task, auroc={}, fpr95={})
    for method, found in scored.items():
        for domain in new:
            pair = found[parts[task.source]], found[parts[domain]]
            trial.auroc[method, domain] = _auroc(*pair)
            trial.fpr95[method, domain] = float((pair[1] <= np.quantile(pair[0], 0.95)).mean())
    if task.windows:
        judged = {
            domain: Judged(ours.judge_all(queries[part]), known.label[queries[part]])
            for domain, part in parts.items()
        }
        _test(trial, ours.calibration, judged, random)
    return trial


@dataclass(frozen=True, slots=True, eq=False)
class _Ours:
    known: FeatureSet
    quantise: "_Quantise"
    memory: hdc.Memory
    calibration: hdc.Calibration

    def judge_all(self, rows: Rows) -> tuple[hdc.Verdict, ...]:
        codes = self.memory.geometry.project(self.quantise(self.known.values[rows]))
        return tuple(
            hdc.detect(codes[place], self.memory, self.calibration, RATE)
            for place in range(len(codes))
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Quantise:
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        levels = np.rint(values / self.scale) + self.zero
        return np.asarray(np.clip(levels, 0, 255), dtype=np.uint8)


def _ours(known: FeatureSet, enrolled: Rows, queries: Rows) -> tuple[Reals, _Ours]:
    """Return our scores of `queries`, and the detector, with the same recipe for every set."""
    scale, zero = known.quantiser(known.values[enrolled])
    quantise = _Quantise(scale, zero)
    rows = quantise(known.values[enrolled])
    labels = known.label[enrolled]
    geometry = hdc.fit_geometry(rows, labels, known.slices, 1, zeros=zero, weights=scale)
    codes = geometry.project(rows)
    memory = hdc.Memory(geometry)
    facts = [("known", str(label), codes[labels == label]) for label in np.unique(labels).tolist()]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)
    found = hdc.novelty(geometry.project(quantise(known.values[queries])), memory, calibration)
    return found.astype(np.float64), _Ours(known, quantise, memory, calibration)


def _split(known: FeatureSet, task: OodTask, random: np.random.Generator) -> tuple[Rows, Rows]:
    enrolled, rest = [], []
    for label in np.unique(known.label[known.domain == task.source]):
        rows = np.flatnonzero((known.label == label) & (known.domain == task.source))
        rows = _shuffled(rows, None if known.group is None else known.group[rows], random)
        kept = round(SHARE * len(rows))
        enrolled.append(rows[: kept if task.per_class is None else task.per_class])
        rest.append(rows[kept:])
    return (
        random.permutation(np.concatenate(enrolled))[:ENROLLED_MAX],
        random.permutation(np.concatenate(rest))[:KNOWN_MAX],
    )


def _shuffled(rows: Rows, group: NDArray[np.int64] | None, random: np.random.Generator) -> Rows:
    """Return the rows in random order, rows of one group together."""
    if group is None:
        return random.permutation(rows)
    names, members = np.unique(group, return_inverse=True)
    return rows[np.argsort(random.permutation(len(names))[members], kind="stable")]


def _test(
    trial: OodTrial,
    calibration: hdc.Calibration,
    judged: Mapping[int, Judged],
    random: np.random.Generator,
) -> None:
    for domain, found in judged.items():
        alarmed = {"sample": [v.known is False for v in found.verdicts]}
        for size in SIZES:
            alarmed[f"window{size}"] = _windows(found, size, calibration, random, two_class=False)
            skewed = _windows(found, size, calibration, random, two_class=True)
            alarmed[f"window{size}_two_class"] = skewed
        for what, alarms in alarmed.items():
            if domain == trial.task.source:
                trial.alarms[what] = float(np.mean(alarms))
            else:
                trial.detected[what, domain] = float(np.mean(alarms))


def _windows(
    judged: Judged,
    size: int,
    calibration: hdc.Calibration,
    random: np.random.Generator,
    *,
    two_class: bool,
) -> list[bool]:
    """Return alarms over windows drawn from the rows, of all labels or of two labels per window."""
    labels = np.unique(judged.labels)
    alarmed = []
    for _ in range(WINDOWS):
        rows = np.arange(len(judged.labels))
        if two_class and len(labels) > 2:
            rows = np.flatnonzero(np.isin(judged.labels, random.choice(labels, 2, replace=False)))
        chosen = random.choice(rows, size, replace=len(rows) < size)
        window = [judged.verdicts[row] for row in chosen]
        alarmed.append(hdc.detect_window(window, calibration, RATE).known is False)
    return alarmed


def _auroc(known: Reals, new: Reals) -> float:
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([0, 1], [len(known), len(new)])
    return float(roc_auc_score(truth, np.concatenate([known, new])))
