"""The growth worker of a simulated device: one job at a time, with a delay in observations."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Final

import msgspec
import numpy as np

import nas

from ..core import GrowthJob, GrowthReport, GrowthResult
from ..core.adaptors import AdaptorRecord
from .faults import FaultPlan
from .recording import GrowthAttemptRecord, GrowthEpisode

Grower = Callable[[GrowthJob], GrowthResult]

DEVICE: Final = nas.DeviceSpeed(call_ms=0.005, product_ms=0.3, addition_ms=1.2, conversion_ms=0.3)
"""Speed of the simulated device, three times slower than the machine it was timed on.  Constant, so
that the same blueprints fit the budget on every machine that simulates."""

LATE_TIMES: Final = 8
"""A late result takes this many times the usual delay.  Chosen by hand."""

BLUEPRINTS: Final = 12
"""Chosen by hand: each costs a training per fold."""


@dataclass(slots=True)
class SimulatedJob:
    """A running job.  due: the result arrives before this observation; killed: the worker is killed
    instead, and only a failure is reported."""

    job: GrowthJob
    due: int
    killed: bool


class SimulatedWorker:
    """Accepts jobs, runs them when their results are due, and records an episode for each.

    grow: searches and trains; None: nothing can grow.  delay: observations from job to result.
    largest_search: of the jobs whose candidates were scored, the one with the most facts, and the
    place of its episode.
    """

    def __init__(self, grow: Grower | None, delay: int, fault_plan: FaultPlan) -> None:
        self.grow = grow
        self.largest_search: tuple[GrowthJob, int] | None = None
        self.episodes: list[GrowthEpisode] = []
        self.counts = {"worker_killed": 0, "worker_late": 0}
        self.now = 0
        self._delay = delay
        self._faults = fault_plan
        self._task: SimulatedJob | None = None

    @property
    def job(self) -> GrowthJob | None:
        """The running job, if any."""
        return self._task.job if self._task else None

    def submit(self, job: GrowthJob) -> None:
        """Start a job at the observation `now`."""
        killed, late = self._faults.killed(), self._faults.late()
        delay = self._delay * (LATE_TIMES if late else 1)
        self.counts["worker_killed"] += killed
        self.counts["worker_late"] += late
        self._task = SimulatedJob(job, self.now + delay, killed)
        self.episodes.append(
            GrowthEpisode(
                job_id=job.id,
                domain=job.domain,
                version=job.version,
                facts=len(job.own),
                asked_at=self.now,
            )
        )

    def cancel(self, reason: str, job_id: str | None = None) -> None:
        """Cancel the running job, or only the one with this id: the device crashed, or some of the
        job's facts were forgotten."""
        if self._task is not None and job_id in (None, self._task.job.id):
            self._task = None
            self._end("abandoned", reason)

    def collect(self, *, wait: bool = False) -> GrowthResult | None:
        """Return the result if it is due at `now`, else None.  wait: return it in any case."""
        task = self._task
        if task is None or (self.now < task.due and not wait):
            return None
        self._task = None
        if task.killed:
            return _killed(task.job)
        assert self.grow is not None, "a device without a grower starts no job"
        began = perf_counter()
        result = self.grow(task.job)
        self.episodes[-1] = _with_result(self.episodes[-1], result, perf_counter() - began)
        if result.candidates and (
            self.largest_search is None or len(task.job.own) >= len(self.largest_search[0].own)
        ):
            self.largest_search = task.job, len(self.episodes) - 1
        return result

    def extend_largest(
        self, sample: Callable[[GrowthJob], tuple[GrowthAttemptRecord, ...]]
    ) -> None:
        """Add the trials that `sample` returns to the episode of the largest search."""
        if self.largest_search is not None:
            job, at = self.largest_search
            one = self.episodes[at]
            self.episodes[at] = replace(one, trials=(*one.trials, *sample(job)))

    def record_report(self, report: GrowthReport) -> None:
        """Update the episodes from a report of the device."""
        match report.state:
            case "serving":
                self._supersede(report)
                self._end("serving", report.detail)
            case "refused":
                self._end("refused", report.detail)
            case "retired" | "rolled back":
                self._retire(report.domain, report.version)
            case _:
                pass

    def _supersede(self, report: GrowthReport) -> None:
        for at, one in enumerate(self.episodes[:-1]):
            if (one.domain, one.state, one.until) == (report.domain, "serving", None):
                self.episodes[at] = replace(one, until=self.now)

    def _retire(self, domain: str, version: int) -> None:
        for at, one in enumerate(self.episodes):
            if (one.domain, one.version, one.state) == (domain, version, "serving"):
                self.episodes[at] = replace(one, until=self.now if one.until is None else one.until)

    def _end(self, state: str, reason: str) -> None:
        last = self.episodes[-1]
        if last.state == "running":
            ended = replace(last, ended_at=self.now, reason=reason)
            self.episodes[-1] = replace(ended, state=state)  # type: ignore[arg-type]  # a Literal


