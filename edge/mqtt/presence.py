"""The presence contract: how a client announces itself, with its will, birth and discovery."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from .packets import InboundMessage, OutboundMessage

Channels = tuple[str, ...] | None
"""Channels of a series; empty until the first sample names them.  None: a stream of decisions."""

Streams = Mapping[str, Channels]
"""The streams that a device announces, by name."""


class Presence(Protocol):
    """Announces a client on its connection and handles the messages addressed to that role.

    The client calls it in the thread that pumps the connection.
    """

    def will(self) -> OutboundMessage | None:
        """Return the last will.  Called before each CONNECT."""

    def birth(self) -> Iterable[OutboundMessage]:
        """Return the messages to publish first on every connection."""

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return the messages to publish before a clean disconnect."""

    def filters(self) -> Iterable[str]:
        """Return the topic filters to subscribe to.  They never change."""

    def handle(self, message: InboundMessage) -> bool:
        """Handle a message; True if it was addressed to this presence alone."""

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Return the messages to publish now.  Called about once a second.

        now_s: seconds on the client's clock.
        """


class SilentPresence:
    """A presence that announces nothing; base class for those that override a part."""

    def will(self) -> OutboundMessage | None:
        """Return None: no will."""
        return None

    def birth(self) -> Iterable[OutboundMessage]:
        """Return no messages."""
        return ()

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return no messages."""
        return ()

    def filters(self) -> Iterable[str]:
        """Return no filters."""
        return ()

    def handle(self, message: InboundMessage) -> bool:  # noqa: ARG002 - subclasses use it
        """Handle nothing."""
        return False

    def due(self, now_s: float) -> Iterable[OutboundMessage]:  # noqa: ARG002 - subclasses use it
        """Return no messages."""
        return ()
