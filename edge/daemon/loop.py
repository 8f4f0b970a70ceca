"""The work loop: everything that touches homes, outbox and broker happens here, in one thread.

A turn: let the broker read and write, take in what it confirmed, carry out orders, decide on what
came in, make durable what has to be, send what may be sent.  The heavy work of growth is in a
process of its own; other threads only wait, and hand over through the intake.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final, Protocol

from ..config import SentStream, TopicStream
from ..core import (
    NAMING_HINT,
    ChangePoint,
    Decision,
    DriftAlarm,
    EdgeError,
    Event,
    Message,
    NamedValues,
    Observation,
    Rejected,
    SeriesForecast,
    StateError,
    listed,
)
from ..logs import PacedLog, log
from ..mqtt import InboundMessage, TopicAddress, Topics
from ..sources import InvalidMeasurement, Measurement, decode_payload, read_properties
from .clock import DaemonClock
from .homes import HomeSlot
from .inbox import Inbox
from .publisher import PublishChannel, Publisher
from .stream_counters import StreamCounters
from .systemd import SystemdNotifier

TURN_S: Final = 0.004
"""Longest that one turn works on observations before the broker gets its turn."""

TOGETHER_MAX: Final = 64
"""Observations that are decided together, of those that cost little."""

WAIT_S: Final = 0.5
TEND_S: Final = 1.0
FLAWS_A_SECOND: Final = 10
"""Rejections of what could not be read that are told; all are counted."""

NAMES_MAX: Final = 1_024
TOPIC_CHARS: Final = 200
HINT_CHARS: Final = 500


class MqttChannel(PublishChannel, Protocol):
    """A broker, as far as the loop drives it."""

    def pump(self, wait_s: float, *, reading: bool = True) -> None:
        """Wait for something to do, and do it."""

    def settle(self, ticket: int) -> None:
        """Acknowledge an arrival."""


class CommandPort(Protocol):
    """Who understands commands and contributions."""

    def receive(self, arrival: InboundMessage, address: TopicAddress) -> Any | None:
        """Return an order (with a `ticket`), or None where it was answered already."""

    def local(self, line: bytes, reply: Callable[[bytes], None]) -> Any | None:
        """Return the order that somebody on this machine gives, or None where it was answered; in
        any thread."""

    def about(self, order: Any) -> str:
        """Return the id of the observation that an order labels, or nothing."""

    def carry_out(self, order: Any) -> None:
        """Do what an order says, and answer it."""

    def refuse(self, order: Any, reason: str) -> None:
        """Answer an order that is not taken."""


class SecondaryChannel(Protocol):
    """Who tells decisions in another way too."""

    def tell(self, message: Message) -> None:
        """Tell a message, now or later."""

    def pump(self) -> None:
        """Do what there is to do, without waiting."""

    def forget(self, ids: AbstractSet[str]) -> None:
        """Forget what waits of these observations."""


class Loop:
    """The loop over its parts; `turn` it for ever.

    homes: by name, "" for the one of the settings.  desk: None where there are no commands.
    every_second: called about each second.  beside: Sparkplug, where it is asked for.
    """

    def __init__(
        self,
        intake: Inbox[Any],
        homes: Mapping[str, HomeSlot],
        line: MqttChannel,
        teller: Publisher,
        topics: Topics,
        clock: DaemonClock,
        notifier: SystemdNotifier,
    ) -> None:
        self.intake, self.homes, self.line, self.teller = intake, homes, line, teller
        self.topics, self.clock, self.notifier = topics, clock, notifier
        self.desk: CommandPort | None = None
        self.beside: SecondaryChannel | None = None
        self.every_second: Callable[[], None] | None = None
        self.paused = False
        self.strays = 0
        self._stray_topic = ""
        self._paced = PacedLog()
        self.turned_at = time.monotonic()
        self._tended_at = self._watched_at = 0.0
        self._flaws_left = FLAWS_A_SECOND
        self._to_forget: set[str] = set()
        self._failing = False
        self._addresses: dict[str, TopicAddress] = {}
        self._by_topic = by_topic(intake.streams)

    def turn(self, wait_s: float = WAIT_S) -> None:
        """Do once around what there is to do; waits `wait_s` at most where there is nothing."""
        self.line.pump(0.0 if len(self.intake) else wait_s, reading=not self.intake.crowded)
        if self.beside is not None:
            self.beside.pump()
        self.teller.hear()
        self._carry_out_orders()
        if not self.paused:
            self._decide()
        now = time.monotonic()
        if now - self._tended_at >= TEND_S:
            self._tended_at = now
            self._tend()
        self.teller.outbox.tend(online=self.line.online)
        self.teller.flush()
        self.turned_at = now
        self._feed_watchdog(now)

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """Let a home handle an event, and tell what it says.  Raises EdgeError where the home
        cannot, and changed nothing."""
        slot = self.homes.get(home)
        if slot is None:
            known = ", ".join(name or "(the settings' own)" for name in self.homes)
            raise EdgeError(f"there is no home {home!r}", f"known homes: {known}")
        told = slot.feed(event)
        self.tell(told)
        return told

    def tell(self, messages: Iterable[Message]) -> None:
        """Tell what a home says."""
        for message in messages:
            if isinstance(message, Decision | DriftAlarm | SeriesForecast | ChangePoint):
                stream = self.intake.streams.get(message.stream)
                if stream is not None:
                    stream.note(message)
            self.teller.tell(message)
            if self.beside is not None:
                self.beside.tell(message)

    def arrive(self, arrival: InboundMessage) -> None:
        """Take in what the broker brings; inside `pump`."""
        stream = self._by_topic.get(arrival.topic)
        if stream is not None:
            self._observe(stream, arrival)
            return
        address = self._read(arrival.topic)
        found = self.intake.streams.get(address.name) if address.purpose == "observe" else None
        if found is not None and isinstance(found.settings, TopicStream):
            self._observe(found, arrival)
        elif address.purpose in {"command", "contribution"} and self.desk is not None:
            self._take_order(self.desk, arrival, address)
        else:
            self._turn_away(arrival)
            self.line.settle(arrival.ticket)

    def open_homes(self) -> None:
        """Open the homes that are not open, where it is time to try."""
        for slot in self.homes.values():
            if slot.open():
                try:
                    self._forget_buried(slot)
                except EdgeError as error:
                    slot.fail(error)
        self._forget()

    def erased(self, ids: tuple[str, ...]) -> None:
        """Let the outbox forget, too; where its disk fails, it is tried again each second."""
        self._to_forget.update(ids)
        self._forget()

    def restream(self, streams: Mapping[str, StreamCounters]) -> None:
        """Serve other streams from now on."""
        self.intake.streams = streams
        self._by_topic = by_topic(streams)

    # --- parts of a turn -------------------------------------------------------------------------

    def _observe(self, stream: StreamCounters, arrival: InboundMessage) -> None:
        given = read_properties(arrival.user)
        settings = stream.settings
        assert isinstance(settings, SentStream)
        found = (
            given
            if isinstance(given, InvalidMeasurement)
            else decode_payload(stream.name, settings, arrival.payload, given)
        )
        if isinstance(found, InvalidMeasurement):
            self.intake.reject(stream.name, found)
        else:
            self.intake.offer(found)
        self.line.settle(arrival.ticket)

    def _turn_away(self, arrival: InboundMessage) -> None:
        """Say that nothing here takes what came, a few times a second."""
        self.strays += 1
        self._stray_topic = arrival.topic[:TOPIC_CHARS]
        if self._flaws_left <= 0:
            return
        self._flaws_left -= 1
        taking = [
            one for one in self.intake.streams.values() if isinstance(one.settings, TopicStream)
        ]
        known = ", ".join(stream.name for stream in taking) or "none"
        reason = "nothing here takes what comes at this topic"
        hint = f"streams that measurements may be sent to: {known}"
        self.teller.tell(Rejected(arrival.topic[:TOPIC_CHARS], reason, hint[:HINT_CHARS]))

    def _take_order(
        self, desk: CommandPort, arrival: InboundMessage, address: TopicAddress
    ) -> None:
        order = desk.receive(arrival, address)
        if order is None:
            self.line.settle(arrival.ticket)
            return
        reason = self.teller.outbox.refusing or self.intake.order(order)
        if reason:
            desk.refuse(order, reason)
            self.line.settle(arrival.ticket)

    def _carry_out_orders(self) -> None:
        while (order := self.intake.take_order()) is not None:
            if self.desk is None:
                continue
            about = "" if self.paused else self.desk.about(order)
            if about and self.intake.waits(about):
                # A label right behind its vector: nothing behind it overtakes it, a forget least.
                self.intake.put_back(order)
                return
            try:
                self.desk.carry_out(order)
            except EdgeError as error:
                self.desk.refuse(order, error.message)
            except Exception:
                log.exception("order_failed")
                self.desk.refuse(order, "it failed: a bug, see the log")
            ticket = getattr(order, "ticket", 0)
            if ticket:
                self.teller.after(partial(self.line.settle, ticket))

    def _decide(self) -> None:
        until = time.monotonic() + TURN_S
        while waiting := self._take():
            self._foresee(waiting)
            for stream, event in waiting:
                self._decide_on(stream, event)
            if time.monotonic() > until:
                return

    def _take(self) -> list[tuple[StreamCounters, Observation]]:
        """Take the observations that wait, as many as are decided together: those that take long
        one by one."""
        taken: list[tuple[StreamCounters, Observation]] = []
        while len(taken) < TOGETHER_MAX and (measurement := self.intake.take()) is not None:
            stream = self.intake.streams.get(measurement.stream)
            if stream is None:
                continue
            taken.append((stream, self._event(stream, measurement)))
            if not self.homes[stream.settings.home].foresees:
                break
        return taken

    def _foresee(self, waiting: list[tuple[StreamCounters, Observation]]) -> None:
        for name in {stream.settings.home for stream, _ in waiting}:
            slot = self.homes[name]
            if slot.foresees:
                slot.prefetch([event for one, event in waiting if one.settings.home == name])

    def _event(self, stream: StreamCounters, measurement: Measurement) -> Observation:
        if isinstance(measurement.payload, NamedValues):
            self._log_columns(stream, measurement.payload)
        number, key = stream.number()
        given = measurement.given
        at_ns = self.clock.now_ns() if given.captured_at_ns is None else given.captured_at_ns
        return Observation(
            stream=stream.name,
            sequence=number if given.sequence is None else given.sequence,
            captured_at_ns=at_ns,
            payload=measurement.payload,
            id=given.id or key,
            subject=given.subject or stream.settings.subject,
            kind=stream.settings.kind,
        )

    def _log_columns(self, stream: StreamCounters, given: NamedValues) -> None:
        """Log once for a stream which names are ignored, and that names cannot be compared."""
        home = self.homes[stream.settings.home].home
        if home is None:
            return
        series = stream.settings.kind == "series"
        known = home.runtime.series.channels(stream.name) if series else home.store.columns()
        new = stream.new_names(given.names, known)
        if known and new and not (series and given.ordered):
            log.warning("columns_ignored", stream=stream.name, columns=listed(new))
        elif new and given.ordered and not series:
            log.warning("columns_by_position", stream=stream.name, hint=NAMING_HINT)

    def _decide_on(self, stream: StreamCounters, event: Observation) -> None:
        try:
            told = self.homes[stream.settings.home].feed(event)
        except EdgeError as error:
            self.intake.reject(stream.name, InvalidMeasurement(error.message, error.hint))
            stream.received -= 1
            return
        for message in told:
            if isinstance(message, Rejected):
                stream.reject(message.reason, message.hint)
        self.tell(told)

    def _tend(self) -> None:
        """Do what is due each second."""
        self.open_homes()
        for slot in self.homes.values():
            self.tell(slot.tend())
        now = time.monotonic()
        for stream in self.intake.streams.values():
            stream.sample()
            stream.log_news(now)
        self._paced.warn("messages_turned_away", self.strays, now, topic=self._stray_topic)
        self._flaws_left = FLAWS_A_SECOND
        self._tell_flaws()
        self._forget()
        self.teller.tell_losses()
        jump = self.clock.look()
        if jump is not None:
            log.warning("clock_jumped", seconds=round(jump.seconds, 3), clock=jump.clock)
            self.teller.tell(jump)
        self.intake.refusing = self.teller.outbox.refusing
        self._tell_failing()
        if self.every_second is not None:
            self.every_second()

    def _tell_failing(self) -> None:
        """Log when the outbox's disk begins to fail, and when it works again."""
        failing = self.teller.outbox.failing
        if bool(failing) != self._failing:
            self._failing = bool(failing)
            if failing:
                log.error("outbox_failing", reason=failing)
            else:
                log.info("outbox_recovered", lost=len(self.teller.outbox.losses))

    def _tell_flaws(self) -> None:
        for _ in range(FLAWS_A_SECOND):
            found = self.intake.take_flaw()
            if found is None:
                return
            stream, flaw = found
            self.teller.tell(Rejected(stream, flaw.reason, flaw.hint))

    def _forget(self) -> None:
        if not self._to_forget:
            return
        if self.beside is not None:
            self.beside.forget(self._to_forget)
        try:
            self.teller.outbox.forget(self._to_forget)
            self._to_forget.clear()
        except StateError as error:
            log.warning("outbox_not_erased", reason=error.message)

    def _forget_buried(self, slot: HomeSlot) -> None:
        """What was forgotten while nobody served, or just before a crash, leaves the outbox."""
        home = slot.home
        if home is not None:
            told = {key for entry in self.teller.outbox.waiting() for key in entry.keys}
            self._to_forget |= set(filter(home.store.was_forgotten, told))

    def _read(self, topic: str) -> TopicAddress:
        address = self._addresses.get(topic)
        if address is None:
            if len(self._addresses) >= NAMES_MAX:
                self._addresses.clear()
            address = self._addresses[topic] = self.topics.read(topic)
        return address

    def _feed_watchdog(self, now: float) -> None:
        period_s = self.notifier.watchdog_s
        if period_s and now - self._watched_at >= period_s / 2:
            self._watched_at = now
            self.notifier.alive()


def by_topic(streams: Mapping[str, StreamCounters]) -> dict[str, StreamCounters]:
    """Return the streams that have a topic of their own, by that topic."""
    topics = {}
    for stream in streams.values():
        if isinstance(stream.settings, TopicStream) and stream.settings.topic:
            topics[stream.settings.topic] = stream
    return topics
