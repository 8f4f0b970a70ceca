"""One kind or recipe on one task: its shape chosen by held-out facts, judged by others."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas
from edge.core import OVERFLOW, FactBatch
from edge.core.adaptors import (
    Adaptor,
    build_transform,
    fit_head,
    solve_adaptor,
    standardise,
    tempered_losses,
)
from edge.growth import split_holdout, train_adaptor

from ..nas.tasks import SearchTask

SEED: Final = 0
"""Of training.  Any would do: the facts differ from draw to draw."""
SHAPES: Final = 4
"""Shapes of a kind or recipe that are tried, evenly spaced by their bytes: a few seconds for each
kind and task."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOutcome:
    """The result of a method, a kind or a recipe, on a draw of a task within a budget.

    accuracy, head: on the held-out facts, 0 to 1, of the method and of the head alone on all taps.
    error: standard error of their difference, paired by fact.  seconds: of training, processor
    time.  failure: why there is no result; then all numbers are NaN.
    """

    method: str
    task: str
    draw: int
    nbytes: int
    blueprint: str
    accuracy: float
    head: float
    error: float
    seconds: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the benchmark: a kind under plain training, or a recipe with the kinds it trains."""

    name: str
    recipe: bool

    def trains(self, blueprint: nas.Blueprint) -> bool:
        """Return whether a blueprint is one of this method's."""
        if self.recipe:
            return blueprint.recipe == self.name
        return (blueprint.kind, blueprint.recipe) == (self.name, nas.PLAIN)


def list_methods() -> tuple[Method, ...]:
    """Return every kind but the head alone, and every recipe but the plain one."""
    kinds = (Method(kind, recipe=False) for kind in nas.KINDS if kind != "none")
    return (*kinds, *(Method(one, recipe=True) for one in nas.RECIPES if one != nas.PLAIN))


def try_methods(
    task: SearchTask, draw: int, methods: Sequence[Method], budgets: Sequence[int]
) -> list[KindOutcome]:
    """Judge every method on a task within every budget of bytes."""
    right = _correct(fit_head(task.own, task.others, task.spans), task)
    space = list(nas.enumerate_space(len(task.spans)))
    found: list[KindOutcome] = []
    for method in methods:
        trial = _Trial(task, [one for one in space if method.trains(one)])
        found += [_outcome(trial, method, (draw, nbytes), right) for nbytes in budgets]
    return found


class _Trial:
    """The shapes of one method on one task; each is trained once for all budgets."""

    def __init__(self, task: SearchTask, shapes: Sequence[nas.Blueprint]) -> None:
        self.task = task
        label_count = len(set(task.own.labels) | set(task.others.labels))
        columns = tuple(stop - start for start, stop in task.spans)
        shape = nas.AdaptorShape(columns, label_count)
        self._nbytes = {one: nas.count_cost(one, shape).nbytes for one in shapes if 0 in one.taps}
        self._losses: dict[nas.Blueprint, float] = {}
        self._judged: dict[nas.Blueprint, tuple[Bools, float]] = {}
        parts = split_holdout(task.own, task.others)
        self._fold = next(iter(parts.folds()))

    def choose(self, nbytes: int) -> nas.Blueprint | None:
        """Return the shape within a budget with the least loss on a fold of the given facts, or
        None if nothing fits."""
        fitting = sorted((size, one) for one, size in self._nbytes.items() if size <= nbytes)
        if not fitting:
            return None
        places = np.linspace(0, len(fitting) - 1, min(SHAPES, len(fitting))).round().astype(int)
        tried = [fitting[place][1] for place in places]
        return min(tried, key=self._loss)

    def judge(self, blueprint: nas.Blueprint) -> tuple[Bools, float]:
        """Return which of the held-out facts a shape answers, and the seconds of its training."""
        if blueprint not in self._judged:
            fitted, seconds = _fit(blueprint, self.task, self.task.own)
            self._judged[blueprint] = _correct(fitted, self.task), seconds
        return self._judged[blueprint]

    def _loss(self, blueprint: nas.Blueprint) -> float:
        if blueprint not in self._losses:
            facts, held, _ = self._fold
            fitted, _ = _fit(blueprint, self.task, facts)
            scores = fitted.answer(held.features).astype(np.float64)
            targets = np.array([fitted.labels.index(label) for label in held.labels])
            _check(scores)
            self._losses[blueprint] = float(tempered_losses(scores, targets).mean(axis=1).min())
        return self._losses[blueprint]


def _outcome(trial: _Trial, method: Method, place: tuple[int, int], head: Bools) -> KindOutcome:
    def made(blueprint: str, numbers: Iterator[float], failure: str = "") -> KindOutcome:
        accuracy, error, seconds = numbers
        return KindOutcome(
            method=method.name,
            task=trial.task.name,
            draw=place[0],
            nbytes=place[1],
            blueprint=blueprint,
            accuracy=accuracy,
            head=float(head.mean()),
            error=error,
            seconds=seconds,
            failure=failure,
        )

    nothing = [float("nan")] * 3
    try:
        with np.errstate(all="ignore"):
            chosen = trial.choose(place[1])
            if chosen is None:
                return made("", iter(nothing), f"no shape fits {place[1]} bytes")
            right, seconds = trial.judge(chosen)
    except OVERFLOW as error:
        return made("", iter(nothing), f"left out, its numbers overflow ({error})")
    better = right.astype(np.float64) - head
    numbers = float(right.mean()), float(better.std() / np.sqrt(len(better))), seconds
    return made(str(chosen), iter(numbers))


def _fit(blueprint: nas.Blueprint, task: SearchTask, own: FactBatch) -> tuple[Adaptor, float]:
    started = time.process_time()
    arrays = train_adaptor(blueprint, own, task.others, task.spans, SEED)
    seconds = time.process_time() - started
    standard = standardise(own, task.others, task.spans)
    transform = build_transform((blueprint, arrays), task.spans)
    return solve_adaptor(transform, own, task.others, standard), seconds


def _correct(fitted: Adaptor, task: SearchTask) -> Bools:
    scores = fitted.answer(task.held)
    _check(scores)
    return np.asarray(np.array(fitted.labels)[scores.argmax(axis=1)] == task.sought)


def _check(scores: NDArray[np.floating]) -> None:
    if not np.isfinite(scores).all():
        raise FloatingPointError("a score is not finite")
