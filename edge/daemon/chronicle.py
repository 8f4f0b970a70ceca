"""Writes the history of each home: messages and commands become events with one plain sentence
each."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from ..commands import label_event
from ..core import (
    Acknowledgement,
    AlarmQuestion,
    ChangePoint,
    DriftAlarm,
    GrowthReport,
    LabelRequest,
    Receipt,
    SeriesAnomaly,
    listed,
)
from ..mqtt import BundleTrialReport, ClockJump, OutboxGap
from ..storage import HistoryEvent
from .homes import HomeSlot
from .recent_messages import Entry, RecentMessages

NS_PER_S: Final = 10**9
"""Nanoseconds in a second."""

PENDING_MAX: Final = 1_000
"""Events that wait while their home is closed; more are dropped."""

CHANNELS_SHOWN: Final = 3
"""Channels named in a sentence about a series: more do not fit a line."""


class Chronicle:
    """Keeps the histories of the daemon's homes.  recent: the messages published so far.

    Call `write` about once a second.
    """

    def __init__(self, homes: Mapping[str, HomeSlot], recent: RecentMessages) -> None:
        self._homes, self._recent = homes, recent
        self._pending: dict[str, list[HistoryEvent]] = defaultdict(list)
        self._alarms: dict[str, tuple[int, frozenset[str]]] = {}

    def note(self, home: str, event: HistoryEvent) -> None:
        """Add an event.  Labels of the same name within a second become one event."""
        pending = self._pending[home]
        if len(pending) >= PENDING_MAX:
            return
        before = pending[-1] if pending else None
        if before is not None and _same_label(before, event):
            count = before.fields["count"] + event.fields["count"]
            pending[-1] = label_event(event.at_ns, event.fields["label"], event.domain, count)
        else:
            pending.append(event)

    def write(self) -> None:
        """Write the events since the last call."""
        recent = self._recent.unrecorded
        while recent:
            entry = recent.popleft()
            for event in self._events(entry):
                self.note(entry[2], event)
        for name, events in self._pending.items():
            slot = self._homes.get(name)
            if events and slot is not None and slot.home is not None:
                slot.home.history.append(events)
                events.clear()

    def _events(self, entry: Entry) -> Iterator[HistoryEvent]:
        _, at_ns, home, message = entry
        if isinstance(message, DriftAlarm):
            yield from self._alarm(home, message)
        elif isinstance(message, Acknowledgement):
            if message.detail.startswith("merged "):
                yield _merge(at_ns, message)
        else:
            describe = EVENTS.get(type(message))
            if describe is not None:
                yield describe(at_ns, message)

    def _alarm(self, home: str, one: DriftAlarm) -> Iterator[HistoryEvent]:
        """Yield the beginning or the end of an alarm; at its end, where the domain is new since it
        began, how long it took from the first observation to answers."""
        stream, domain, at_ns = one.stream, one.domain, one.captured_at_ns
        event = partial(
            HistoryEvent,
            at_ns=at_ns,
            stream=stream,
            domain=domain,
            observation_ids=(one.observation_id,),
        )
        if one.raised:
            self._alarms[stream] = at_ns, self._known_domains(home)
            yield event(
                kind="alarm",
                text=f"{stream} left the known domains ({domain})",
                fields={"raised": True, "window_p": one.window_p},
            )
            return
        began_ns, known = self._alarms.pop(stream, (0, frozenset[str]()))
        lasted_s = (at_ns - began_ns) / NS_PER_S if began_ns else 0.0
        lasted = f" after {_duration(lasted_s)}" if began_ns else ""
        yield event(
            kind="alarm",
            text=f"{stream} is back in a known domain ({domain}){lasted}",
            fields={"raised": False, "window_p": one.window_p, "from_ns": began_ns},
        )
        if began_ns and domain and domain not in known:
            yield event(
                kind="answered",
                text=f"{domain} is answered, {_duration(lasted_s)} after {stream} entered it",
                fields={"from_ns": began_ns, "seconds": lasted_s},
            )

    def _known_domains(self, name: str) -> frozenset[str]:
        slot = self._homes.get(name)
        home = slot.home if slot is not None else None
        return frozenset(home.runtime.knowledge.domains) if home is not None else frozenset()


def start_event(at_ns: int, version: str, before: HistoryEvent | None) -> HistoryEvent:
    """Return the event of a start of the daemon.  before: its last start or stop."""
    crashed = before is not None and before.fields.get("state") == "started"
    text = f"The daemon started (version {version})"
    if crashed:
        text += "; it had ended without stopping in order"
    return HistoryEvent(
        at_ns=at_ns,
        kind="restart",
        text=text,
        fields={"state": "started", "version": version, "crashed": crashed},
    )


def stop_event(at_ns: int) -> HistoryEvent:
    """Return the event of a stop of the daemon."""
    return HistoryEvent(
        at_ns=at_ns, kind="restart", text="The daemon stopped", fields={"state": "stopped"}
    )


def fit_event(at_ns: int, facts: int) -> HistoryEvent:
    """Return the event of a first geometry."""
    text = f"The geometry was fitted to the first {facts:,} labelled facts"
    return HistoryEvent(at_ns=at_ns, kind="command", text=text, fields={"facts": facts})


def _same_label(one: HistoryEvent, other: HistoryEvent) -> bool:
    return (
        one.kind == other.kind == "label"
        and one.fields["label"] == other.fields["label"]
        and one.domain == other.domain
    )


def _question(_at_ns: int, one: AlarmQuestion) -> HistoryEvent:
    return HistoryEvent(
        at_ns=one.captured_at_ns,
        kind="alarm-question",
        stream=one.stream,
        domain=one.domain,
        text=f"The alarm of {one.stream} persists: is it a harmless change of {one.domain}?",
        fields={"from_ns": one.from_ns, "shift": one.shift},
        observation_ids=(one.alarm_id, *one.observation_ids),
    )


def _series_event(_at_ns: int, one: ChangePoint | SeriesAnomaly) -> HistoryEvent:
    channels = listed(one.channels, CHANNELS_SHOWN)
    if isinstance(one, ChangePoint):
        kind, text = "change-point", f"{one.stream}: {one.change} of {channels}"
        fields: dict[str, Any] = {
            "change": one.change,
            "severity": one.severity,
            "regime": one.regime,
            "late": one.late,
        }
    else:
        kind, text = "anomaly", f"{one.stream}: unusual values of {channels}"
        fields = {"score": one.score, "limit": one.limit, "p_value": one.p_value}
    return HistoryEvent(
        at_ns=one.captured_at_ns,
        kind=kind,
        stream=one.stream,
        text=text,
        fields=fields | {"channels": list(one.channels)},
    )


def _growth(at_ns: int, one: GrowthReport) -> HistoryEvent:
    fields = msgspec.to_builtins(one)
    fields.pop("search")
    fields.pop("observation_ids")
    better = ""
    if one.accuracy == one.accuracy:  # it is not NaN
        better = f", held-out accuracy {one.accuracy:.1%}"
        better += f" (before: {one.incumbent:.1%})" if one.incumbent == one.incumbent else ""
    detail = f": {one.detail}" if one.detail else ""
    return HistoryEvent(
        at_ns=at_ns,
        kind="growth",
        domain=one.domain,
        text=f"Adaptor of {one.domain}: {one.state}{better}{detail}",
        fields=fields,
        observation_ids=one.observation_ids,
    )


def _request(at_ns: int, one: LabelRequest) -> HistoryEvent:
    count = len(one.observation_ids)
    are = f"observation of {one.stream} is" if count == 1 else f"observations of {one.stream} are"
    return HistoryEvent(
        at_ns=at_ns,
        kind="label-request",
        stream=one.stream,
        domain=one.domain,
        text=f"{count:,} {are} worth a label ({one.domain})",
        fields={"count": count},
        observation_ids=one.observation_ids,
    )


def _receipt(at_ns: int, one: Receipt) -> HistoryEvent:
    facts = "fact was" if one.facts_forgotten == 1 else "facts were"
    return HistoryEvent(
        at_ns=at_ns,
        kind="receipt",
        text=f"{one.facts_forgotten:,} {facts} forgotten",
        fields={
            "request_id": one.request_id,
            "facts": one.facts_forgotten,
            "digest_before": one.digest_before,
            "digest_after": one.digest_after,
        },
    )


def _trial(at_ns: int, one: BundleTrialReport) -> HistoryEvent:
    reason = f": {one.reason}" if one.reason else ""
    return HistoryEvent(
        at_ns=at_ns,
        kind="bundle-trial",
        text=f"Bundle {one.bundle} is {one.state}{reason}",
        fields=msgspec.to_builtins(one),
    )


def _merge(at_ns: int, one: Acknowledgement) -> HistoryEvent:
    """Return the event of a merge that the device made, without the part of the detail that names
    the observation."""
    sentence, facts = one.detail.partition(";")[0], "fact" if one.count == 1 else "facts"
    return HistoryEvent(
        at_ns=at_ns,
        kind="merge",
        text=f"The device {sentence}, {one.count:,} {facts} moved",
        fields={"count": one.count},
        observation_ids=(one.subject_id,),
    )


def _gap(at_ns: int, one: OutboxGap) -> HistoryEvent:
    most = "at most " if one.reason == "crash" else ""
    lost = "1 message was lost" if one.count == 1 else f"{one.count:,} messages were lost"
    text = f"{most}{lost}: {one.reason}"
    return HistoryEvent(at_ns=at_ns, kind="gap", text=text, fields=msgspec.to_builtins(one))


def _clock(at_ns: int, one: ClockJump) -> HistoryEvent:
    text = f"The clock was set by {one.seconds:+.0f} s"
    return HistoryEvent(at_ns=at_ns, kind="clock", text=text, fields=msgspec.to_builtins(one))


EVENTS: Final[dict[type, Callable[[int, Any], HistoryEvent]]] = {
    AlarmQuestion: _question,
    ChangePoint: _series_event,
    SeriesAnomaly: _series_event,
    GrowthReport: _growth,
    LabelRequest: _request,
    Receipt: _receipt,
    BundleTrialReport: _trial,
    OutboxGap: _gap,
    ClockJump: _clock,
}
"""The events of messages that need nothing else."""


def _duration(seconds: float) -> str:
    """Return a duration in its largest unit: 40 s, 12.0 min, 3.5 h, 2.1 days."""
    for unit, size in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
