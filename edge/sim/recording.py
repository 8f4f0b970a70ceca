"""The recording of a run: every decision with its true domain and label, and marks in between.

A RunRecording is plain data: msgspec writes it to JSON and reads it back unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..core import Decision, Receipt

MarkKind = Literal[
    "domain",
    "alarm",
    "cleared",
    "question",
    "enrolled",
    "labels",
    "forget",
    "adaptor",
    "growth",
    "crash",
    "fault",
    "rejected",
]
"""Kinds of marks: the world changed to a domain; an alarm was raised or cleared, or lasts, so
that a person is asked; facts were enrolled; a label was accepted; a forget receipt was issued; an
adaptor started to serve; another report of growth; a crash, or another injected fault; a rejected
event."""

STAGES = ("encode", "handle", "store", "observation")
"""Stages of `StageTiming`: the encoder; Runtime.handle without it; the store; an observation in
all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionStep:
    """A decision with its true domain and label.  index: counts the observations of a run from 0.

    Fields from `known` on are those of `edge.core.Decision`; score: higher is more novel.  novel:
    True if the ledger held no fact of (truth_domain, truth_label), so the detector should call it
    new; None while its domain has too few facts for the chosen false-alarm rate.
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
    """Combine a decision with the true domain and label, and whether they were new."""
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
    """A trained blueprint: its proxy score, and its accuracy on held-out facts.

    extra: trained after the run, for the chart of the search.
    """

    blueprint: str
    score: float | None
    accuracy: float | None
    extra: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthEpisode:
    """One growth.  Indices are those of the next observation, as in TimelineMark.

    facts: of the domain, at the start of the job.  asked_at, ended_at: start and end of the job;
    until: the adaptor served until then, None if it still serves or never did.  state: the result
    at `ended_at`, "serving" also if another version replaced it later.  accuracy, incumbent: on
    held-out facts, of the best candidate and of the one that served before, None if not measured.
    seconds: of search and training, None if not measured.
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
    """Final routing of held-out samples: rows are true domains, columns the device's domains.

    counts: samples one by one; windows: as a stream of one domain, from its first full window on.
    homes: for each row the column with most of its learned facts, None without any.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    homes: tuple[int | None, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    windows: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An observed image.  group: its source, and whether it was known; answer: the device's answer;
    width: pixels per row; pixels: grey, one byte each, ink is bright, row by row."""

    group: str
    answer: str
    width: int
    pixels: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecording:
    """One run of one scenario with one seed.

    accuracy_matrix: row i, column j: accuracy on the held-out set of domains[j] at checkpoints[i];
    None if the whole domain had been forgotten on request.
    metrics: fractions of 1 and counts of observations, None if undefined; they depend only on
    scenario, seed and features.  costs: machine-dependent (`peak_memory_mib`, `bytes_written`,
    `wall_s`).  rate: the chosen false-alarm rate.
    episodes: every growth, in order.  window: observations in the window of an alarm, 0 if
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
