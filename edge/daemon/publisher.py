"""Telling: messages get their number and words, wait in the outbox, and go to the broker."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from ..core import (
    Acknowledgement,
    ChangePoint,
    Decision,
    DriftAlarm,
    LabelRequest,
    Message,
    Receipt,
    Rejected,
    SeriesForecast,
)
from ..mqtt import MessageEncoder, OutboxGap, PublishedMessage, ReplyAddress, mark_historical
from ..outbox import Outbox, OutboxEntry, OutboxLoss
from .clock import DaemonClock

KEPT: Final = (Acknowledgement, Receipt)
"""What is on the disk before it is sent, and is never dropped."""


QUOTA: Final = 151
"""The reason code "Quota exceeded": the message may be taken later."""

PAUSE_S: Final = (1.0, 60.0)
"""Seconds that nothing is sent after it: at first, and at most."""

GAP_PAUSE_S: Final = 60.0
"""Seconds to the next gap that is told where the broker has refused one."""


class PublishChannel(Protocol):
    """What messages go out through: a broker, or a printer."""

    @property
    def online(self) -> bool:
        """True where messages can be published."""

    @property
    def unclean_disconnects(self) -> int:
        """How many connections ended without a word from either side."""

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
        """Publish; the message id, or None where there is no room."""

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Return what was answered since last asked."""


class Publisher:
    """Numbers, words, keeps and sends what is told."""

    def __init__(
        self, outbox: Outbox, wording: MessageEncoder, mouth: PublishChannel, clock: DaemonClock
    ) -> None:
        self.outbox, self.mouth = outbox, mouth
        self._cuts = mouth.unclean_disconnects
        self.refused = 0
        self.wording, self._clock = wording, clock
        self._owing = False
        self._pause_s, self._resume_at, self._gaps_at = PAUSE_S[0], 0.0, 0.0
        self._gaps = wording.encode(OutboxGap(0, 0, 0, ""), 0, 0).topic
        self._settling: list[Callable[[], None]] = []

    def tell(self, message: Message | Any, *, kept: bool | None = None) -> None:
        """Tell a message of the core, or any structure.  kept: durable before it is sent; None: as
        its kind is."""
        number = self.outbox.take()
        worded = self.wording.encode(message, number, self._clock.now_ns())
        keep = isinstance(message, KEPT) if kept is None else kept
        self.outbox.put(OutboxEntry(number, worded.topic, worded.body, keep, _keys(message)))
        self._owing = self._owing or keep

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """Tell a message to somebody who asked: to their topic, with their correlation data.
        message: a structure, or words that are ready."""
        number = self.outbox.take()
        body = (
            message
            if isinstance(message, bytes)
            else self.wording.encode(message, number, self._clock.now_ns()).body
        )
        self.outbox.put(OutboxEntry(number, topic, body, kept, _keys(message), correlation))
        self._owing = self._owing or kept

    def after(self, settle: Callable[[], None]) -> None:
        """Have something done once all that was told so far is durable, or cannot be now."""
        self._settling.append(settle)
        self._owing = True

    def flush(self) -> None:
        """Make durable what has to be, and send what may be sent."""
        if self._owing:
            self._owing = not self.outbox.commit()
            # Where the disk fails this cannot wait: acknowledgements go in the order of arrivals,
            # and one that is held back would hold back the observations behind it, too.
            settling, self._settling = self._settling, []
            for settle in settling:
                settle()
        mouth, outbox = self.mouth, self.outbox
        room = mouth.send_quota
        if room <= 0 or time.monotonic() < self._resume_at:
            return
        for entry in outbox.due(room):
            body = mark_historical(entry.body) if entry.historical else entry.body
            reply = ReplyAddress(entry.correlation) if entry.correlation else None
            sent = mouth.publish(entry.topic, body, retain=entry.retain, response=reply)
            if sent is None:
                outbox.unsent(entry)
                return
            outbox.sent(entry, sent)

    def hear(self) -> None:
        """Take in what became of messages that were sent."""
        returned: list[int] = []
        pause = False
        for sent in self.mouth.acked():
            if sent.accepted:
                self.outbox.acked(sent.message_id)
                self._pause_s = PAUSE_S[0]
            elif sent.lost:
                returned.append(sent.message_id)
            elif sent.reason == QUOTA:
                returned.append(sent.message_id)
                pause = True
            else:
                self._refuse(sent.message_id)
        if pause:
            self._pause()
        if returned:
            self.outbox.returned(returned)
        before, self._cuts = self._cuts, self.mouth.unclean_disconnects
        if self._cuts > before:
            self.outbox.doubted()
            self._owing = True

    def tell_losses(self) -> None:
        """Tell what was lost, where it can be told."""
        waited = time.monotonic() >= self._gaps_at
        if waited and self.mouth.online and self.outbox.announce(self._word_gap):
            self._owing = True

    def _refuse(self, message_id: int) -> None:
        """A message will never be taken.  What a gap told of is told again after a while."""
        self.refused += 1
        entry = self.outbox.refused(message_id, "refused")
        if entry is None or entry.topic != self._gaps:
            return
        self._gaps_at = time.monotonic() + GAP_PAUSE_S
        with suppress(msgspec.DecodeError):
            gap = msgspec.json.decode(entry.body, type=OutboxGap)
            self.outbox.lost_again(OutboxLoss(gap.first, gap.last, gap.count, gap.reason))

    def _pause(self) -> None:
        """Send nothing for a while, the longer the more often it was asked for in a row."""
        now = time.monotonic()
        if now >= self._resume_at:
            self._resume_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, PAUSE_S[1])

    def _word_gap(self, number: int, loss: OutboxLoss) -> OutboxEntry:
        gap = OutboxGap(loss.first, loss.last, loss.count, loss.reason)
        worded = self.wording.encode(gap, number, self._clock.now_ns())
        return OutboxEntry(number, worded.topic, worded.body, kept=True)


def _keys(message: Any) -> tuple[str, ...]:
    """Return the ids of the observations that a message tells of."""
    if isinstance(message, Decision | DriftAlarm | SeriesForecast | ChangePoint):
        return (message.observation_id,)
    if isinstance(message, LabelRequest):
        return message.observation_ids
    if isinstance(message, Acknowledgement | Rejected):
        return (message.subject_id,)
    return ()
