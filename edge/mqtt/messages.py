"""Messages that a device publishes besides those of the core: status, health, responses, gaps,
clock jumps and bundle trials.  They hold numbers and names, never secrets or payloads."""

from typing import Any, Final, Literal

import msgspec

from ..core import CalibrationStatus

ALIVE_S: Final = 30.0
"""The daemon is not alive if its work loop has made no progress for longer: the longest step of the
loop takes seconds.  Chosen by hand; effect not measured."""


class DeviceStatus(msgspec.Struct, frozen=True):
    """Connection state of a device, retained.  since_ns: when it came online, also while offline.

    reason: why it is offline: "stopped" in order, or "lost", which the broker publishes (the will).
    """

    state: Literal["online", "offline"]
    version: str
    since_ns: int
    reason: Literal["", "stopped", "lost"] = ""


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State and counters of one stream.

    problem: why its source cannot measure; input_problem: why its measurements are rejected; empty
    if all is well.  decided: decisions of a sample stream; forecasts, change_points: of a series.
    alarms: how often the stream left the known domains; alarmed: it is outside them now.
    per_second: decisions or forecasts a second, over the last ten seconds.  novel_percent: share of
    the last window that was novel; None before the first decision.  domain, label: of the newest
    decision.  observed_rate, observed_low, observed_high: the observed false-alarm rate and its
    95 % interval, None while nothing was observed; `HomeStatus` has the chosen one.
    question_at_ns: when a lasting alarm began that waits for a person's answer, 0 for none.
    """

    name: str
    source: str
    home: str
    kind: str = "sample"
    problem: str = ""
    received: int = 0
    decided: int = 0
    dropped: int = 0
    rejected: int = 0
    waiting: int = 0
    per_second: float = 0.0
    novel_percent: float | None = None
    alarmed: bool = False
    degraded: bool = False
    domain: str = ""
    label: str = ""
    last_at_ns: int = 0
    forecasts: int = 0
    change_points: int = 0
    alarms: int = 0
    input_problem: str = ""
    observed_rate: float | None = None
    observed_low: float | None = None
    observed_high: float | None = None
    question_at_ns: int = 0


class AdaptorStatus(msgspec.Struct, frozen=True):
    """The adaptor that serves a domain.  version: 0 if the head serves it alone."""

    domain: str
    version: int
    kind: str
    facts: int


class HomeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of one home.

    encoder: its name; kind: of its measurements, image, vector or window; both empty while the home
    is not open.
    candidates: observations that wait for a label.  growing: the domain that a worker grows an
    adaptor for.  growth_unavailable: why this home cannot grow adaptors; empty if it can.
    false_alarm_rate, adaptation: as chosen; the second is a policy, empty while the home is not
    open.  calibration: of each learned domain.
    """

    name: str
    encoder: str = ""
    kind: str = ""
    facts: int = 0
    concepts: int = 0
    candidates: int = 0
    adaptors: tuple[AdaptorStatus, ...] = ()
    growing: str = ""
    problem: str = ""
    growth_unavailable: str = ""
    false_alarm_rate: float = 0.0
    adaptation: str = ""
    calibration: tuple[CalibrationStatus, ...] = ()


class BrokerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the broker connection.  reasons: count of each reason code, by packet and name."""

    address: str
    online: bool
    since_s: float
    connects: int = 0
    reasons: dict[str, int] = {}
    problem: str = ""


class OutboxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that wait for delivery.  refusal: why commands are refused now; empty if not."""

    waiting: int
    nbytes: int
    oldest_s: float
    sequence: int
    dropped: int = 0
    gaps: int = 0
    refusal: str = ""
    problem: str = ""


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the whole daemon.

    state: `degraded` if a part has a problem and the rest serves.  written_bytes_day: bytes that
    this process writes to disk a day, at the present rate.  clock: `unset` before 2020.  unrouted:
    messages on topics that belong to no stream and are no command.
    """

    device: str
    version: str
    state: Literal["starting", "serving", "degraded", "paused", "stopping"]
    run: int
    uptime_s: float
    rss_mib: float
    cpu_percent: float
    written_bytes_day: int
    clock: Literal["set", "unset"]
    settings: str
    streams: tuple[StreamStatus, ...]
    homes: tuple[HomeStatus, ...]
    outbox: OutboxStatus
    broker: BrokerStatus | None = None
    problems: tuple[str, ...] = ()
    unrouted: int = 0


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The response to a command.  repeated: the command ran before, and this is its first response.
    body: the requested data, or the changes of the command."""

    verb: str
    id: str
    done: bool
    reason: str = ""
    hint: str = ""
    repeated: bool = False
    body: dict[str, Any] = {}


class OutboxGap(msgspec.Struct, frozen=True):
    """A gap in the sequence numbers, first to last: those that have not arrived are lost, unless
    they still arrive late.  count: messages dropped; after a crash an upper bound."""

    first: int
    last: int
    count: int
    reason: str


class ClockJump(msgspec.Struct, frozen=True):
    """The wall clock was set.  seconds: the step, positive forwards; clock: the state after it."""

    seconds: float
    clock: Literal["set", "unset"]


class BundleTrialReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a bundle's trial, or that the bundle was removed.  Counts since the trial began,
    or since the last restart.

    decided: decisions; unknown: those that were novel or abstained.  labelled: labels that arrived
    for them; agreed: labels that agree with the decision.
    """

    bundle: str
    state: Literal["on trial", "confirmed", "reverted", "removed"]
    reason: str
    decided: int = 0
    unknown: int = 0
    labelled: int = 0
    agreed: int = 0
