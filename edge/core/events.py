"""Events that a Runtime handles, effects that it returns, and messages that it publishes.

Frozen data only.  Time enters as numbers (`captured_at_ns`: nanoseconds since 1970, as the source
gave them), identity as text.  A fact's features travel as bytes: immutable, comparable, and exactly
as the ledger stores them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .adaptors import AdaptorRecord
from .domain_merges import DomainMerge
from .errors import EdgeError
from .facts import Fact, LabelCandidate, Receipt, Selector
from .jobs import GrowthJob, GrowthResult
from .knowledge import Contribution
from .recalibration import Recalibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One measurement.

    payload: as the encoder's card says (image bytes, window, vector).  id: must never be reused;
    empty means "<stream>:<sequence>".  kind "series": the payload is one sample of a time series,
    {channel: number} or a list, NaN for a missing number, and bypasses the encoder.  recording: the
    recording or session that it is a part of, "" if unknown.  key: the id, or
    "<stream>:<sequence>" if none was given.
    """

    stream: str
    sequence: int
    captured_at_ns: int
    payload: Any = field(repr=False, compare=False)
    id: str = ""
    subject: str = ""
    kind: Literal["sample", "series"] = "sample"
    recording: str = ""
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.id or f"{self.stream}:{self.sequence}")


@dataclass(frozen=True, slots=True)
class Label:
    """A label for an earlier observation.  domain: empty leaves it to the detector."""

    observation_id: str
    label: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Enrol:
    """Labelled facts in bulk: a folder of examples, or another ledger's facts."""

    facts: tuple[Fact, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Relabel:
    """Change the label, the domain, or both of every selected fact (empty: unchanged)."""

    selector: Selector
    label: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class UndoMerge:
    """Undo a merge of domains: facts that it moved, and that were not corrected since move back.

    merge_id: of the `DomainMerge`.
    """

    merge_id: str


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """Forget every selected fact as if it had never been seen (machine unlearning).

    request_id: of the receipt; repeating a request under the same id returns the same receipt and
    changes nothing.  refit_geometry: also fit the geometry again to the remaining facts, if one was
    fitted (see `FitGeometry`); False is faster, and the receipt then lists the geometry as not
    covered.
    """

    request_id: str
    selector: Selector
    requested_at_ns: int = 0
    refit_geometry: bool = True


@dataclass(frozen=True, slots=True)
class FitGeometry:
    """Fit a new geometry (whitening, scales) to the facts in the ledger, and freeze it."""


@dataclass(frozen=True, slots=True)
class GrowRequest:
    """Grow an adaptor for a domain now, whether or not it is due."""

    domain: str
    request_id: str = "grow"


@dataclass(frozen=True, slots=True, eq=False)
class GrowthFinished:
    """A worker has finished a job, with or without an adaptor."""

    result: GrowthResult


@dataclass(frozen=True, slots=True)
class Rollback:
    """Remove the newest adaptor of a domain; the version before it serves again."""

    domain: str
    request_id: str = "rollback"


@dataclass(frozen=True, slots=True)
class ConfirmAlarm:
    """A person's answer to an `AlarmQuestion`.

    harmless: True re-bases the stream's level on the observations of the question, and the alarm
    ends; False closes the question, and the alarm stays.  at_ns: when the answer was given.
    """

    alarm_id: str
    stream: str
    harmless: bool
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """Run deferred work; all effects so far must be applied.

    Starts growth that is due.  Send one after labels, and at intervals.  grows: False if no worker
    can grow adaptors.
    """

    grows: bool = True


Event = (
    Observation
    | Label
    | Enrol
    | Relabel
    | UndoMerge
    | ForgetRequest
    | FitGeometry
    | GrowRequest
    | GrowthFinished
    | Rollback
    | Contribution
    | ConfirmAlarm
    | Tick
)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """Facts to write, durably before any later effect.  evicted: ids that a full concept evicts or
    refuses; a receipt counts both."""

    facts: tuple[Fact, ...] = field(repr=False)
    evicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StoreContribution:
    """Another device's contribution to write durably, replacing its earlier one.  One without
    samples removes the sums and records the revision received."""

    contribution: Contribution


@dataclass(frozen=True, slots=True)
class StoreGeometry:
    """A geometry to write to the ledger, replacing the one before."""

    geometry: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EraseFacts:
    """Ids to erase, with tombstones so that a redelivery is not learned again, and the receipt, all
    in one transaction."""

    ids: tuple[str, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True, eq=False)
class StartGrowth:
    """A job for the worker; its result returns as `GrowthFinished`.  One at a time."""

    job: GrowthJob


@dataclass(frozen=True, slots=True)
class CancelGrowth:
    """Stop a job and drop its facts: some of them are being forgotten."""

    job_id: str


@dataclass(frozen=True, slots=True, eq=False)
class StoreAdaptor:
    """An adaptor version to write; it serves from now on.  Two versions per domain are kept."""

    record: AdaptorRecord


@dataclass(frozen=True, slots=True)
class RemoveAdaptor:
    """An adaptor version to delete; the version before it serves again, or the head alone."""

    domain: str
    version: int


@dataclass(frozen=True, slots=True)
class StoreGrowthAttempt:
    """Growth failed on facts with this hash; one per domain is kept, and `EraseFacts` drops all."""

    domain: str
    hash: str


@dataclass(frozen=True, slots=True)
class StoreLabelCandidates:
    """Label candidates to write to the ledger, which keeps the newest `limits.CANDIDATES_MAX`; a
    label, an eviction or a forget request removes them."""

    candidates: tuple[LabelCandidate, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoreRecalibration:
    """A stream's recalibration to write durably, replacing its earlier one; None removes it."""

    stream: str
    record: Recalibration | None


@dataclass(frozen=True, slots=True)
class StoreDomainMerge:
    """A merge of domains to write durably, replacing the record of the same id; the newest
    `limits.DOMAIN_MERGES_MAX` are kept.  Forgotten and evicted facts leave it."""

    merge: DomainMerge


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The runtime's decision on one observation: ids and numbers only.

    known: False if out of distribution; None if too few facts are known to decide at the chosen
    false-alarm rate.  label: None if it abstains (novel, or nothing learned yet); guess: the best
    answer in any case.  score: novelty of the sample, higher is more novel.  p_value: of the
    sample; window_p: of the stream's window.  reason: why `known` is None.  degraded: the stream is
    in an unlabelled domain, and the nearest learned domains answer.  observed_rate, observed_low,
    observed_high: see `ObservedRate`; None while nothing was observed.
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
    observed_rate: float | None = None
    observed_low: float | None = None
    observed_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlarm:
    """A stream's window left (raised) or re-entered the known domains at an observation."""

    stream: str
    observation_id: str
    captured_at_ns: int
    raised: bool
    window_p: float
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmQuestion:
    """An alarm has lasted, and only a person can decide whether it is a harmless change.

    alarm_id: for the answer, `ConfirmAlarm`.  from_ns: when the alarm began.  domain: the learned
    domain that the stream is nearest to.  shift: the window's mean above the level, in within-block
    deviations.  observation_ids: the newest observations, which the answer is about.
    """

    alarm_id: str
    stream: str
    captured_at_ns: int
    from_ns: int
    domain: str
    shift: float
    observation_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A label, enrolment, relabelling, geometry fit or contribution was accepted.  count: facts
    changed."""

    subject_id: str
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected event, which changed nothing: the reason and a hint, for its sender."""

    subject_id: str
    reason: str
    hint: str = ""


GrowthState = Literal["started", "serving", "refused", "retired", "rolled back", "abandoned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthReport:
    """A change of state of a domain's adaptor.  version: 0 if there is none.

    accuracy, incumbent: held-out accuracy of the candidate and of the incumbent; NaN if unknown.
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
    """An observation worth a label, with the decision that was served on it.

    guess: the best answer, a label.  p_value: of the sample among known ones; low is novel.
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

    observations: describes those of `observation_ids` that are still buffered, in the same order.
    """

    stream: str
    domain: str
    observation_ids: tuple[str, ...]
    observations: tuple[UnlabelledObservation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesForecast:
    """Forecast of a series after a sample, by horizon and channel; NaN if there is none yet.

    horizons: in samples ahead.  low, high: bounds of a 90 % prediction interval.  anomaly_score:
    surprise of the sample, 0 or more; anomaly_limit: score from which the series is in alarm, which
    anomaly_alarm says; anomaly_p_value: estimated rate per sample at which a normal series reaches
    the score, 1 during the warm-up.
    """

    stream: str
    observation_id: str
    captured_at_ns: int
    channels: tuple[str, ...]
    horizons: tuple[int, ...]
    point: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]
    anomaly_score: float = 0.0
    anomaly_p_value: float = 1.0
    anomaly_limit: float = 0.0
    anomaly_alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A change point in a series, detected at a sample `late` samples after it.

    change: outage, return, jump, level or drift.  severity: 0 to 1.  regime: number of the state
    that the series is in now; a state that returns has its earlier number.
    """

    stream: str
    observation_id: str
    captured_at_ns: int
    change: str
    channels: tuple[str, ...]
    severity: float
    regime: int
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAnomaly:
    """An alarm of a series: a sample is so surprising that, at the chosen rate, it counts as an
    anomaly.  It is reported once, when it starts.

    score, limit: surprise of the sample, and the score from which it is an alarm.  p_value:
    estimated rate per sample at which a normal series reaches the score.  channels: the surprising
    ones, the most surprising first.  scale: length in samples of the window that surprises most, 1
    for a value beyond the range so far.
    """

    stream: str
    observation_id: str
    captured_at_ns: int
    score: float
    p_value: float
    limit: float
    channels: tuple[str, ...]
    scale: int


Message = (
    Decision
    | DriftAlarm
    | AlarmQuestion
    | Acknowledgement
    | Rejected
    | Receipt
    | GrowthReport
    | LabelRequest
    | SeriesForecast
    | ChangePoint
    | SeriesAnomaly
)


def accepted(messages: Iterable[Message], doing: str = "") -> tuple[Message, ...]:
    """Return the messages that answer an event; raises EdgeError if they reject it.

    doing: the action, to prefix the error with.
    """
    found = tuple(messages)
    for one in found:
        if isinstance(one, Rejected):
            raise EdgeError(f"{doing}: {one.reason}" if doing else one.reason, one.hint)
    return found


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to publish."""

    message: Message


@dataclass(frozen=True, slots=True)
class SetOutput:
    """An output to set on the device that a stream comes from.  value: in the output's unit."""

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
    | StoreRecalibration
    | StoreDomainMerge
    | SetOutput
)
