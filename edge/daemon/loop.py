"""The work loop: one thread owns homes, outbox and broker connection.

A turn reads and writes the broker connection, processes its acknowledgements, executes commands,
decides on observations, makes the due state durable, and sends.  Growth runs in its own process;
other threads only wait for input and hand it over through the inbox.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final, Protocol

from ..config import SentStream, TopicStream
from ..core import (
    NAMING_HINT,
    Acknowledgement,
    AdvanceForget,
    ChangePoint,
    Decision,
    DriftAlarm,
    EdgeError,
    Event,
    FitGeometry,
    Message,
    NamedValues,
    Observation,
    Receipt,
    Rejected,
    SeriesAnomaly,
    SeriesForecast,
    StateError,
    listed,
)
from ..logs import RateLimitedLog, log
from ..mqtt import FLEET_PURPOSES, InboundMessage, TopicAddress, Topics
from ..sources import (
    InvalidMeasurement,
    Measurement,
    daily_recording,
    decode_payload,
    read_properties,
)
from .chronicle import Chronicle, fit_event
from .clock import DaemonClock
from .forgotten_messages import ForgottenMessages, mark_of
from .homes import HomeSlot
from .inbox import Inbox
from .publisher import ABOUT_SERIES, PublishChannel, Publisher, observation_ids, series_key
from .stream_counters import StreamCounters
from .systemd import SystemdNotifier

TURN_S: Final = 0.004
"""Time spent on observations after which no other batch begins before the connection is served."""

BATCH_MAX: Final = 64
"""Observations that are decided as one batch, where that is cheaper.  No answer leaves before its
batch is done; batches of 32 took a tenth more time for each observation."""

COUNTED: Final = (Decision, DriftAlarm, SeriesForecast, ChangePoint, SeriesAnomaly)
"""Messages that the counters of their stream follow."""

WAIT_S: Final = 0.5
"""Longest wait for input.  An input wakes the loop at once, so this only bounds how late
`MAINTAIN_S` may be noticed."""

REFIT_WAIT_S: Final = 0.02
"""Longest wait while a part of the knowledge is fitted in the background, so that the next one
follows at once.  Chosen by hand: 50 turns a second cost 1 % of a processor."""

GUESS_WAIT_S: Final = 0.004
"""Longest wait while guesses for the gallery are computed, so that a third of the time is spent on
them: 10,000 take a few seconds.  Chosen by hand."""

FORGET_AGAIN_S: Final = 1.0
"""Time until a forget request goes on after a disk error.  As long as the outbox waits."""

WATCHED_S: Final = 600.0
"""How long after the last look of a local client raw inputs are kept in memory.  Chosen by hand;
effect not measured."""

MAINTAIN_S: Final = 1.0
"""Period of the work that is due each second; rates in the status are per second."""

REJECTIONS_PER_S: Final = 10
"""Rejections of unreadable input that are published; all are counted.  Chosen by hand; effect not
measured."""

ADDRESSES_MAX: Final = 1_024
"""Parsed topics that are cached: more than a device has streams and commands."""

TOPIC_CHARS: Final = 200
"""Characters of an unknown topic in a rejection; MQTT allows 65,535 bytes."""

HINT_CHARS: Final = 500
"""Characters of a hint that lists streams: a device may have hundreds."""


class MqttChannel(PublishChannel, Protocol):
    """A broker connection, as far as the loop drives it."""

    def pump(self, wait_s: float, *, reading: bool = True) -> None:
        """Serve the connection; waits `wait_s` at most where there is nothing to do."""

    def acknowledge(self, ticket: int) -> None:
        """Acknowledge a received message."""


class CommandPort(Protocol):
    """Reads and executes commands and fleet contributions."""

    def receive(self, arrival: InboundMessage, address: TopicAddress) -> Any | None:
        """Return a command (with a `ticket`), or None if it was answered already."""

    def local(self, line: bytes, reply: Callable[[bytes], None]) -> Any | None:
        """Return a command of a local user, or None if it was answered; in any thread."""

    def labelled(self, command: Any) -> frozenset[str]:
        """Return the ids of the observations that a command labels."""

    def changes(self, command: Any) -> bool:
        """Return whether a command does more than read."""

    def advance(self) -> bool:
        """Continue answers that take longer than a turn; True while there is any."""

    @property
    def waits(self) -> bool:
        """Whether a thread works on an answer, which `advance` sends then."""

    def execute(self, command: Any) -> None:
        """Execute a command and answer it."""

    def refuse(self, command: Any, reason: str, hint: str = "") -> None:
        """Answer a command that is not executed.  hint: what to do before it is sent again."""


class SecondaryChannel(Protocol):
    """A second protocol that messages are published in."""

    def publish(self, message: Message) -> None:
        """Publish a message, now or later."""

    def pump(self) -> None:
        """Serve the connection without waiting."""

    def forget(self, ids: AbstractSet[str]) -> None:
        """Drop waiting messages about these observations."""


class Loop:
    """The loop over the daemon's parts; call `turn` repeatedly.

    homes: by name, "" for the one of the settings.  handler: None without commands.  every_second:
    called about once a second.  secondary: Sparkplug, where it is enabled.  watch: called with each
    event that a home handled, and its messages.
    """

    def __init__(
        self,
        *,
        inbox: Inbox[Any],
        homes: Mapping[str, HomeSlot],
        connection: MqttChannel,
        publisher: Publisher,
        topics: Topics,
        clock: DaemonClock,
        notifier: SystemdNotifier,
    ) -> None:
        self.inbox, self.homes, self.connection = inbox, homes, connection
        self.publisher, self.topics, self.clock = publisher, topics, clock
        self.notifier = notifier
        self.handler: CommandPort | None = None
        self.secondary: SecondaryChannel | None = None
        self.every_second: Callable[[], None] | None = None
        self.watch: Callable[[Event, tuple[Message, ...]], None] | None = None
        self.paused = False
        self.unrouted = 0
        self._unrouted_topic = ""
        self._paced = RateLimitedLog()
        self.turned_at = time.monotonic()
        self.watched_at = -WATCHED_S
        self.chronicle = Chronicle(homes, publisher.recent)
        self._maintained_at = self._watched_at = 0.0
        self._rejections_left = REJECTIONS_PER_S
        self._to_forget: set[str] = set()
        self._requests_to_forget: list[ForgottenMessages] = []
        self._failing = False
        self._addresses: dict[str, TopicAddress] = {}
        self._by_topic = by_topic(inbox.streams)

    def turn(self, wait_s: float = WAIT_S) -> None:
        """Do one round of work; wait at most `wait_s` if there is none."""
        fitting = [slot.refit() for slot in self.homes.values()]
        if any(fitting):
            wait_s = min(wait_s, REFIT_WAIT_S)
        for slot in self.homes.values():
            if slot.replaying:
                self.publish(slot.replay_series(), slot.name)
                wait_s = min(wait_s, REFIT_WAIT_S)
        guessing = [slot.guess() for slot in self.homes.values()]
        if any(guessing):
            wait_s = min(wait_s, GUESS_WAIT_S)
        wait_s = min(wait_s, self._advance_answers())
        if self._advance_forgets():
            wait_s = 0.0
        self._install_geometries()
        self.connection.pump(0.0 if len(self.inbox) else wait_s, reading=not self.inbox.crowded)
        if self.secondary is not None:
            self.secondary.pump()
        self.publisher.process_acks()
        self._execute_commands()
        if not self.paused:
            self._decide()
        now = time.monotonic()
        if now - self._maintained_at >= MAINTAIN_S:
            self._maintained_at = now
            self._maintain()
        self.publisher.outbox.maintain(online=self.connection.online)
        self.publisher.flush()
        self.turned_at = now
        self._feed_watchdog(now)

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """Let a home handle an event, and publish the messages.  Raises EdgeError if the home
        cannot; then nothing has changed."""
        slot = self.homes.get(home)
        if slot is None:
            known = ", ".join(name or "(the settings' own)" for name in self.homes)
            raise EdgeError(f"there is no home {home!r}", f"known homes: {known}")
        messages = slot.feed(event)
        self.publish(messages, home)
        if self.watch is not None:
            self.watch(event, messages)
        return messages

    def publish(self, messages: Iterable[Message], home: str = "", mark: str = "") -> None:
        """Publish the messages of a home, and count them.  mark: of the observation that they are
        about."""
        for message in messages:
            if isinstance(message, Receipt):
                message = self._receipted(message, home)  # noqa: PLW2901 - names stay out of files
            if isinstance(message, COUNTED):
                stream = self.inbox.streams.get(message.stream)
                if stream is not None:
                    stream.count(message)
            self.publisher.publish(message, home=home, mark=mark)
            if self.secondary is not None:
                self.secondary.publish(message)

    def receive(self, arrival: InboundMessage) -> None:
        """Route a message from the broker; runs inside `pump`."""
        stream = self._by_topic.get(arrival.topic)
        if stream is not None:
            self._observe(stream, arrival)
            return
        address = self._parse(arrival.topic)
        found = self.inbox.streams.get(address.name) if address.purpose == "observe" else None
        if found is not None and isinstance(found.settings, TopicStream):
            self._observe(found, arrival)
        elif address.purpose in {"command", *FLEET_PURPOSES} and self.handler is not None:
            self._queue_command(self.handler, arrival, address)
        else:
            self._reject_unknown_topic(arrival)
            self.connection.acknowledge(arrival.ticket)

    def open_homes(self) -> None:
        """Open the closed homes whose next attempt is due."""
        for slot in self.homes.values():
            if slot.open():
                try:
                    self._forget_buried(slot)
                except EdgeError as error:
                    slot.fail(error)
        self._forget()

    def forget(self, ids: tuple[str, ...]) -> None:
        """Erase observations from the outbox; retried each second while its disk fails."""
        self.publisher.recent.keep(self._holds)
        self._to_forget.update(ids)
        for slot in self.homes.values():
            if slot.home is not None:
                self._to_forget.update(map(series_key, slot.home.replay.whole))
        self._forget()

    def set_streams(self, streams: Mapping[str, StreamCounters]) -> None:
        """Serve other streams."""
        self.inbox.streams = streams
        self._by_topic = by_topic(streams)

    # --- parts of a turn -------------------------------------------------------------------------

    def _receipted(self, receipt: Receipt, name: str) -> Receipt:
        """Erase what waits about the series and the names of a forget request; return its receipt
        as it may be published."""
        slot = self.homes.get(name)
        home = slot.home if slot is not None else None
        if home is None:
            return receipt
        # What happened before it must be in the history when its names leave that.
        self.chronicle.write()
        home.receipts.forget_names(receipt.selector)
        store, selector = home.store, receipt.selector
        self._requests_to_forget.append(
            ForgottenMessages(selector, store.hash_name, store.name_pattern(selector))
        )
        self._forget()
        return home.store.veiled(receipt)

    def _mark(self, name: str, event: Observation) -> str:
        """Return the mark of messages about an observation; none where the home's key is damaged,
        which stops no decision."""
        home = self.homes[name].home
        try:
            return mark_of(event, home.store.hash_name) if home is not None else ""
        except StateError:
            return ""

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
            self.inbox.reject(stream.name, found)
        else:
            self.inbox.offer(found)
        self.connection.acknowledge(arrival.ticket)

    def _reject_unknown_topic(self, arrival: InboundMessage) -> None:
        """Count a message that nothing receives; publish a few rejections a second."""
        self.unrouted += 1
        self._unrouted_topic = arrival.topic[:TOPIC_CHARS]
        if self._rejections_left <= 0:
            return
        self._rejections_left -= 1
        topics = [
            one for one in self.inbox.streams.values() if isinstance(one.settings, TopicStream)
        ]
        known = ", ".join(stream.name for stream in topics) or "none"
        reason = "no stream or command receives messages at this topic"
        hint = f"streams that receive measurements by MQTT: {known}"
        self.publisher.publish(Rejected(arrival.topic[:TOPIC_CHARS], reason, hint[:HINT_CHARS]))

    def _queue_command(
        self, handler: CommandPort, arrival: InboundMessage, address: TopicAddress
    ) -> None:
        command = handler.receive(arrival, address)
        if command is None:
            self.connection.acknowledge(arrival.ticket)
            return
        reason = self.publisher.outbox.refusing or self.inbox.add_command(command)
        if reason:
            handler.refuse(command, reason)
            self.connection.acknowledge(arrival.ticket)

    def _advance_answers(self) -> float:
        """Continue answers that take longer than a turn; return how long the next turn may wait."""
        if self.handler is None:
            return WAIT_S
        return 0.0 if self.handler.advance() else REFIT_WAIT_S if self.handler.waits else WAIT_S

    def _advance_forgets(self) -> bool:
        """Continue the forget requests that are pending; True while facts are being erased."""
        now = time.monotonic()
        for slot in self.homes.values():
            home = slot.home
            if home is None or now < slot.forget_again_at or not home.advances_forget:
                continue
            try:
                self.feed(slot.name, AdvanceForget(self.clock.now_ns()))
            except EdgeError as error:
                slot.forget_again_at = now + FORGET_AGAIN_S
                log.warning("forget_waits", home=slot.name, reason=error.message, hint=error.hint)
        return any(slot.erasing for slot in self.homes.values())

    def _install_geometries(self) -> None:
        """Let the first geometry of a home serve once it is fitted in the background."""
        for slot in self.homes.values():
            if slot.geometry_prepared:
                try:
                    messages = self.feed(slot.name, FitGeometry())
                except EdgeError as error:
                    slot.delay_geometry(error)
                    continue
                for one in messages:
                    if isinstance(one, Acknowledgement):
                        self.chronicle.note(slot.name, fit_event(self.clock.now_ns(), one.count))
                        log.info("geometry_fitted", home=slot.name, facts=one.count)

    def _execute_commands(self) -> None:
        while (command := self.inbox.take_command()) is not None:
            if self.handler is None:
                continue
            if any(slot.erasing for slot in self.homes.values()) and self.handler.changes(command):
                # No fact may change until those that are forgotten are out of the ledger.
                self.inbox.put_back(command)
                return
            labelled = frozenset() if self.paused else self.handler.labelled(command)
            if labelled and self.inbox.waits(labelled):
                # An observation that it labels waits still.  Commands keep their order: a later
                # forget must not overtake this label.
                self.inbox.put_back(command)
                return
            try:
                self.handler.execute(command)
            except EdgeError as error:
                self.handler.refuse(command, error.message, error.hint)
            except Exception:
                log.exception("command_failed")
                self.handler.refuse(command, "it failed: a bug, see the log")
            ticket = getattr(command, "ticket", 0)
            if ticket:
                self.publisher.after_commit(partial(self.connection.acknowledge, ticket))

    def _decide(self) -> None:
        until = time.monotonic() + TURN_S
        while batch := self._next_batch():
            self._prefetch(batch)
            for stream, event in batch:
                self._decide_one(stream, event)
            if time.monotonic() > until:
                return

    def _next_batch(self) -> list[tuple[StreamCounters, Observation]]:
        """Return the waiting observations, as many as are decided as a batch; slow ones alone."""
        batch: list[tuple[StreamCounters, Observation]] = []
        while len(batch) < BATCH_MAX and (measurement := self.inbox.take()) is not None:
            stream = self.inbox.streams.get(measurement.stream)
            if stream is None:
                continue
            batch.append((stream, self._event(stream, measurement)))
            home = self.homes[stream.settings.home].home
            if home is None or not home.batches:
                break
        return batch

    def _prefetch(self, batch: list[tuple[StreamCounters, Observation]]) -> None:
        for name in {stream.settings.home for stream, _ in batch}:
            self.homes[name].prefetch([event for one, event in batch if one.settings.home == name])

    def _event(self, stream: StreamCounters, measurement: Measurement) -> Observation:
        if isinstance(measurement.payload, NamedValues):
            self._log_columns(stream, measurement.payload)
        number, key = stream.number()
        given = measurement.metadata
        at_ns = self.clock.now_ns() if given.captured_at_ns is None else given.captured_at_ns
        return Observation(
            stream=stream.name,
            sequence=number if given.sequence is None else given.sequence,
            captured_at_ns=at_ns,
            payload=measurement.payload,
            id=given.id or key,
            subject=given.subject or stream.settings.subject,
            recording=given.recording or daily_recording(stream.name, at_ns),
            kind=stream.settings.kind,
        )

    def _log_columns(self, stream: StreamCounters, given: NamedValues) -> None:
        """Log ignored names, and names that cannot be compared; each once per stream."""
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

    def _decide_one(self, stream: StreamCounters, event: Observation) -> None:
        try:
            messages = self.homes[stream.settings.home].feed(event)
        except EdgeError as error:
            self.inbox.reject(stream.name, InvalidMeasurement(error.message, error.hint))
            # It was counted as it arrived.
            stream.received -= 1
            return
        for message in messages:
            if isinstance(message, Rejected):
                stream.reject(message.reason, message.hint)
        self.publish(messages, stream.settings.home, self._mark(stream.settings.home, event))
        if self.watch is not None:
            self.watch(event, messages)

    def _maintain(self) -> None:
        """Do the work that is due each second."""
        now = time.monotonic()
        self.open_homes()
        for slot in self.homes.values():
            self.publish(slot.maintain(), slot.name)
            if slot.home is not None:
                slot.home.watch(watched=now - self.watched_at < WATCHED_S)
        self.chronicle.write()
        for stream in self.inbox.streams.values():
            stream.sample()
            stream.log_news(now)
        self._paced.warn("messages_unrouted", self.unrouted, now, topic=self._unrouted_topic)
        self._rejections_left = REJECTIONS_PER_S
        self._publish_rejections()
        self._forget()
        self.publisher.publish_losses()
        jump = self.clock.detect_jump()
        if jump is not None:
            log.warning("clock_jumped", seconds=round(jump.seconds, 3), clock=jump.clock)
            self.publisher.publish(jump)
        self.inbox.refusing = self.publisher.outbox.refusing
        self._log_outbox()
        if self.every_second is not None:
            self.every_second()

    def _log_outbox(self) -> None:
        """Log when the outbox's disk begins to fail, and when it works again."""
        failing = self.publisher.outbox.failing
        if bool(failing) != self._failing:
            self._failing = bool(failing)
            if failing:
                log.error("outbox_failing", reason=failing)
            else:
                log.info("outbox_recovered", lost=len(self.publisher.outbox.losses))

    def _publish_rejections(self) -> None:
        for _ in range(REJECTIONS_PER_S):
            found = self.inbox.take_rejection()
            if found is None:
                return
            stream, invalid = found
            self.publisher.publish(Rejected(stream, invalid.reason, invalid.hint))

    def _forget(self) -> None:
        requests = tuple(self._requests_to_forget)
        if not (self._to_forget or requests):
            return
        if self.secondary is not None:
            self.secondary.forget(self._to_forget)
        try:
            self.publisher.outbox.forget(
                self._to_forget, lambda entry: any(one.reaches(entry) for one in requests)
            )
            self._to_forget.clear()
            self._requests_to_forget.clear()
        except StateError as error:
            log.warning("outbox_not_erased", reason=error.message)

    def _holds(self, name: str, message: Any) -> bool:
        """Return whether a home still holds the observations that a message is about."""
        slot = self.homes.get(name)
        home = slot.home if slot is not None else None
        if home is None:
            return not observation_ids(message)
        if isinstance(message, ABOUT_SERIES):
            gone = message.observation_id in home.replay.samples
            return not (gone or message.stream in home.replay.whole)
        return all(map(home.runtime.observation, observation_ids(message)))

    def _forget_buried(self, slot: HomeSlot) -> None:
        """Queue for erasure the observations that were forgotten while no daemon ran, or just
        before a crash."""
        home = slot.home
        if home is not None:
            keys = {key for entry in self.publisher.outbox.waiting() for key in entry.keys}
            self._to_forget |= set(filter(home.store.was_forgotten, keys))

    def _parse(self, topic: str) -> TopicAddress:
        address = self._addresses.get(topic)
        if address is None:
            if len(self._addresses) >= ADDRESSES_MAX:
                self._addresses.clear()
            address = self._addresses[topic] = self.topics.parse(topic)
        return address

    def _feed_watchdog(self, now: float) -> None:
        period_s = self.notifier.watchdog_s
        if period_s and now - self._watched_at >= period_s / 2:
            self._watched_at = now
            self.notifier.alive()


def by_topic(streams: Mapping[str, StreamCounters]) -> dict[str, StreamCounters]:
    """Return the streams that have their own topic, by that topic."""
    return {
        stream.settings.topic: stream
        for stream in streams.values()
        if isinstance(stream.settings, TopicStream) and stream.settings.topic
    }
