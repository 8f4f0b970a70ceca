"""The zero-shot search for blueprints worth training, within the budget of a job."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas

from ..core import Adaptor, FactBatch, GrowthJob, GrowthResult
from ..core.adaptors import (
    LEVELS,
    SOLVED_KINDS,
    FittedHead,
    KernelMachine,
    Spans,
    build_transform,
    choose_landmarks,
    standardise,
    transform_shapes,
)

CANDIDATES: Final = 6
"""Blueprints on the shortlist: docs/decisions/0012 and 0022 have the points that three, six and
twelve lose to the best of the space."""
TIMINGS: Final = 5
"""Repetitions of a timing, of which the fastest counts.  Chosen by hand; effect not measured."""
SUPPORT_FACTS: Final = 512
"""Most facts of other domains in the sketch: the score samples fewer of them.  Chosen by hand;
effect not measured."""
TRAINED_FACTS: Final = 1_024
"""Facts up to which training a candidate takes a few seconds: docs/decisions/0011."""


@dataclass(frozen=True, slots=True)
class SearchProposal:
    """Blueprints, best first, with their scores; lines: log lines of the search for the report."""

    blueprints: tuple[nas.Blueprint, ...]
    scores: tuple[float, ...]
    lines: tuple[str, ...]


def propose_blueprints(
    job: GrowthJob, own: FactBatch, device: nas.DeviceSpeed | None
) -> SearchProposal | nas.NoFit:
    """Return the blueprints worth training on the domain's facts, or why there are none.

    own: facts of the domain.  device: speed of the serving device; measured here by default.
    """
    device = device or time_device(job.spans, len(set(own.labels)))
    found = nas.search(sketch_task(own, job.others, job.spans), job.budget, device, job.seed)
    if isinstance(found, nas.NoFit):
        return found
    if job.history:
        found = _by_history(found, job)
    fitting = f"{len(found.ranking)} of {found.considered} blueprints fit the budget"
    found = _as_trained(found)
    scores = dict(zip(found.ranking, found.scores, strict=True))
    chosen = _chosen(found, len(own), job.spans)
    lines = (fitting, *(f"{one}: score {scores[one]:.4g}" for one in chosen))
    return SearchProposal(chosen, tuple(scores[one] for one in chosen), lines)


def record_scores(job: GrowthJob, result: GrowthResult) -> nas.TaskScores:
    """Return the scores of a growth, as a later job's `history` takes them.

    A home keeps none: they derive from facts, so they would have to go with them, and no choice by
    them was better than without (docs/decisions/0022).
    """
    blueprints, proxies, accuracies = zip(*result.candidates, strict=True)
    return nas.TaskScores(
        blueprints=blueprints,
        taps=len(job.spans),
        proxies=proxies,
        accuracies=accuracies,
        facts=tuple(sorted(job.facts)),
    )


def _by_history(found: nas.SearchChoice, job: GrowthJob) -> nas.SearchChoice:
    """Order a ranking by bidirectional learning from the scores of earlier growths."""
    scores = nas.score_bidirectional(
        found.ranking, len(job.spans), np.array(found.scores), job.history
    )
    order = np.argsort(-scores, kind="stable").tolist()
    ranking = tuple(found.ranking[place] for place in order)
    return nas.SearchChoice(ranking, tuple(scores[order].tolist()), found.considered)


def _as_trained(found: nas.SearchChoice) -> nas.SearchChoice:
    """Return a ranking with the recipes that growth trains by, each blueprint once, at its best
    place: the space has some with such a recipe already."""
    scores: dict[nas.Blueprint, float] = {}
    for one, score in zip(found.ranking, found.scores, strict=True):
        scores.setdefault(nas.with_measured_recipe(one), score)
    return nas.SearchChoice(tuple(scores), tuple(scores.values()), found.considered)


def _chosen(found: nas.SearchChoice, facts: int, spans: Spans) -> tuple[nas.Blueprint, ...]:
    """Return the shortlist and the kernel with the most facts and columns: the search samples too
    few facts to see their value, and a kernel needs no training.

    Beyond TRAINED_FACTS training takes too long, and only kinds in closed form compete.
    """
    short = found.shortlist(CANDIDATES)
    if facts > TRAINED_FACTS:
        firsts = {one.kind: one for one in reversed(found.ranking)}
        short = tuple(firsts[kind] for kind in SOLVED_KINDS if kind in firsts)
    kernels = [one for one in found.ranking if one.kind == "kernel"]
    read = {one: sum(spans[tap][1] - spans[tap][0] for tap in one.taps) for one in kernels}
    widest = max(kernels, key=lambda one: (min(one.width, facts), read[one]), default=None)
    return short if widest is None or widest in short else (*short, widest)


def sketch_task(own: FactBatch, others: FactBatch, spans: Spans) -> nas.TaskSketch:
    """Make the task sketch of a search: a domain's standardised facts, and up to 512 of the
    others."""
    standard = standardise(own, others, spans)
    few = np.linspace(0, len(others) - 1, min(len(others), SUPPORT_FACTS)).astype(np.intp)
    rows = LEVELS[own.features] - standard.centre
    if len(few):
        support = LEVELS[others.features[few]] - standard.centres[standard.numbers[few]]
        rows = np.concatenate([rows, support])
    names = np.array([*own.labels, *(others.labels[row] for row in few)])
    targets = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return nas.TaskSketch(rows * standard.factor, targets, np.arange(len(names)) < len(own), spans)


def time_device(spans: Spans, labels: int) -> nas.DeviceSpeed:
    """Measure the speed of this machine with a few random adaptors."""
    columns = tuple(stop - start for start, stop in spans)
    shape = nas.AdaptorShape(columns, labels)
    probes = nas.probe_blueprints(len(spans))
    times = [_milliseconds(_random_adaptor(one, spans, labels), spans) for one in probes]
    counted = [nas.count_cost(one, shape) for one in probes]
    return nas.fit_device(list(zip(counted, times, strict=True)))


def _random_adaptor(blueprint: nas.Blueprint, spans: Spans, labels: int) -> Adaptor:
    random = np.random.default_rng(0)
    names = tuple(map(str, range(labels)))
    arrays = {
        name: random.standard_normal(shape).astype(np.float32)
        for name, shape in transform_shapes(blueprint, spans).items()
    }
    transform = build_transform((blueprint, arrays), spans)
    bias = np.zeros(labels, np.float32)
    if blueprint.kind == "kernel":
        rows = random.integers(0, 256, (blueprint.width, transform.encoded), np.uint8)
        top = random.standard_normal((blueprint.width, labels)).astype(np.float32)
        return KernelMachine(names, choose_landmarks(transform, rows), top, bias)
    top = random.standard_normal((transform.out, labels)).astype(np.float32)
    return FittedHead(names, transform, top, bias)


def _milliseconds(adaptor: Adaptor, spans: Spans) -> float:
    row = np.full(max(stop for _, stop in spans), 128, np.uint8)
    return min(_timings(adaptor, row))


def _timings(adaptor: Adaptor, row: NDArray[np.uint8]) -> Iterator[float]:
    """Yield milliseconds of single predictions after one that fills the caches."""
    adaptor.answer(row)
    for _ in range(TIMINGS):
        before = time.perf_counter()
        adaptor.answer(row)
        yield 1e3 * (time.perf_counter() - before)
