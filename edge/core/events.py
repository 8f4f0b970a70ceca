"""What can happen to a Runtime, and what it asks the world to do in return.

Frozen data only.  Time enters as numbers (`captured_at_ns`, nanoseconds since 1970, as the source
gave them), identity as text.  A fact's features travel as bytes: immutable, comparable, and exactly
what the ledger stores.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .adaptors import AdaptorRecord
from .errors import EdgeError
from .facts import Fact, Selector
from .jobs import GrowthJob, GrowthResult
from .knowledge import Contribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One measurement.  `payload`: whatever the encoder's card says (image bytes, window, vector).

    `id` must be unique for ever; empty means "<stream>:<sequence>".  kind "series": the payload is
    numbers to follow, {channel: number} or a list, NaN where missing; no encoder sees it.
    """

    stream: str
    sequence: int
    captured_at_ns: int
    payload: Any = field(repr=False, compare=False)
    id: str = ""
    subject: str = ""
    kind: Literal["sample", "series"] = "sample"

    @property
    def key(self) -> str:
        """The observation's id, made from stream and sequence where none was given."""
        return self.id or f"{self.stream}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody says an earlier observation was.  Empty `domain`: decided by the detector."""

    observation_id: str
    label: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Enrol:
    """Facts known beforehand: a folder of examples, or another ledger's facts."""

    facts: tuple[Fact, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Relabel:
    """Give every selected fact another label, another domain, or both (empty: unchanged)."""

    selector: Selector
    label: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """Forget every selected fact as if it had never been seen.  `request_id` names the receipt:
    the same request under the same id again gives the same receipt, and changes nothing.

    `resurvey`: also derive the geometry again from what remains (see `FitGeometry`), where one was
    surveyed; False is quicker, and the receipt then names the geometry as not covered.
    """

    request_id: str
    selector: Selector
    requested_at_ns: int = 0
    resurvey: bool = True


@dataclass(frozen=True, slots=True)
class FitGeometry:
    """Freeze a new geometry (whitening, scales) from the facts the ledger holds now."""


@dataclass(frozen=True, slots=True)
class GrowRequest:
    """Somebody asks for an adaptor of a domain now, whether or not it is due."""

    domain: str
    request_id: str = "grow"


@dataclass(frozen=True, slots=True, eq=False)
class GrowthFinished:
    """A worker is done with a job, with or without an adaptor."""

    result: GrowthResult


@dataclass(frozen=True, slots=True)
class Rollback:
    """Somebody wants the version before back: the newest adaptor of a domain stops serving."""

    domain: str
    request_id: str = "rollback"


@dataclass(frozen=True, slots=True)
class Tick:
    """All effects so far are applied and nothing waits: do what could wait until now.

    Growth that is due starts here.  Send one after labels, and now and then.  grows: False where
    nothing can carry a growth out.
    """

    grows: bool = True


Event = (
    Observation
    | Label
    | Enrol
    | Relabel
    | ForgetRequest
    | FitGeometry
    | GrowRequest
    | GrowthFinished
    | Rollback
    | Contribution
    | Tick
)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """Facts to write; durable before any later effect.  `evicted`: ids that a full
    concept pushes out or turns away; a receipt counts both."""

    facts: tuple[Fact, ...] = field(repr=False)
    evicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StoreContribution:
    """Another device's sums to write in place of those it gave before, durably; without samples
    they drop what it gave, and stay as a mark of how far it was heard."""

    contribution: Contribution


@dataclass(frozen=True, slots=True)
class StoreGeometry:
    """A geometry to write beside the ledger, replacing the one before."""

    geometry: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a forget request did.  Digests are hex; equal to those of a ledger that never saw it."""

    request_id: str
    requested_at_ns: int
    selector: Selector
    facts_forgotten: int
    concepts_touched: tuple[str, ...]
    digest_before: str
    digest_after: str
    rebuilt: tuple[str, ...]
    evicted_before: int
    not_covered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EraseFacts:
    """Ids to erase and bury (a redelivery is not relearned), with the receipt, all in one step."""

    ids: tuple[str, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True, eq=False)
class StartGrowth:
    """A job for the worker; its result comes back as `Grown`.  One at a time."""

    job: GrowthJob


@dataclass(frozen=True, slots=True)
class CancelGrowth:
    """Stop a job and drop what it holds: facts it was given are being forgotten."""

    job_id: str


@dataclass(frozen=True, slots=True, eq=False)
class StoreAdaptor:
    """An adaptor version to write; it serves from now on.  Two versions a domain are kept."""

    record: AdaptorRecord


@dataclass(frozen=True, slots=True)
class RemoveAdaptor:
    """An adaptor version to delete; the one before serves again, or the head alone."""

    domain: str
    version: int


@dataclass(frozen=True, slots=True)
class StoreGrowthAttempt:
    """Growth came to nothing on these facts (a hash): one a domain is kept; Erase drops all."""

    domain: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCandidate:
    """An unlabelled observation that is worth a label.  `domain`: where its label would go."""

    observation_id: str
    stream: str
    subject: str
    domain: str
    captured_at_ns: int
    score: float
    features: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoreLabelCandidates:
    """Candidates to keep beside the ledger, newest `limits.CANDIDATES_MAX`; a label, an eviction
    or a forget request takes them out again."""

    candidates: tuple[LabelCandidate, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the runtime made of one observation: ids and numbers only.

    `label` is None where it abstains (unknown, or nothing learned yet); `guess` is the best answer
    anyway.  `known` is None where too little is learned to say at the ordered false-alarm rate.
    `score`: novelty of the sample, higher is newer; `window_p`: p-value of the stream's window.
    `degraded`: the stream is in a domain nobody has labelled yet; the nearest domains answer.
    """

    observation_id: str
    stream: str
    captured_at_ns: int
    known: bool | None
    domain: str
    label: str | None
    guess: str
    score: float
    p_value: float
    window_p: float
    alarm: bool
    reason: str = ""
    degraded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlarm:
    """A stream's window left (`raised`) or re-entered the known domains at an observation."""

    stream: str
    observation_id: str
    captured_at_ns: int
    raised: bool
    window_p: float
    domain: str


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A label, enrolment, relabel, survey or contribution was taken: `count` facts changed."""

    subject_id: str
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that changed nothing, and why: said to whoever sent it."""

    subject_id: str
    reason: str
    hint: str = ""


GrowthState = Literal["started", "serving", "refused", "retired", "rolled back", "abandoned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthReport:
    """What became of a domain's adaptor.  `version`: the one it is about, 0 for none.

    accuracy, incumbent: on held-out facts, of the candidate and of what served; NaN where unknown.
    """

    domain: str
    state: GrowthState
    version: int
    accuracy: float = math.nan
    incumbent: float = math.nan
    detail: str = ""
    search: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlabelledObservation:
    """An observation that is worth a label, with the decision that was served on it.

    `guess`: the best answer, a label.  `p_value`: of the sample among known ones; low is novel.
    """

    observation_id: str
    stream: str
    domain: str
    captured_at_ns: int
    guess: str
    p_value: float


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """Observations of an unlabelled domain that are most worth a label, best first.

    `observations` describes those in `observation_ids` that are still at hand, in the same order.
    """

    stream: str
    domain: str
    observation_ids: tuple[str, ...]
    observations: tuple[UnlabelledObservation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesForecast:
    """What is expected of a series after a sample: [horizon][channel], NaN where nothing can be
    said yet.  horizons: samples ahead.  Nine of ten values should lie from low to high."""

    stream: str
    observation_id: str
    captured_at_ns: int
    channels: tuple[str, ...]
    horizons: tuple[int, ...]
    point: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A series is no longer what it was; noticed at a sample, begun `late` samples before.

    change: outage, return, jump, level or drift.  severity: 0 to 1.  regime: which state the series
    is in now; the same number comes back with the same state.
    """

    stream: str
    observation_id: str
    captured_at_ns: int
    change: str
    channels: tuple[str, ...]
    severity: float
    regime: int
    late: int


Message = (
    Decision
    | DriftAlarm
    | Acknowledgement
    | Rejected
    | Receipt
    | GrowthReport
    | LabelRequest
    | SeriesForecast
    | ChangePoint
)


def accepted(messages: Iterable[Message], doing: str = "") -> tuple[Message, ...]:
    """Return the messages that answer an event; raises EdgeError where they reject it.  doing: what
    the event was for, where the error should start with that."""
    found = tuple(messages)
    for one in found:
        if isinstance(one, Rejected):
            raise EdgeError(f"{doing}: {one.reason}" if doing else one.reason, one.hint)
    return found


@dataclass(frozen=True, slots=True)
class Publish:
    """Something to tell the outside."""

    message: Message


@dataclass(frozen=True, slots=True)
class SetOutput:
    """An output to set on the device that a stream comes from.  value: in the output's own unit."""

    stream: str
    channel: int
    value: int


Effect = (
    Publish
    | StoreFacts
    | StoreContribution
    | StoreGeometry
    | EraseFacts
    | StartGrowth
    | CancelGrowth
    | StoreAdaptor
    | RemoveAdaptor
    | StoreGrowthAttempt
    | StoreLabelCandidates
    | SetOutput
)
