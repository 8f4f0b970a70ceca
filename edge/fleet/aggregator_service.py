"""Runs an aggregator on a broker: takes contributions in, publishes their sum and its reports.

A message is acknowledged once its effect is on the disk.  In memory there is at most one message of
each child, since a newer revision replaces an older one whole, and `queue_bytes_max` bytes of them
all: a full queue is summed before more is read, so the broker's flow control holds the others.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from ..config import AggregateSettings
from ..core import EdgeError
from ..logs import log
from ..mqtt import InboundMessage, Topics, encode_level
from ..signing import load_key, public_key
from ..storage import AggregateFile, AppliedRow, RefusalRow
from .aggregator import DROPPED, AggregateOutcome, AggregatePlace, Aggregator
from .applied import AppliedReport, find_other_of_name, read_report, write_report
from .contribution_message import read_revision, write_contribution

PUMP_S: Final = 0.2
"""Longest wait for messages before timers are checked.  Chosen by hand."""

UNUSED: Final = "its newest revision cannot be used"
"""Why a child is not summed where the reason is no longer among the refusals that are kept."""


class AggregatorClient(Protocol):
    """The MQTT client of an aggregator."""

    @property
    def online(self) -> bool:
        """True while messages can be published."""

    @property
    def counters(self) -> Any:
        """Counters; `connected` counts connections."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Publish and return the message id; None if offline or without send quota."""

    def acked(self) -> tuple[Any, ...]:
        """Return the outcomes of published messages."""

    def acknowledge(self, ticket: int) -> None:
        """Acknowledge a received message."""

    def subscribe(self, filters: Any) -> None:
        """Subscribe to these topics."""

    def pump(self, wait_s: float) -> None:
        """Read, write and reconnect."""


@dataclass(slots=True)
class _Queue:
    """The newest message of each child, and the tickets to acknowledge once it is durable.

    payloads: by device, and whether it can be read: one that cannot is refused, and must not take
    the place of one that can.  revisions: of those that can.
    """

    payloads: dict[tuple[str, bool], bytes] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    tickets: list[int] = field(default_factory=list)
    nbytes: int = 0

    def put(self, device: str, payload: bytes, revision: int, ticket: int) -> None:
        """Queue a message in place of the child's older one; revision: -1 if it cannot be read."""
        self.tickets.append(ticket)
        if revision >= 0 and revision < self.revisions.get(device, 0):
            return
        place = device, revision >= 0
        self.nbytes += len(payload) - len(self.payloads.pop(place, b""))
        self.payloads[place] = payload
        if revision >= 0:
            self.revisions[device] = revision


