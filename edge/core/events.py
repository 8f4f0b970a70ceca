"""Events that a Runtime handles, effects that it returns, and messages that it publishes.

Frozen data only.  Time enters as numbers (`captured_at_ns`: nanoseconds since 1970, as the source
gave them), identity as text.  A fact's features travel as bytes: immutable, comparable, and exactly
as the ledger stores them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec

from .actions import Action
from .adaptors import AdaptorRecord
from .domain_merges import DomainMerge
from .errors import EdgeError
from .facts import Fact, LabelCandidate, Selector
from .jobs import GrowthJob, GrowthResult
from .knowledge import Contribution
from .pending_forgets import AdvanceForget, CompleteForget, ExcludeFacts, RenameDomain
from .recalibration import Recalibration
from .receipt import DuplicateGuard, Receipt, SeriesRange
from .structs import FrozenStruct


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


class Label(msgspec.Struct, frozen=True):
    """A label for an earlier observation.  domain: empty leaves it to the detector."""

    observation_id: str
    label: str
    domain: str = ""


class LabelMany(msgspec.Struct, frozen=True):
    """Labels for earlier observations, stored together.  Those that cannot be used are left out,
    see `Runtime.refusals`."""

    labels: tuple[Label, ...]


class Unlabel(msgspec.Struct, frozen=True):
    """Take back the labels of facts: their observations wait for a label again, and no tombstone is
    left."""

    observation_ids: tuple[str, ...]


class Enrol(FrozenStruct, frozen=True):
    """Labelled facts in bulk: a folder of examples, or another ledger's facts."""

    facts: tuple[Fact, ...]


class Relabel(msgspec.Struct, frozen=True):
    """Change the label, the domain, or both of every selected fact (empty: unchanged)."""

    selector: Selector
    label: str = ""
    domain: str = ""


class UndoMerge(msgspec.Struct, frozen=True):
    """Undo a merge of domains: facts that it moved, and that were not corrected since move back.

    merge_id: of the `DomainMerge`.
    """

    merge_id: str


class ForgetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Forget every selected fact as if it had never been seen (machine unlearning).

    request_id: of the receipt; repeating a request under the same id returns the same receipt and
    changes nothing.  refit_geometry: also fit the geometry again to the remaining facts, if one was
    fitted (see `FitGeometry`); False is faster, and the receipt then lists the geometry as not
    covered.  duplicates: what is not learned again: the same ids (off), also the same content under
    another id (exact), also nearly the same content (near).  remove_files: also remove copies of
    the facts in other files of the home; otherwise the receipt names them.
    """

    request_id: str
    selector: Selector
    requested_at_ns: int = 0
    refit_geometry: bool = True
    remove_files: bool = False
    duplicates: DuplicateGuard = "exact"


class FitGeometry(msgspec.Struct, frozen=True):
    """Fit a new geometry (whitening, scales) to the facts in the ledger, and freeze it."""


class GrowRequest(msgspec.Struct, frozen=True):
    """Grow an adaptor for a domain now, whether or not it is due."""

    domain: str
    request_id: str = "grow"


class GrowthFinished(msgspec.Struct, frozen=True, eq=False):
    """A worker has finished a job, with or without an adaptor."""

    result: GrowthResult


class Rollback(msgspec.Struct, frozen=True):
    """Remove the newest adaptor of a domain; the version before it serves again."""

    domain: str
    request_id: str = "rollback"


class ConfirmAlarm(msgspec.Struct, frozen=True):
    """A person's answer to an `AlarmQuestion`.

    harmless: True re-bases the stream's level on the observations of the question, and the alarm
    ends; False closes the question, and the alarm stays.  at_ns: when the answer was given.
    """

    alarm_id: str
    stream: str
    harmless: bool
    at_ns: int = 0


PersonEvent = (
    Label | LabelMany | Unlabel | Relabel | UndoMerge | ConfirmAlarm | Rollback | GrowRequest
)
"""The events that can be undone."""


class Undoable(msgspec.Struct, frozen=True):
    """An event that a person caused, to be recorded so that it can be undone.

    action_id: unique, for `Undo`.  at_ns: now.
    """

    event: PersonEvent
    action_id: str
    at_ns: int = 0


class Undo(msgspec.Struct, frozen=True):
    """Undo an action, see `Undoable`.  at_ns: now."""

    action_id: str
    at_ns: int = 0


class Tick(msgspec.Struct, frozen=True):
    """Run deferred work; all effects so far must be applied.

    Starts growth that is due.  Send one after labels, and at intervals.  grows: False if no worker
    can grow adaptors.
    """

    grows: bool = True


Event = (
    Observation
    | Label
    | LabelMany
    | Unlabel
    | Enrol
    | Relabel
    | UndoMerge
    | ForgetRequest
    | AdvanceForget
    | FitGeometry
    | GrowRequest
    | GrowthFinished
    | Rollback
    | Contribution
    | ConfirmAlarm
    | Undoable
    | Undo
    | Tick
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """Facts to write, durably before any later effect.

    evicted: ids that a full concept evicts or refuses; a receipt counts both.  withdrawn: ids of
    facts whose label is taken back; they leave no tombstone and are not counted.  readmitted: how
    many earlier evictions this takes back.  before: the stored facts that it replaces, evicts or
    withdraws, for the record of an action.  placed: ids of facts whose domain the detector chose.
    """

    facts: tuple[Fact, ...] = field(repr=False)
    evicted: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    readmitted: int = 0
    before: tuple[Fact, ...] = field(default=(), repr=False, compare=False)
    placed: tuple[str, ...] = ()


class StoreContribution(msgspec.Struct, frozen=True, eq=False):
    """Another device's contribution to write durably, replacing its earlier one.  One without
    samples removes the sums and records the revision received."""

    contribution: Contribution


class StoreGeometry(FrozenStruct, frozen=True):
    """A geometry to write to the ledger, replacing the one before."""

    geometry: Mapping[str, Any]


class ReleaseActions(msgspec.Struct, frozen=True):
    """Facts that stay, but leave the records of actions: as they were before, a forget request
    selects them.  streams: whose answers to alarms can no longer be undone."""

    ids: tuple[str, ...]
    streams: tuple[str, ...] = ()


class EraseFacts(msgspec.Struct, frozen=True):
    """Ids to erase, with tombstones so that a redelivery is not learned again, and the receipt, all
    in one transaction.  The contents of facts and candidates, and these `contents` of observations
    that the ledger does not hold, get tombstones too, see `Receipt.duplicates`; so do `ranges`."""

    ids: tuple[str, ...]
    receipt: Receipt
    contents: tuple[bytes, ...] = ()
    ranges: tuple[SeriesRange, ...] = ()

    @property
    def duplicates(self) -> DuplicateGuard:
        """What the request wants not to be learned again."""
        return self.receipt.duplicates


class StartGrowth(msgspec.Struct, frozen=True, eq=False):
    """A job for the worker; its result returns as `GrowthFinished`.  One at a time."""

    job: GrowthJob


class CancelGrowth(msgspec.Struct, frozen=True):
    """Stop a job and drop its facts: some of them are being forgotten."""

    job_id: str


class StoreAdaptor(msgspec.Struct, frozen=True, eq=False):
    """An adaptor version to write; it serves from now on.  Two versions per domain are kept."""

    record: AdaptorRecord


class RemoveAdaptor(msgspec.Struct, frozen=True):
    """An adaptor version to delete, also one that is still pending; the version before it serves
    again, or the head alone."""

    domain: str
    version: int


class StoreGrowthAttempt(msgspec.Struct, frozen=True):
    """Growth failed on facts with this hash; one per domain is kept, and `EraseFacts` drops all."""

    domain: str
    hash: str


class StoreLabelCandidates(FrozenStruct, frozen=True):
    """Label candidates to write to the ledger, which keeps the newest `limits.CANDIDATES_MAX`; a
    label, an eviction or a forget request removes them."""

    candidates: tuple[LabelCandidate, ...]


class StoreRecalibration(msgspec.Struct, frozen=True):
    """A stream's recalibration to write durably, replacing its earlier one; None removes it."""

    stream: str
    record: Recalibration | None


class StoreDomainMerge(msgspec.Struct, frozen=True):
    """A merge of domains to write durably, replacing the record of the same id; the newest
    `limits.DOMAIN_MERGES_MAX` are kept.  Forgotten and evicted facts leave it."""

    merge: DomainMerge


class Together(msgspec.Struct, frozen=True, eq=False):
    """Effects to apply in one transaction.

    action: record it with them; adaptors that they remove are kept aside for it.  undoes: id of the
    action that they undo; adaptors kept aside for it serve again, and its record ends.
    """

    effects: tuple["StoredEffect", ...]
    action: Action | None = None
    undoes: str = ""


