"""Every kind of adaptor and every training recipe against the head alone, under equal bytes.

On the six tasks of `nas` and on sound: a new domain with few labels.  Each method chooses one of a
few of its shapes on one fold of the given facts and is scored on held-out facts.  Each draw takes
other facts.  A winner is ahead of the head on at least one task by more than the standard error of
the difference, paired by fact.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

import nas

from ..nas.tasks import SOURCES, SearchTask, load_tasks
from ..report import BenchmarkReport, BenchmarkRow
from .sound_tasks import load_sound_tasks
from .trial import KindMethod, KindOutcome, list_methods, try_methods

BUDGETS: Final = (1 << 18, 1 << 20)
"""Bytes of an adaptor with its head."""
DRAWS: Final = 2
"""Choices of facts: on sketches the second halved most gains of the first."""
CLEAR: Final = 2.0
"""Standard errors of a gain that is more than luck for one method on one task."""
SOUND: Final = "sound"
"""First word of the names of the tasks of sound."""
QUICK_TASKS: Final = 2
"""Tasks of a quick run, with one draw and the larger budget."""


def run(
    data: Path | None, *, quick: bool = False, sets: Sequence[str] | None = None
) -> BenchmarkReport:
    """Run all tasks, or those whose names start with one of `sets`, spread over the cores: a
    quarter of an hour of processor time; a quick run two minutes."""
    # One thread per process: on many small matrices threads only wait for each other.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    draws, budgets = (1, BUDGETS[1:]) if quick else (DRAWS, BUDGETS)
    names, notes = _names(data, sets)
    names = names[-QUICK_TASKS:] if quick else names
    work = [(data, name, draw, budgets) for name in names for draw in range(draws)]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        found = [one for part in pool.map(_try_task, work) for one in part]
    return report(found, notes)


def _names(data: Path | None, sets: Sequence[str] | None) -> tuple[list[str], list[str]]:
    wanted = tuple(sets or (SOUND, *SOURCES))
    names: list[str] = []
    notes: list[str] = []
    for source in (SOUND, *SOURCES):
        if any(one.startswith(source) for one in wanted):
            tasks, missing = _load(data, source, 0)
            names += [task.name for task in tasks if task.name.startswith(wanted)]
            notes += missing
    return names, notes


def _load(data: Path | None, source: str, draw: int) -> tuple[list[SearchTask], list[str]]:
    if source == SOUND:
        return load_sound_tasks(data, draw)
    return load_tasks(data, draw, (source,))


def _try_task(work: tuple[Path | None, str, int, tuple[int, ...]]) -> list[KindOutcome]:
    data, name, draw, budgets = work
    tasks, _ = _load(data, name.split("-")[0], draw)
    task = next(one for one in tasks if one.name == name)
    return try_methods(task, draw, list_methods(), budgets)


def report(found: Sequence[KindOutcome], notes: Sequence[str]) -> BenchmarkReport:
    """Return gains in points, their standard errors and seconds by method, task and budget; methods
    that gave no result are named in the notes."""
    rows = []
    for method in list_methods():
        for task, nbytes in dict.fromkeys((one.task, one.nbytes) for one in found):
            gain, error, seconds = mean_gain(found, method, task, nbytes)
            place = f"{task}_{nbytes >> 10}KiB"
            if np.isfinite(gain):
                rows += [
                    BenchmarkRow(method.name, f"gain_{place}", gain),
                    BenchmarkRow(method.name, f"error_{place}", error),
                    BenchmarkRow(method.name, f"seconds_{place}", seconds),
                ]
    failed = [
        f"{one.method} on {one.task}, draw {one.draw}, {one.nbytes >> 10} KiB: {one.failure}"
        for one in found
        if one.failure
    ]
    return BenchmarkReport("kinds", tuple(rows), summarise(found), (*notes, *failed))


def mean_gain(
    found: Sequence[KindOutcome], method: KindMethod, task: str, nbytes: int
) -> tuple[float, float, float]:
    """Return the points gained over the head and their standard error, over all draws, and the
    seconds of training; NaN without results.

    Draws hold out partly the same facts, so that the error is that of one draw, not of the mean of
    several.
    """
    some = [
        one
        for one in found
        if (one.method, one.task, one.nbytes) == (method.name, task, nbytes) and not one.failure
    ]
    if not some:
        return (float("nan"),) * 3
    gain = 100 * float(np.mean([one.accuracy - one.head for one in some]))
    error = 100 * float(np.sqrt(np.mean([one.error**2 for one in some])))
    return gain, error, float(np.mean([one.seconds for one in some]))


def summarise(found: Sequence[KindOutcome]) -> dict[str, float]:
    """Return the summary; a clear winner is ahead by two standard errors on at least one task."""
    places = list(dict.fromkeys((one.task, one.nbytes) for one in found))
    gains = {
        method: [mean_gain(found, method, *place)[:2] for place in places]
        for method in list_methods()
    }

    def winners(errors: float) -> int:
        return sum(any(gain > errors * error for gain, error in pairs) for pairs in gains.values())

    best = [gain for pairs in gains.values() for gain, _ in pairs if np.isfinite(gain)]
    return {
        "kinds": len(nas.KINDS),
        "recipes": len(nas.RECIPES),
        "winners": winners(1.0),
        "clear_winners": winners(CLEAR),
        "best_gain_points": max(best, default=float("nan")),
        "tasks": len({one.task for one in found}),
        "left_out": len({one.method for one in found if one.failure}),
    }
