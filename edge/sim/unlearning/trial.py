"""Runs every method on every request of a set, against the oracle."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from .forget_sets import (
    ForgetSet,
    UnlearningSet,
    disturb_values,
    make_requests,
    poison_labels,
)
from .kinds import UNLEARNERS
from .measures import (
    HeldOutRows,
    ShadowModels,
    UnlearningFigures,
    Yardstick,
    gap_between,
)
from .network import Parameters, PeerNetwork, TrainingRecipe
from .problem import UnlearningProblem, UnlearningTask, answer_with

ORACLE: Final = "retrain"
"""The method that the others are compared with."""
FLOOR: Final = "oracle, other seed"
"""How far two oracles differ: no method can be asked to come nearer."""
UNTOUCHED: Final = "nothing done"
"""The original network."""
KNOWN_PART: Final = "retrain, known part"
"""Training again without the identified rows, where these are a part: what exact unlearning reaches
alone."""
OTHER_SEED: Final = 500
"""Added to the seed for the second oracle."""
DEVELOPMENT_SEED: Final = 100
"""The seed on which strengths are chosen; never a reported one."""
TUNED_ON: Final = ("random 10 %", "class", "worst case", "odd stretch")
"""The requests on which strengths are chosen: one of each size and difficulty."""

GROWTH_RECIPE: Final = TrainingRecipe(steps=24, rate=3e-3, smoothing=0.1)
"""As growth trains an adaptor (`edge/growth`)."""
MEMORISING_RECIPE: Final = TrainingRecipe(steps=60, rate=3e-3)
"""Trains on after every row is right, without smoothing: rows are learned by heart."""
FORECAST_RECIPE: Final = TrainingRecipe(steps=300, rate=3e-3, batch=256)
"""Several passes over a series in small steps.  Chosen by hand."""
RECIPES: Final = {
    "growth": GROWTH_RECIPE,
    "memorising": MEMORISING_RECIPE,
    "forecast": FORECAST_RECIPE,
}
"""The recipes by name."""

Advance = Callable[[str, int, int], None]
"""Called with the activity, the units done and the units in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearningOutcome:
    """A method on one request.  gap: to the oracle, in points (`gap_between`); facts: forgotten."""

    data: str
    recipe: str
    seed: int
    request: str
    method: str
    facts: int
    gap: float
    figures: UnlearningFigures


def run_unlearning(
    data: Callable[[int], UnlearningSet],
    recipe: str,
    seeds: Sequence[int] = (1,),
    methods: Sequence[str] = (),
    progress: Advance | None = None,
) -> tuple[UnlearningOutcome, ...]:
    """Compare methods of unlearning on the requests that fit a set.

    data: from a seed to the set drawn with it; recipe: one of RECIPES; methods: names of
    UNLEARNERS, all by default.  Strengths are chosen on a development seed of their own by the mean
    gap.  Figures other than times depend on the arguments alone.  Cost: about two minutes a seed
    for 1,200 rows of 2,064 columns.
    """
    names = tuple(methods) or tuple(UNLEARNERS)
    known = tuple(name for name in names if name != ORACLE)
    strengths = _choose_strengths(data(DEVELOPMENT_SEED), recipe, known, progress)
    found: list[UnlearningOutcome] = []
    for done, seed in enumerate(seeds):
        if progress is not None:
            progress(f"unlearning, {recipe}", done, len(seeds))
        for bench in _benches(data(seed), recipe, seed):
            prepared = bench.prepare(known)
            for request in bench.requests:
                found += bench.run_request(request, strengths, prepared)
    return tuple(found)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Bench:
    """A task with its requests.  requests_from: the requests, which may depend on what
    is memorised."""

    data: UnlearningSet
    recipe: str
    task: UnlearningTask
    requests_from: Callable[[ShadowModels], tuple[ForgetSet, ...]]

    @cached_property
    def shadows(self) -> ShadowModels:
        """The shadow models of the set."""
        held_out = (self.data.test_rows, self.data.test_targets)
        return ShadowModels(self.task, held_out, self.task.seed)

    @cached_property
    def requests(self) -> tuple[ForgetSet, ...]:
        """The requests."""
        return self.requests_from(self.shadows)

    def prepare(self, names: Iterable[str]) -> dict[str, Any]:
        """Let each method that fits prepare itself."""
        fitting = [n for n in names if self.task.network.answers in UNLEARNERS[n].answers]
        return {name: UNLEARNERS[name].prepare(self.task) for name in fitting}

    def run_request(
        self, request: ForgetSet, strengths: Mapping[str, float], prepared: Mapping[str, Any]
    ) -> Iterator[UnlearningOutcome]:
        """Measure the oracle, the floor, the untouched network and every method."""
        task = self.task
        whole = _problem(task, request.forget, 1.0)
        begun = time.process_time()
        oracle = task.train(whole.retain, task.seed)
        spent = time.process_time() - begun
        yardstick = self.yardstick(request, oracle)
        truth = yardstick.measure(answer_with(whole, oracle), spent, spent)
        yield self._outcome(request, ORACLE, truth, truth)
        other = task.train(whole.retain, task.seed + OTHER_SEED)
        for name, parameters in ((FLOOR, other), (UNTOUCHED, task.original)):
            figures = yardstick.measure(answer_with(whole, parameters), 0.0, spent)
            yield self._outcome(request, name, figures, truth)
        if len(request.identified) < len(request.forget):
            part = _problem(task, request.identified, 1.0)
            begun = time.process_time()
            made = answer_with(part, task.train(part.retain, task.seed))
            figures = yardstick.measure(made, time.process_time() - begun, spent)
            yield self._outcome(request, KNOWN_PART, figures, truth)
        for name, kept in prepared.items():
            problem = _problem(task, request.identified, strengths[name])
            begun = time.process_time()
            made = UNLEARNERS[name].unlearn(problem, kept)
            figures = yardstick.measure(made, time.process_time() - begun, spent)
            yield self._outcome(request, name, figures, truth)

    def yardstick(self, request: ForgetSet, oracle: Parameters) -> Yardstick:
        """Return what measures results on a request."""
        held_out = HeldOutRows(
            rows=self.data.test_rows,
            targets=self.data.test_targets,
            alike=request.alike,
            counted=request.counted,
        )
        return Yardstick(_problem(self.task, request.forget, 1.0), held_out, self.shadows, oracle)

    def _outcome(
        self,
        request: ForgetSet,
        method: str,
        figures: UnlearningFigures,
        truth: UnlearningFigures,
    ) -> UnlearningOutcome:
        return UnlearningOutcome(
            data=self.data.name,
            recipe=self.recipe,
            seed=self.task.seed,
            request=request.name,
            method=method,
            facts=len(request.forget),
            gap=gap_between(figures, truth),
            figures=figures,
        )


