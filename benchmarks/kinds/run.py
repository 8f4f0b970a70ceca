"""Every kind of adaptor and every training recipe against the head alone, under equal bytes.

On the six tasks of `nas` and on sound: a new domain with few labels.  Each method chooses one of a
few of its shapes by a fold of the given facts; held-out facts judge.  The facts are drawn anew in
every draw.  A winner is ahead of the head on at least one task by more than the standard error of
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

from ..nas.tasks import load_tasks
from ..report import BenchmarkReport, BenchmarkRow
from .sound_tasks import load_sound_tasks
from .trial import KindOutcome, Method, list_methods, try_methods

BUDGETS: Final = (1 << 18, 1 << 20)
"""Bytes of an adaptor with its head."""
DRAWS: Final = 3
"""Choices of facts: three tell a gain from the luck of a draw."""
CLEAR: Final = 2.0
"""Standard errors of a gain that is more than luck for one method on one task."""
QUICK_TASKS: Final = 2
"""Tasks of a quick run, with one draw and the larger budget."""


def run(
    data: Path | None, *, quick: bool = False, sets: Sequence[str] | None = None
) -> BenchmarkReport:
    """Run all tasks, or those whose names start with one of `sets`, spread over the cores: half an
    hour of processor time; a quick run two minutes."""
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
    tasks, notes = load_tasks(data)
    sounds, missing = load_sound_tasks(data)
    names = [task.name for task in (*sounds, *tasks)]
    chosen = [one for one in names if sets is None or one.startswith(tuple(sets))]
    return chosen, [*notes, *missing]


def _try_task(work: tuple[Path | None, str, int, tuple[int, ...]]) -> list[KindOutcome]:
    data, name, draw, budgets = work
    load = load_sound_tasks if name.startswith("sound") else load_tasks
    task = next(one for one in load(data, draw)[0] if one.name == name)
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
    found: Sequence[KindOutcome], method: Method, task: str, nbytes: int
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
