"""Publishing: messages are numbered and encoded, wait in the outbox, and go to the broker."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from ..core import (
    Acknowledgement,
    AlarmQuestion,
    ChangePoint,
    Decision,
    DriftAlarm,
    GrowthReport,
    LabelRequest,
    Message,
    Receipt,
    Rejected,
    SeriesAnomaly,
    SeriesForecast,
)
from ..mqtt import (
    MessageEncoder,
    OutboxGap,
    PublishedMessage,
    ReplyAddress,
    Response,
    mark_historical,
)
from ..outbox import Outbox, OutboxEntry, OutboxLoss
from .clock import DaemonClock
from .recent_messages import RecentMessages

DURABLE: Final = (Acknowledgement, Receipt)
"""Messages that are on the disk before they are sent, and are never dropped."""

ABOUT_SERIES: Final = (SeriesForecast, ChangePoint, SeriesAnomaly)
"""Messages about samples of a series, which have no observation of their own to look up."""

ABOUT_ONE: Final = (Decision, DriftAlarm, SeriesForecast, ChangePoint, SeriesAnomaly)
ABOUT_MANY: Final = (LabelRequest, AlarmQuestion, GrowthReport)
ANSWERS: Final = (Acknowledgement, Rejected)
"""Messages about one observation, about several, and about the subject of a request."""

ID_FIELD: Final = re.compile(r"(?:.+_)?ids?")
"""Names of the fields of an answer that hold ids, among them those of observations."""

QUOTA: Final = 151
"""The PUBACK reason code "Quota exceeded" (0x97, MQTT 5.0, section 3.4.2.1): the broker may accept
the message later."""

PAUSE_S: Final = (1.0, 60.0)
"""Pause after `QUOTA`, in seconds: first and longest.  Chosen by hand; effect not measured."""

GAP_PAUSE_S: Final = 60.0
"""Seconds before a gap message is sent again that the broker has refused.  Chosen by hand; effect
not measured."""


class PublishChannel(Protocol):
    """Where messages are published: a broker connection or standard output."""

    @property
    def online(self) -> bool:
        """True while messages can be published."""

    @property
    def unclean_disconnects(self) -> int:
        """Connections that ended without a DISCONNECT."""

    @property
    def send_quota(self) -> int:
        """Messages that may be published now."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        qos: int = 1,
        response: ReplyAddress | None = None,
        expiry_s: int | None = None,
    ) -> int | None:
        """Publish a message; returns its id, or None without room."""

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Return the outcomes of messages since the last call."""


class Publisher:
    """Numbers, encodes, queues and sends messages.  channel: may be replaced at any time.  recent:
    the newest messages, for local clients."""

    def __init__(
        self, outbox: Outbox, encoder: MessageEncoder, channel: PublishChannel, clock: DaemonClock
    ) -> None:
        self.outbox, self.channel = outbox, channel
        self._cuts = channel.unclean_disconnects
        self.refused = 0
        self.encoder, self._clock = encoder, clock
        self._commit_due = False
        self._pause_s, self._resume_at, self._gaps_at = PAUSE_S[0], 0.0, 0.0
        self._gap_topic = encoder.encode(OutboxGap(0, 0, 0, ""), 0, 0).topic
        self._after_commit: list[Callable[[], None]] = []
        self.recent = RecentMessages()
        self._watched: dict[int, Callable[[bool], None]] = {}

    def watch(self, message_id: int, act: Callable[[bool], None]) -> None:
        """Call `act` once the outcome of a message is known that was sent past the outbox, with
        whether the broker has taken it."""
        self._watched[message_id] = act

    def publish(
        self, message: Message | Any, *, kept: bool | None = None, home: str = "", mark: str = ""
    ) -> None:
        """Publish a message of the core, or any structure.

        kept: durable before it is sent, never dropped; None: decided by its type.  home: that it
        is about.  mark: see `mark_of`.
        """
        number, at_ns = self.outbox.next_number(), self._clock.now_ns()
        encoded = self.encoder.encode(message, number, at_ns)
        self.recent.add(number, at_ns, message, home)
        keep = isinstance(message, DURABLE) if kept is None else kept
        entry = OutboxEntry(
            sequence=number,
            topic=encoded.topic,
            body=encoded.body,
            kept=keep,
            keys=(*message_keys(message), mark) if mark else message_keys(message),
        )
        self.outbox.put(entry)
        self._commit_due = self._commit_due or keep

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """Publish a response at the topic of its request, with its correlation data.

        message: a structure, or an encoded body.  The answer to a forget request has no number:
        it names what was forgotten, so that it waits in memory alone; the request can be repeated.
        """
        unstored = isinstance(message, Response) and message.verb == "forget"
        number = 0 if unstored else self.outbox.next_number()
        body = (
            message
            if isinstance(message, bytes)
            else self.encoder.encode(message, number, self._clock.now_ns()).body
        )
        entry = OutboxEntry(
            sequence=number,
            topic=topic,
            body=body,
            kept=kept,
            keys=message_keys(message),
            correlation=correlation,
        )
        self.outbox.put(entry)
        self._commit_due = self._commit_due or kept

    def after_commit(self, act: Callable[[], None]) -> None:
        """Call `act` once everything published so far is durable, or the disk has failed."""
        self._after_commit.append(act)
        self._commit_due = True

    def flush(self) -> None:
        """Commit the entries that must be durable, and send the due ones."""
        if self._commit_due:
            self._commit_due = not self.outbox.commit()
            # A failing disk must not delay these: acknowledgements go in the order of arrivals, so
            # one held back would block the observations behind it.
            acts, self._after_commit = self._after_commit, []
            for act in acts:
                act()
        channel, outbox = self.channel, self.outbox
        room = channel.send_quota
        if room <= 0 or time.monotonic() < self._resume_at:
            return
        for entry in outbox.due(room):
            body = mark_historical(entry.body) if entry.historical else entry.body
            reply = ReplyAddress(entry.correlation) if entry.correlation else None
            message_id = channel.publish(entry.topic, body, retain=entry.retain, response=reply)
            if message_id is None:
                outbox.unsent(entry)
                return
            outbox.sent(entry, message_id)

    def process_acks(self) -> None:
        """Pass the outcomes of sent messages to the outbox."""
        returned: list[int] = []
        pause = False
        for outcome in self.channel.acked():
            watching = self._watched.pop(outcome.message_id, None)
            if watching is not None:
                watching(outcome.accepted)
            elif outcome.accepted:
                self.outbox.acked(outcome.message_id)
                self._pause_s = PAUSE_S[0]
            elif outcome.lost:
                returned.append(outcome.message_id)
            elif outcome.reason == QUOTA:
                returned.append(outcome.message_id)
                pause = True
            else:
                self._drop_refused(outcome.message_id)
        if pause:
            self._pause()
        if returned:
            self.outbox.returned(returned)
        before, self._cuts = self._cuts, self.channel.unclean_disconnects
        if self._cuts > before:
            self.outbox.resend_recent()
            self._commit_due = True

    def publish_losses(self) -> None:
        """Publish gap messages for lost numbers, if the broker is connected."""
        due = time.monotonic() >= self._gaps_at
        if due and self.channel.online and self.outbox.publish_losses(self._encode_gap):
            self._commit_due = True

    def _drop_refused(self, message_id: int) -> None:
        """Drop a message that the broker has refused for good.  The losses that a gap message
        reported are reported again later."""
        self.refused += 1
        entry = self.outbox.refused(message_id, "refused")
        if entry is None or entry.topic != self._gap_topic:
            return
        self._gaps_at = time.monotonic() + GAP_PAUSE_S
        with suppress(msgspec.DecodeError):
            gap = msgspec.json.decode(entry.body, type=OutboxGap)
            self.outbox.add_loss(OutboxLoss(gap.first, gap.last, gap.count, gap.reason))

    def _pause(self) -> None:
        """Send nothing for a while; the pause doubles with each one in a row."""
        now = time.monotonic()
        if now >= self._resume_at:
            self._resume_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, PAUSE_S[1])

    def _encode_gap(self, number: int, loss: OutboxLoss) -> OutboxEntry:
        gap, at_ns = OutboxGap(loss.first, loss.last, loss.count, loss.reason), self._clock.now_ns()
        encoded = self.encoder.encode(gap, number, at_ns)
        self.recent.add(number, at_ns, gap)
        return OutboxEntry(sequence=number, topic=encoded.topic, body=encoded.body, kept=True)


def message_keys(message: Any) -> tuple[str, ...]:
    """Return the keys that a message must be forgotten by: ids of observations, and its series."""
    if isinstance(message, ABOUT_SERIES):
        return (message.observation_id, series_key(message.stream))
    if isinstance(message, bytes):
        with suppress(msgspec.DecodeError):
            return tuple(dict.fromkeys(_named_ids(msgspec.json.decode(message).get("body"))))
    if isinstance(message, Response):
        return tuple(dict.fromkeys(_named_ids(message.body)))
    return observation_ids(message)


def series_key(stream: str) -> str:
    """Return the key of messages about a series; no id of an observation begins so."""
    return f"\tseries {stream}"


def _named_ids(value: Any, name: str = "") -> Iterator[str]:
    """Yield the ids in the body of an answer.  name: of the field that holds the value."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _named_ids(one, str(key))
    elif isinstance(value, list | tuple | frozenset):
        for one in value:
            yield from _named_ids(one, name)
    elif isinstance(value, str) and value and ID_FIELD.fullmatch(name):
        yield value


def observation_ids(message: Any) -> tuple[str, ...]:
    """Return the ids of the observations that a message is about."""
    if isinstance(message, ABOUT_ONE):
        return (message.observation_id,)
    if isinstance(message, ABOUT_MANY):
        return message.observation_ids
    if isinstance(message, ANSWERS):
        return (message.subject_id,)
    return ()
