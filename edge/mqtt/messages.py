"""Messages that the shell publishes besides those of the core: status, answers, gaps, clock jumps,
bundle trials.  Plain numbers and names; no secrets, no payloads."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

ALIVE_S: Final = 30.0
"""A work loop that has stood still for longer is not alive; its longest steps take seconds."""


class StreamStatus(msgspec.Struct, frozen=True):
    """One stream.

    trouble: what keeps its source from measuring.  decided, forecasts: measurements answered, of a
    stream of samples and of a series.  rejecting: why nothing that comes can be used, where that is
    so.  changes: change points found in a series.  alarms: how often the stream has left known
    ground; alarmed: it has now.  per_second: decisions or forecasts, over the last ten seconds.
    novel_percent: decisions of the last window that were not known; None before there are any.
    domain, label: of the newest decision.
    """

    name: str
    source: str
    home: str
    kind: str = "sample"
    trouble: str = ""
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
    changes: int = 0
    alarms: int = 0
    rejecting: str = ""


class AdaptorStatus(msgspec.Struct, frozen=True):
    """What serves a domain.  version: 0 where the head alone answers."""

    domain: str
    version: int
    kind: str
    facts: int


class HomeStatus(msgspec.Struct, frozen=True):
    """One home.

    candidates: observations that wait for a label.  growing: the domain that a worker is busy with;
    heads_only: why no adaptor can be grown here, or nothing.
    """

    name: str
    encoder: str
    facts: int
    concepts: int
    candidates: int
    adaptors: tuple[AdaptorStatus, ...] = ()
    growing: str = ""
    trouble: str = ""
    heads_only: str = ""


class BrokerStatus(msgspec.Struct, frozen=True):
    """The connection to the broker.  reasons: how often each reason but success came."""

    place: str
    online: bool
    since_s: float
    connects: int = 0
    reasons: dict[str, int] = {}
    trouble: str = ""


class OutboxStatus(msgspec.Struct, frozen=True):
    """What waits to be delivered.  refusing: why commands are refused now; empty where not."""

    waiting: int
    nbytes: int
    oldest_s: float
    sequence: int
    dropped: int = 0
    gaps: int = 0
    refusing: str = ""
    trouble: str = ""


class DaemonStatus(msgspec.Struct, frozen=True):
    """The whole.

    state: `degraded` where something is in trouble and the rest serves.  written_bytes_day: what
    this process wrote to disks, for a day at the present rate.  clock: `unset` before 2020.
    strays: messages at topics that no stream takes and that are no command.
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
    trouble: tuple[str, ...] = ()
    strays: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a command.  repeated: it was carried out before, this is what was answered
    then.  body: what it asked for, or what it changed."""

    verb: str
    id: str
    done: bool
    reason: str = ""
    hint: str = ""
    repeated: bool = False
    body: dict[str, Any] = field(default_factory=dict)


class OutboxGap(msgspec.Struct, frozen=True):
    """Numbers first to last: those of them that have not arrived never will, unless they still
    come.  count: how many were dropped; after a crash, how many there may be at most."""

    first: int
    last: int
    count: int
    reason: str


class ClockJump(msgspec.Struct, frozen=True):
    """The wall clock was set.  seconds: by how much, forward or back; clock: what it is now."""

    seconds: float
    clock: Literal["set", "unset"]


@dataclass(frozen=True, slots=True)
class BundleTrialReport:
    """What became of a bundle.  Numbers since the trial began, or since the last restart in it.

    decided: observations; unknown: of them new, or abstained on.  labelled: labels that came for
    them; agreed: of these, what had been answered.
    """

    bundle: str
    state: Literal["on trial", "confirmed", "reverted"]
    reason: str
    decided: int = 0
    unknown: int = 0
    labelled: int = 0
    agreed: int = 0
