"""The worker of a simulated device: one job at a time, its result some observations later."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Final

import nas

from ..core import GrowthJob, GrowthReport, GrowthResult
from ..core.adaptors import AdaptorRecord
from .faults import FaultPlan
from .recording import GrowthAttemptRecord, GrowthEpisode

Grower = Callable[[GrowthJob], GrowthResult]

DEVICE: Final = nas.DeviceSpeed(call_ms=0.005, product_ms=0.3, addition_ms=1.2, conversion_ms=0.3)
"""Speed of the simulated device, three times slower than the machine this was timed on: what fits
its budget must not depend on the machine that simulates."""

LATE_TIMES: Final = 8
"""A late result takes this many times the usual delay."""

NO_TORCH: Final = "torch is not installed: `pip install 'auricle[grow]'`; the heads alone answer"


@dataclass(slots=True)
class SimulatedTask:
    """A job under way.  due: the observation its result comes before; killed: that it never does,
    only the news of it."""

    job: GrowthJob
    due: int
    killed: bool


class SimulatedWorker:
    """Takes jobs, grows them when their results are due, and keeps a record of each.

    grow: what searches and trains, None where nothing can.  delay: observations from job to result.
    `told`: the job of most facts whose search came to numbers, and the place of its episode.
    """

    def __init__(self, grow: Grower | None, delay: int, chaos: FaultPlan) -> None:
        self.grow = grow
        self.told: tuple[GrowthJob, int] | None = None
        self.episodes: list[GrowthEpisode] = []
        self.counts = {"worker_killed": 0, "worker_late": 0}
        self.now = 0
        self._delay = delay
        self._chaos = chaos
        self._task: SimulatedTask | None = None

    @property
    def job(self) -> GrowthJob | None:
        """The job under way."""
        return self._task.job if self._task else None

    def take(self, job: GrowthJob) -> None:
        """Begin a job at the observation `now`."""
        killed, late = self._chaos.killed(), self._chaos.late()
        delay = self._delay * (LATE_TIMES if late else 1)
        self.counts["worker_killed"] += killed
        self.counts["worker_late"] += late
        self._task = SimulatedTask(job, self.now + delay, killed)
        self.episodes.append(GrowthEpisode(job.id, job.domain, job.version, len(job.own), self.now))

    def stop(self, reason: str, job_id: str | None = None) -> None:
        """Drop the job under way, or only where it is this one: the device crashed, or facts of it
        were forgotten."""
        if self._task is not None and job_id in (None, self._task.job.id):
            self._task = None
            self._end("abandoned", reason)

    def collect(self, *, wait: bool = False) -> GrowthResult | None:
        """Return the result that is due at `now`, None where none is; `wait`: until it is."""
        task = self._task
        if task is None or (self.now < task.due and not wait):
            return None
        self._task = None
        if task.killed:
            return _killed(task.job)
        assert self.grow is not None, "a device without a worker gives no job away"
        began = perf_counter()
        result = self.grow(task.job)
        self.episodes[-1] = _told(self.episodes[-1], result, perf_counter() - began)
        if result.candidates and (self.told is None or len(task.job.own) >= len(self.told[0].own)):
            self.told = task.job, len(self.episodes) - 1
        return result

    def extend(self, look_back: Callable[[GrowthJob], tuple[GrowthAttemptRecord, ...]]) -> None:
        """Add what a look back at the search that tells most finds to its trials."""
        if self.told is not None:
            job, at = self.told
            one = self.episodes[at]
            self.episodes[at] = replace(one, trials=(*one.trials, *look_back(job)))

    def hear(self, news: GrowthReport) -> None:
        """Take note of what the device says about an adaptor."""
        match news.state:
            case "serving":
                self._supersede(news)
                self._end("serving", news.detail)
            case "refused":
                self._end("refused", news.detail)
            case "retired" | "rolled back":
                self._retire(news.domain, news.version)
            case _:
                pass

    def _supersede(self, news: GrowthReport) -> None:
        for at, one in enumerate(self.episodes[:-1]):
            if (one.domain, one.state, one.until) == (news.domain, "serving", None):
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
    """Return what searches and trains in this very process, or None where torch is missing."""
    try:
        from ..growth import grow_adaptor
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return None
    return partial(grow_adaptor, device=DEVICE)


def without_acceptance(grow: Grower) -> Grower:
    """Return a grower that takes the first choice of the search, however it does on held-out facts:
    what would serve if nobody judged."""

    def take(job: GrowthJob) -> GrowthResult:
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
        return replace(result, record=record, accuracy=accuracy, reason="taken without a judgement")

    return take


def _told(episode: GrowthEpisode, result: GrowthResult, seconds: float) -> GrowthEpisode:
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
