"""What a run leaves behind: every decision beside the truth, and what happened in between.

A Recording is plain data: msgspec writes it to JSON and reads it back unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..core import Receipt

MarkKind = Literal[
    "domain", "alarm", "cleared", "enrolled", "labels", "forget", "crash", "fault", "rejected"
]
"""What a mark stands for: the world moved to a domain; an alarm was raised or cleared; facts were
enrolled; labels were taken; a receipt was given; a crash, or another injected fault; a refusal."""

STAGES = ("encode", "handle", "store", "observation")
"""Stages of `Timing`: the encoder; Runtime.handle without it; the store; one observation whole."""


@dataclass(frozen=True, slots=True)
class Step:
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


@dataclass(frozen=True, slots=True)
class Mark:
    """Something worth a mark on the time axis, just before the observation at `index`."""

    index: int
    kind: MarkKind
    text: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Latency of a stage (see STAGES) over `count` calls, in microseconds."""

    stage: str
    count: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class Recording:
    """One run of one scenario with one seed.

    accuracy_matrix: row i, column j: accuracy on the held-out set of domains[j] at checkpoints[i];
    None where everything of that domain had been forgotten on request.
    metrics: fractions of 1 and counts of observations, None where undefined; the same for the same
    scenario and seed on every machine that gives the same features.  costs: what depends on the
    machine (`peak_memory_mib`, `bytes_written`, `wall_s`).  rate: the false-alarm rate ordered.
    """

    title: str
    seed: int
    steps: tuple[Step, ...] = field(repr=False)
    marks: tuple[Mark, ...] = ()
    domains: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    accuracy_matrix: tuple[tuple[float | None, ...], ...] = ()
    receipts: tuple[Receipt, ...] = ()
    timings: tuple[Timing, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    costs: Mapping[str, float | None] = field(default_factory=dict)
    rate: float = 0.01
    digest: str = ""
