"""What goes out and what comes in, as data; nothing here knows a client or a socket."""

from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

LOST: Final = -1
"""In place of a reason code: the connection ended before the broker answered."""

TOO_LARGE: Final = 149
"""The reason code "Packet too large"; also given without asking the broker."""

REFUSED_MIN: Final = 128
"""Reason codes from here on say no (MQTT 5.0, section 2.4)."""


class InboundMessage(msgspec.Struct, frozen=True):
    """One message that came in.  `ticket`: what `Broker.settle` takes, 0 where nothing is owed.

    `expiry_s`: seconds it may still be acted upon, None for ever.  `correlation`: sent back with
    the answer to `response_topic`, both empty where nobody waits.
    """

    topic: str
    payload: bytes
    retained: bool
    response_topic: str
    correlation: bytes
    expiry_s: int | None
    user: tuple[tuple[str, str], ...]
    ticket: int


class ReplyAddress(msgspec.Struct, frozen=True):
    """What makes a message an answer: the correlation data of the request."""

    correlation: bytes
    user: tuple[tuple[str, str], ...] = ()


class PublishedMessage(msgspec.Struct, frozen=True):
    """What became of a message: a reason code of PUBACK, or `LOST` (send it again)."""

    message_id: int
    reason: int

    @property
    def taken(self) -> bool:
        """True where the broker took it: nothing more to do."""
        return 0 <= self.reason < REFUSED_MIN

    @property
    def lost(self) -> bool:
        """True where nobody knows: the connection ended first."""
        return self.reason == LOST


class OutboundMessage(msgspec.Struct, frozen=True):
    """A message to publish that nobody keeps count of: status, birth, discovery."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


class Presence(Protocol):
    """What a client says of itself, and what it listens to for that: its will, its greeting, its
    answers to a home automation or a host.  Asked by the broker, in the thread that pumps it."""

    def will(self) -> OutboundMessage | None:
        """Return what the broker publishes if the client vanishes; asked before each connect."""

    def hello(self) -> Iterable[OutboundMessage]:
        """Return what is published first on every connection."""

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return what is published before leaving in order."""

    def filters(self) -> Iterable[str]:
        """Return the topics it listens to, the same all the time."""

    def hear(self, arrival: InboundMessage) -> bool:
        """Take an arrival in; True where it was meant for this alone."""

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Return what is to be published now; asked about once a second, on the clock that the
        broker has."""


class SilentPresence:
    """A presence that says nothing and hears nothing; others add to it."""

    def will(self) -> OutboundMessage | None:
        """There is no will."""
        return None

    def hello(self) -> Iterable[OutboundMessage]:
        """Nothing is said on arriving."""
        return ()

    def farewell(self) -> Iterable[OutboundMessage]:
        """Nothing is said on leaving."""
        return ()

    def filters(self) -> Iterable[str]:
        """Nothing is listened to."""
        return ()

    def hear(self, arrival: InboundMessage) -> bool:  # noqa: ARG002 - others do
        """Nothing is meant for it."""
        return False

    def due(self, now_s: float) -> Iterable[OutboundMessage]:  # noqa: ARG002 - others do
        """Nothing is said in between."""
        return ()