class AggregatorService:
    """An aggregator with its topics.  folder: of the home, for the key.  clock: monotonic seconds;
    now_ns: nanoseconds since 1970."""

    def __init__(
        self,
        settings: AggregateSettings,
        folder: Path,
        file: AggregateFile,
        place: AggregatePlace,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings, self._clock, self._now_ns = settings, clock, now_ns
        self._key = load_key(folder / settings.key) if settings.key else None
        self._keys = {one: public_key(text, one) for one, text in settings.keys.items()}
        self._topics = Topics(settings.name)
        self.aggregator = Aggregator(file, place, settings, self._keys)
        self._file, self._queue = file, _Queue()
        self._reports: dict[str, None] = {}
        self._sent: dict[int, str] = {}
        self._changed, self._urgent = True, True
        self._published_s = self._checked_s = clock()
        self._message, self._connection = b"", -1
        self._orders: list[tuple[bytes, int]] = []

    @property
    def filters(self) -> list[str]:
        """The topics to subscribe to."""
        settings, topics = self._settings, self._topics
        root = topics.fleet_filter(settings.fleet, "contribution")
        names = [one for one in settings.children if settings.admits(one)]
        levels = ["+" if one == "*" else encode_level(one) for one in names]
        found = [root + level for level in levels]
        if settings.parent:
            found.append(topics.fleet_topic(settings.parent, "applied"))
        return found

    def receive(self, arrival: InboundMessage, client: AggregatorClient) -> None:
        """Queue a message; a full queue is summed at once."""
        address = self._topics.parse(arrival.topic)
        here = address.fleet == self._settings.fleet
        if address.purpose == "applied" and address.name == self._settings.name:
            self._orders.append((arrival.payload, arrival.ticket))
        elif address.purpose == "contribution" and here and self._settings.admits(address.name):
            # One byte more than is allowed is refused as well, and takes no memory.
            payload = arrival.payload[: self._settings.payload_bytes_max + 1]
            revision = read_revision(payload, address.name, self._keys)
            self._queue.put(address.name, payload, revision, arrival.ticket)
            if self._queue.nbytes > self._settings.queue_bytes_max:
                self._take(client)
        else:
            client.acknowledge(arrival.ticket)

    def step(self, client: AggregatorClient, wait_s: float = PUMP_S) -> None:
        """Read, sum, answer and publish once."""
        client.pump(wait_s)
        self._take(client)
        self._obey(client)
        self._note(self.aggregator.release(self._now_ns()))
        self._serve_requests()
        if self._clock() - self._checked_s >= self._settings.check_after_s:
            self._check()
        self._publish(client)
        self._report(client)

    def _take(self, client: AggregatorClient) -> None:
        """Sum what is queued, then acknowledge it."""
        queue, self._queue = self._queue, _Queue()
        if queue.payloads:
            pairs = ((device, payload) for (device, _), payload in queue.payloads.items())
            self._note(self.aggregator.receive(pairs, self._now_ns()))
        for ticket in queue.tickets:
            client.acknowledge(ticket)

    def _note(self, outcomes: list[AggregateOutcome]) -> None:
        for one in outcomes:
            if one.state == "refused":
                log.warning("contribution_refused", device=one.device, reason=one.reason)
            if one.state in ("summed", "withdrawn", "refused"):
                self._changed = True
                # What a device has withdrawn leaves the sum of a site as a smaller sum.
                self._urgent = self._urgent or one.lowered
            self._reports[one.device] = None
            for displaced in one.displaced:
                log.warning("child_displaced", device=displaced, by=one.device)
                self._reports[displaced] = None
        if any(one.lowered or one.state == "withdrawn" for one in outcomes):
            self._file.shrink_log()

    def _obey(self, client: AggregatorClient) -> None:
        """Note what the aggregators above have taken in."""
        orders, self._orders = self._orders, []
        for payload, ticket in orders:
            try:
                report = read_report(payload, self._settings.name, self._keys)
            except EdgeError as error:
                log.warning("report_refused", reason=error.message)
                client.acknowledge(ticket)
                continue
            self._note_refusal(report)
            with self._file.change("noting what was taken in above"):
                for one in report.applied:
                    for child in self._file.unacknowledged(one.aggregate, one.revision):
                        row = AppliedRow(child.device, one.aggregate, child.revision, one.at_ns)
                        self._file.apply(row)
                        self._reports[child.device] = None
            client.acknowledge(ticket)

    def _note_refusal(self, report: AppliedReport) -> None:
        """Record why the aggregator above does not sum this one, for people to see."""
        name = self._settings.name
        reason = report.refused or find_other_of_name(report, self.aggregator.last().revision)
        if not reason:
            return
        log.error("sum_not_taken_in", by=report.device, reason=reason)
        text = f"{report.device} does not take this sum in: {reason}"[:500]
        if text != self._file.last_refusal(name):
            with self._file.change("noting a refusal above"):
                self._file.refuse(RefusalRow(name, self._now_ns(), text))

    def _serve_requests(self) -> None:
        """Do what operators have asked for."""
        for one in self.aggregator.serve_requests(self._now_ns()):
            log.warning("request_done", verb=one.verb, device=one.device)
            if one.device:
                self._changed = self._urgent = True
                self._reports[one.device] = None

    def _check(self) -> None:
        self._checked_s = self._clock()
        for one in self.aggregator.check():
            name = "/".join(one.concept)
            log.warning("child_far_from_others", device=one.device, concept=name, far=one.spreads)

    def _publish(self, client: AggregatorClient) -> None:
        """Publish the sum, retained: after a change, and once on each connection."""
        now, connection = self._clock(), client.counters.connected
        rested = now - self._published_s >= self._settings.publish_after_s
        if self._changed and (self._urgent or rested):
            made = self.aggregator.contribution(self._now_ns())
            message = write_contribution(made, self._key)
            if message != self._message:
                self._message, self._connection = message, -1
            self._changed = self._urgent = False
            self._published_s = now
        if not self._message or not client.online or connection == self._connection:
            return
        fleet = self._settings.parent or self._settings.fleet
        topic = self._topics.fleet_topic(fleet, "contribution")
        if client.publish(topic, self._message, retain=True) is not None:
            self._connection = connection

    def _report(self, client: AggregatorClient) -> None:
        """Publish reports, as many as the broker takes; those that were lost are sent again."""
        for one in client.acked():
            device = self._sent.pop(one.message_id, "")
            if device and one.lost:
                self._reports[device] = None
        root = self._topics.fleet_filter(self._settings.fleet, "applied")
        while self._reports and client.online:
            device = next(iter(self._reports))
            refused = self._reason(device)
            rows = self._file.applied(device)
            raw = write_report(self._settings.name, device, rows, refused, self._key)
            message_id = client.publish(root + encode_level(device), raw, retain=True)
            if message_id is None:
                return
            del self._reports[device]
            self._sent[message_id] = device

    def _reason(self, device: str) -> str:
        """Return why a child is not summed; empty if it is, or has withdrawn its sums."""
        child = self._file.child(device)
        if child is not None and child.state == "dropped":
            return DROPPED
        refused = child is None or child.state == "refused"
        return (self._file.last_refusal(device) or UNUSED) if refused else ""
