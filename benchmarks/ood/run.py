"""Out-of-distribution detection on real features: ours compared with the usual peers on the same
rows and splits.

Every trial enrols 70 % of one domain (or 20 samples per class); its other 30 % is known, all other
domains are new.  AUROC, FPR95 and false-alarm rates are means over splits, then over pairs.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from ..report import BenchmarkReport, BenchmarkRow
from .more_sets import MORE, SMALL, SOUNDS, load_more
from .sets import FeatureSet, load_sets
from .trials import OURS, OodTask, OodTrial, run_trial

SPLITS = 5
"""Splits of each source on the first set, for a mean and a range."""
SPLITS_OTHER = 2
"""Splits of each source on the other sets, where sources vary more than splits."""
FEW = 20
"""Facts a class where few are enrolled."""
SOURCES_FEW = (0, 1, 2)
"""Chosen by hand."""
FIRST = "pacs"

_loaded: dict[str, FeatureSet] = {}


def run(data: Path | None) -> BenchmarkReport:
    """Run all sets and peers; about twenty minutes on two cores.  Notes name the skipped sets."""
    sets, notes = load_sets(data)
    more, missing = load_more()
    sets, notes = [*sets, *more], [*notes, *missing]
    # One thread per process: the work is many small problems, and timings stay comparable.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    jobs = [(known.name, task) for known in sets for task in _tasks(known)]
    workers = max(1, min(len(os.sched_getaffinity(0)), 8))
    with ProcessPoolExecutor(workers, initializer=_prepare, initargs=(sets,)) as pool:
        trials = list(pool.map(_trial, *zip(*jobs, strict=True))) if jobs else []
    full = [trial for trial in trials if trial.task.per_class is None]
    few = [trial for trial in trials if trial.task.per_class is not None]
    rows = [*_rows(full, ""), *_rows(few, "_20_per_class"), *_alarm_rows(full)]
    return BenchmarkReport("ood", tuple(rows), _summary(full, few), tuple(notes))


def _tasks(known: FeatureSet) -> list[OodTask]:
    if known.name != FIRST:
        return [OodTask(s, seed) for s in known.sources for seed in range(SPLITS_OTHER)]
    return [
        *(OodTask(s, seed, windows=True) for s in known.sources for seed in range(SPLITS)),
        *(OodTask(s, seed, per_class=FEW) for s in SOURCES_FEW for seed in range(SPLITS)),
    ]


def _prepare(sets: Sequence[FeatureSet]) -> None:
    import torch

    torch.set_num_threads(1)
    _loaded.update({known.name: known for known in sets})


def _trial(name: str, task: OodTask) -> OodTrial:
    return run_trial(_loaded[name], task)


def _pairs(trials: Iterable[OodTrial], measure: str, method: str) -> list[float]:
    """Return one number per pair of domains: the mean over its splits."""
    found: dict[tuple[int, int], list[float]] = {}
    for trial in trials:
        for (name, domain), value in getattr(trial, measure).items():
            if name == method:
                found.setdefault((trial.task.source, domain), []).append(value)
    return [float(np.mean(values)) for _, values in sorted(found.items())]


def _mean(trials: Sequence[OodTrial], measure: str, method: str) -> float:
    return float(np.mean(_pairs(trials, measure, method)))


def _best_ways(trials: Sequence[OodTrial]) -> dict[str, str]:
    """Return for each method the best way to use the taps on this set."""
    ways = {method for trial in trials for method, _ in trial.auroc}
    best: dict[str, str] = {}
    for way in sorted(ways):
        name = way.partition("/")[0]
        if name not in best or _mean(trials, "auroc", way) > _mean(trials, "auroc", best[name]):
            best[name] = way
    return best


def _named(trials: Sequence[OodTrial]) -> dict[str, list[OodTrial]]:
    names = dict.fromkeys(trial.name for trial in trials)
    return {name: [trial for trial in trials if trial.name == name] for name in names}


def _rows(trials: Sequence[OodTrial], suffix: str) -> Iterable[BenchmarkRow]:
    for name, mine in _named(trials).items():
        for method, way in sorted(_best_ways(mine).items(), key=lambda pair: pair[0] != OURS):
            yield BenchmarkRow(method, f"{name}_auroc{suffix}", _mean(mine, "auroc", way))
            yield BenchmarkRow(method, f"{name}_fpr95{suffix}", _mean(mine, "fpr95", way))
            yield BenchmarkRow(method, f"{name}_worst{suffix}", min(_pairs(mine, "auroc", way)))


def _alarms(trials: Sequence[OodTrial]) -> dict[str, list[float]]:
    """Return false-alarm rates by kind of sample or window: one number per domain, the mean over
    splits."""
    found: dict[str, dict[int, list[float]]] = {}
    for trial in trials:
        for what, rate in trial.alarms.items():
            found.setdefault(what, {}).setdefault(trial.task.source, []).append(rate)
    return {
        what: [float(np.mean(rates)) for _, rates in sorted(by_domain.items())]
        for what, by_domain in found.items()
    }


def _alarm_rows(trials: Sequence[OodTrial]) -> Iterable[BenchmarkRow]:
    for what, rates in _alarms(trials).items():
        for domain, rate in enumerate(rates):
            yield BenchmarkRow(OURS, f"{FIRST}_false_alarms_{what}_domain{domain}", rate)
        yield BenchmarkRow(
            OURS, f"{FIRST}_detected_{what}_worst", min(_pairs(trials, "detected", what))
        )


def _summary(full: Sequence[OodTrial], few: Sequence[OodTrial]) -> dict[str, float]:
    by_set = _named(full)
    made: dict[str, float] = {}
    margins: dict[str, float] = {}
    worst: dict[str, float] = {}
    for name, trials in by_set.items():
        best = _best_ways(trials)
        ours = _mean(trials, "auroc", best.pop(OURS))
        peer = max(best.values(), key=lambda way: _mean(trials, "auroc", way))
        if name != FIRST:
            margins[name] = ours - _mean(trials, "auroc", peer)
            worst[name] = min(_pairs(trials, "auroc", OURS)) - min(_pairs(trials, "auroc", peer))
        if name == FIRST:
            made |= {
                "auroc_mean": ours,
                "fpr95_mean": _mean(trials, "fpr95", OURS),
                "auroc_worst": min(_pairs(trials, "auroc", OURS)),
                "best_peer_auroc": _mean(trials, "auroc", peer),
                "best_peer_fpr95": min(_mean(trials, "fpr95", way) for way in best.values()),
            }
            made |= _alarm_summary(trials)
    if few:
        made["auroc_mean_20_per_class"] = _mean(few, "auroc", OURS)
        made["fpr95_mean_20_per_class"] = _mean(few, "fpr95", OURS)
    for suffix, names in (
        ("", margins.keys() - SMALL.keys()),
        ("_first_eight", margins.keys() - MORE.keys() - SMALL.keys()),
        ("_more", margins.keys() & MORE.keys()),
        ("_small", margins.keys() & SMALL.keys()),
    ):
        part = [margins[name] for name in sorted(names)]
        if part:
            made[f"margin_over_best_peer_mean{suffix}"] = float(np.mean(part))
            made[f"margin_over_best_peer_worst_set{suffix}"] = min(part)
    sounds = [worst[name] for name in SOUNDS if name in worst]
    if sounds:
        made["log_mel_worst_pair_over_best_peer"] = min(sounds)
    return made


def _alarm_summary(trials: Sequence[OodTrial]) -> dict[str, float]:
    alarms = _alarms(trials)
    windows = alarms["window16"] + alarms["window16_two_class"]
    return {
        "far_at_1pct_min": min(alarms["sample"]),
        "far_at_1pct_worst": max(alarms["sample"]),
        "window16_far_at_1pct_min": min(windows),
        "window16_far_at_1pct_worst": max(windows),
        "window16_detected_worst": min(_pairs(trials, "detected", "window16")),
        "window16_two_class_detected_worst": min(_pairs(trials, "detected", "window16_two_class")),
    }