class AppliedAdaptation(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer was adapted to an unlabelled domain.

    strength: share of the measured shift that was taken off, from 0 to 1.  samples: of the domain.
    order: whether the order of labels took part.
    """

    strength: float
    samples: int
    order: bool


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime's decision on one observation: ids and numbers only.

    known: False if out of distribution; None if too few facts are known to decide at the chosen
    false-alarm rate.  label: None if it abstains (novel, or nothing learned yet); guess: the best
    answer in any case.  score: novelty of the sample, higher is more novel.  p_value: of the
    sample; window_p: of the stream's window.  reason: why `known` is None.  degraded: the stream is
    in a domain with no labels or few.  false_alarm_rate: the chosen one.  observed_rate,
    observed_low, observed_high: see `ObservedRate`; None while nothing was observed.  provisional:
    the parts that a forget request dropped and that it is made without, and "judgement" while an
    adaptor answers that was made again after one and is not judged yet; see
    `Knowledge.provisional`.  adaptation: None if none.
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
    false_alarm_rate: float | None = None
    observed_rate: float | None = None
    observed_low: float | None = None
    observed_high: float | None = None
    provisional: tuple[str, ...] = ()
    adaptation: AppliedAdaptation | None = None


class DriftAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's window left (raised) or re-entered the known domains at an observation."""

    stream: str
    observation_id: str
    captured_at_ns: int
    raised: bool
    window_p: float
    domain: str


class AlarmQuestion(msgspec.Struct, frozen=True, kw_only=True):
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


class Acknowledgement(msgspec.Struct, frozen=True):
    """A label, enrolment, relabelling, geometry fit or contribution was accepted.  count: facts
    changed."""

    subject_id: str
    count: int
    detail: str = ""


class Rejected(msgspec.Struct, frozen=True):
    """A rejected event, which changed nothing: the reason and a hint, for its sender."""

    subject_id: str
    reason: str
    hint: str = ""


GrowthState = Literal["started", "serving", "refused", "retired", "rolled back", "abandoned"]


class GrowthReport(msgspec.Struct, frozen=True, kw_only=True):
    """A change of state of a domain's adaptor.  version: 0 if there is none.

    accuracy, incumbent: held-out accuracy of the candidate and of the incumbent; NaN if unknown.
    observation_ids: those that `search` or `detail` names.
    """

    domain: str
    state: GrowthState
    version: int
    accuracy: float = math.nan
    incumbent: float = math.nan
    detail: str = ""
    search: tuple[str, ...] = ()
    observation_ids: tuple[str, ...] = ()


class UnlabelledObservation(msgspec.Struct, frozen=True, kw_only=True):
    """An observation worth a label, with the decision that was served on it.

    guess: the best answer, a label.  p_value: of the sample among known ones; low is novel.
    """

    observation_id: str
    stream: str
    domain: str
    captured_at_ns: int
    guess: str
    p_value: float


class LabelRequest(msgspec.Struct, frozen=True):
    """Observations of an unlabelled domain that are most worth a label, best first.

    observations: describes those of `observation_ids` that are still buffered, in the same order.
    """

    stream: str
    domain: str
    observation_ids: tuple[str, ...]
    observations: tuple[UnlabelledObservation, ...] = ()


class SeriesForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Forecast of a series after a sample, by horizon and channel; NaN if there is none yet.

    horizons: in samples ahead.  low, high: bounds of a 90 % prediction interval.  anomaly_score:
    surprise of the sample, 0 or more; anomaly_limit: score from which the series is in alarm, which
    anomaly_alarm says; anomaly_p_value: estimated rate per sample at which a normal series reaches
    the score, 1 during the warm-up.  provisional: samples of the series were forgotten, and what
    came after them is processed again; point is the value of the sample meanwhile, and there are no
    bounds and no anomaly score.
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
    provisional: bool = False


class ChangePoint(msgspec.Struct, frozen=True, kw_only=True):
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


class SeriesAnomaly(msgspec.Struct, frozen=True, kw_only=True):
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


class Publish(msgspec.Struct, frozen=True):
    """A message to publish."""

    message: Message


class SetOutput(msgspec.Struct, frozen=True):
    """An output to set on the device that a stream comes from.  value: in the output's unit."""

    stream: str
    channel: int
    value: int


StoredEffect = (
    StoreFacts
    | StoreAdaptor
    | RemoveAdaptor
    | StoreGrowthAttempt
    | StoreLabelCandidates
    | StoreRecalibration
    | StoreDomainMerge
)
"""Effects that a person's action may have on the ledger."""

STORED_EFFECTS = get_args(StoredEffect)

Effect = (
    Publish
    | Together
    | ReleaseActions
    | StoredEffect
    | StoreContribution
    | StoreGeometry
    | EraseFacts
    | ExcludeFacts
    | CompleteForget
    | RenameDomain
    | StartGrowth
    | CancelGrowth
    | SetOutput
)