def find_grower() -> Grower | None:
    """Return a function that grows in this process, or None where torch is not installed."""
    try:
        from ..growth import grow_adaptor
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return None
    return partial(grow_adaptor, device=DEVICE)


def without_acceptance(grow: Grower) -> Grower:
    """Return a grower that accepts the first choice of the search, whatever its held-out
    accuracy."""

    def grow_first(job: GrowthJob) -> GrowthResult:
        from ..growth import train_adaptor

        result = grow(job)
        if not result.candidates:
            return result
        first, _, accuracy = result.candidates[0]
        arrays = train_adaptor(first, job.own, job.others, job.spans, job.seed)
        facts = tuple(sorted({*job.own.ids, *job.others.ids}))
        record = AdaptorRecord(
            domain=job.domain,
            version=job.version,
            blueprint=first,
            arrays=arrays,
            facts=facts,
            own=len(job.own),
            seed=job.seed,
            accuracy=accuracy,
            incumbent=result.incumbent,
        )
        return msgspec.structs.replace(
            result, record=record, accuracy=accuracy, reason="accepted without a test"
        )

    return grow_first


def sample_search(job: GrowthJob, count: int = BLUEPRINTS) -> tuple[GrowthAttemptRecord, ...]:
    """Train `count` blueprints, evenly spread over the ranking of a job's search, and measure their
    held-out accuracy as growth does.

    Growth trains only its best candidates.  Training others as well shows whether the proxy scores
    rank well; it happens after a run, for the report alone.

    Needs torch.  Cost: that of `count` trainings a fold, some ten seconds of one core.
    """
    from ..growth import score_blueprint, sketch_task, split_holdout, train_adaptor

    parts = split_holdout(job.own, job.others)
    task = sketch_task(parts.own, job.others, job.spans)
    found = nas.search(task, job.budget, DEVICE, job.seed)
    if isinstance(found, nas.NoFit):
        return ()
    places = np.unique(np.linspace(0, len(found.ranking) - 1, count).astype(int)).tolist()
    return tuple(
        GrowthAttemptRecord(
            str(found.ranking[at]),
            found.scores[at],
            score_blueprint(found.ranking[at], train_adaptor, job, parts).accuracy,
            extra=True,
        )
        for at in places
    )


def _with_result(episode: GrowthEpisode, result: GrowthResult, seconds: float) -> GrowthEpisode:
    return replace(
        episode,
        accuracy=_number(result.accuracy),
        incumbent=_number(result.incumbent),
        blueprint=str(result.record.blueprint) if result.record else "",
        search=result.search,
        trials=tuple(
            GrowthAttemptRecord(str(blueprint), _number(score), _number(accuracy))
            for blueprint, score, accuracy in result.candidates
        ),
        seconds=seconds,
    )


def _killed(job: GrowthJob) -> GrowthResult:
    reason = "the worker failed: it was killed"
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason=reason,
        accuracy=math.nan,
        incumbent=math.nan,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
