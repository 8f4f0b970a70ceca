"""What a run leaves behind: every decision beside the truth, and what happened in between.

A Recording is plain data: msgspec writes it to JSON and reads it back unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..core import Decision, Receipt

MarkKind = Literal[
    "domain",
    "alarm",
    "cleared",
    "enrolled",
    "labels",
    "forget",
    "adaptor",
    "growth",
    "crash",
    "fault",
    "rejected",
]
"""What a mark stands for: the world moved to a domain; an alarm was raised or cleared; facts were
enrolled; labels were taken; a receipt was given; an adaptor serves from here; other news of
growth; a crash, or another injected fault; a refusal."""

STAGES = ("encode", "handle", "store", "observation")
"""Stages of `StageTiming`: the encoder; Runtime.handle without it; the store; one observation
whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionStep:
    """One decision beside the truth.  `index` counts the observations of a run from 0.

    Fields from `known` on are those of `edge.core.Decision`; `score`: higher is newer.  `novel` is
    True where, at that moment, nothing of (truth_domain, truth_label) had been learned: what the
    detector should call new; None while its domain holds too few facts to tell at the ordered rate.
    """

    index: int
    stream: str
    truth_domain: str
    truth_label: str
    known: bool | None
    domain: str
    label: str | None
    guess: str
    score: float
    p_value: float
    window_p: float
    alarm: bool
    novel: bool | None = False
    degraded: bool = False


def step_of(
    index: int, decision: Decision, truth: tuple[str, str], *, novel: bool | None
) -> DecisionStep:
    """Put a decision beside the truth: the true domain and label, and whether they were new."""
    return DecisionStep(
        index=index,
        stream=decision.stream,
        truth_domain=truth[0],
        truth_label=truth[1],
        known=decision.known,
        domain=decision.domain,
        label=decision.label,
        guess=decision.guess,
        score=decision.score,
        p_value=decision.p_value,
        window_p=decision.window_p,
        alarm=decision.alarm,
        novel=novel,
        degraded=decision.degraded,
    )


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """Something worth a mark on the time axis, just before the observation at `index`."""

    index: int
    kind: MarkKind
    text: str


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Latency of a stage (see STAGES) over `count` calls, in microseconds."""

    stage: str
    count: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class GrowthAttemptRecord:
    """A blueprint that was trained: its proxy score, and its accuracy on held-out facts.

    extra: trained after the run, for the picture of the search alone.
    """

    blueprint: str
    score: float | None
    accuracy: float | None
    extra: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthEpisode:
    """One growth.  Indices are those of the next observation, as in Mark.

    facts: of the domain, when the job left.  asked_at, ended_at: the job left, its result was
    taken; until: the adaptor served until then, None where it still does or never did.  state: what
    became of it at `ended_at`, "serving" also where something replaced it later.  accuracy,
    incumbent: on held-out facts, of the best candidate and of what served before, None where it did
    not come to that.  seconds: of search and training, as far as they were measured.
    """

    job_id: str
    domain: str
    version: int
    facts: int
    asked_at: int
    ended_at: int | None = None
    until: int | None = None
    state: Literal["running", "serving", "refused", "abandoned"] = "running"
    reason: str = ""
    blueprint: str = ""
    accuracy: float | None = None
    incumbent: float | None = None
    search: tuple[str, ...] = ()
    trials: tuple[GrowthAttemptRecord, ...] = ()
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RoutingRecord:
    """Where held-out samples were sent at the end: rows are true domains, columns the device's.

    counts: samples one by one; windows: as a stream of one domain, from its first full window on.
    homes: for each row the column that holds most of what was learned of it, None where nothing
    was.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    homes: tuple[int | None, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    windows: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An observed image.  group: where it came from, and whether it was known; answer: the answer
    that it got; width: pixels a row; pixels: grey, a byte each, ink is bright, row by row."""

    group: str
    answer: str
    width: int
    pixels: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecording:
    """One run of one scenario with one seed.

    accuracy_matrix: row i, column j: accuracy on the held-out set of domains[j] at checkpoints[i];
    None where everything of that domain had been forgotten on request.
    metrics: fractions of 1 and counts of observations, None where undefined; the same for the same
    scenario and seed on every machine that gives the same features.  costs: what depends on the
    machine (`peak_memory_mib`, `bytes_written`, `wall_s`).  rate: the false-alarm rate ordered.
    episodes: every growth, in order.  window: observations that an alarm judges together, 0 where
    unknown.  left_out: the classes that the last rows of the matrix leave out, in words.
    thumbnails: some images of the stream, by group.
    """

    title: str
    seed: int
    steps: tuple[DecisionStep, ...] = field(repr=False)
    marks: tuple[TimelineMark, ...] = ()
    domains: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    accuracy_matrix: tuple[tuple[float | None, ...], ...] = ()
    receipts: tuple[Receipt, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    costs: Mapping[str, float | None] = field(default_factory=dict)
    rate: float = 0.01
    digest: str = ""
    episodes: tuple[GrowthEpisode, ...] = ()
    routing: RoutingRecord = RoutingRecord()
    window: int = 0
    left_out: str = ""
    thumbnails: tuple[Thumbnail, ...] = ()