def _benches(data: UnlearningSet, recipe: str, seed: int) -> Iterator[_Bench]:
    """Yield the tasks of a set with their requests."""
    if data.answers == "values":
        for disturbed, request in disturb_values(data):
            yield _bench(disturbed, recipe, seed, (request,))
        return
    yield replace(
        _bench(data, recipe, seed, ()),
        requests_from=lambda shadows: tuple(make_requests(data, shadows.memorised)),
    )
    poisoned, partly = poison_labels(data)
    yield _bench(poisoned, recipe, seed, partly)


def _bench(data: UnlearningSet, recipe: str, seed: int, requests: tuple[ForgetSet, ...]) -> _Bench:
    task = UnlearningTask(
        network=PeerNetwork(data.rows.shape[1], data.outputs, data.answers),
        recipe=RECIPES[recipe],
        rows=data.rows,
        targets=data.targets,
        seed=seed,
    )
    return _Bench(data=data, recipe=recipe, task=task, requests_from=lambda _: requests)


def _problem(task: UnlearningTask, forget: NDArray[np.int64], strength: float) -> UnlearningProblem:
    left = np.setdiff1d(np.arange(len(task.rows)), forget)
    return UnlearningProblem(task, torch.from_numpy(left), torch.from_numpy(forget), strength)


def _choose_strengths(
    data: UnlearningSet, recipe: str, names: Iterable[str], progress: Advance | None
) -> dict[str, float]:
    """Return for each method the strength with the smallest mean gap on the development seed."""
    open_ones = [name for name in names if len(UNLEARNERS[name].strengths) > 1]
    gaps: dict[str, dict[float, list[float]]] = {name: {} for name in names}
    bench = next(_benches(data, recipe, DEVELOPMENT_SEED))
    prepared = bench.prepare(open_ones)
    requests = [request for request in bench.requests if request.name in TUNED_ON]
    for done, request in enumerate(requests):
        if progress is not None:
            progress(f"choosing strengths, {recipe}", done, len(requests))
        _try_strengths(bench, request, prepared, gaps)
    return {
        name: min(
            tried,
            key=lambda one, tried=tried: float(np.mean(tried[one])),  # type: ignore[misc]
            default=UNLEARNERS[name].strengths[0],
        )
        for name, tried in gaps.items()
    }


def _try_strengths(
    bench: _Bench,
    request: ForgetSet,
    prepared: Mapping[str, Any],
    gaps: Mapping[str, dict[float, list[float]]],
) -> None:
    """Add the gap of every strength on a request.  Relearning and distances are left out."""
    whole = _problem(bench.task, request.forget, 1.0)
    oracle = bench.task.train(whole.retain, bench.task.seed)
    yardstick = bench.yardstick(request, oracle)
    truth = yardstick.measure(replace(answer_with(whole, oracle), parameters=None), 0.0, 0.0)
    for name, kept in prepared.items():
        for strength in UNLEARNERS[name].strengths:
            problem = _problem(bench.task, request.identified, strength)
            made = replace(UNLEARNERS[name].unlearn(problem, kept), parameters=None)
            gap = gap_between(yardstick.measure(made, 0.0, 0.0), truth)
            gaps[name].setdefault(strength, []).append(gap)
