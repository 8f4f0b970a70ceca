"""Inbound and outbound MQTT messages as data, without a client or a socket."""

from typing import Final

import msgspec

LOST: Final = -1
"""Stands in for a reason code: the connection ended before the broker acknowledged the message."""

TOO_LARGE: Final = 149
"""Reason code "Packet too large" (MQTT 5.0, section 2.4).  The client also reports it by itself,
for a message above the broker's maximum packet size."""

REFUSED_MIN: Final = 128
"""Reason codes from 0x80 indicate failure (MQTT 5.0, section 2.4)."""


class InboundMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A received PUBLISH.

    ticket: argument of `MqttClient.acknowledge`; 0 for QoS 0, which has no PUBACK.
    expiry_s: remaining lifetime in seconds; None: unlimited.
    response_topic, correlation: where the response goes, and the data it returns; empty if the
    sender expects no response.
    user: user properties.
    """

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None
    user: tuple[tuple[str, str], ...] = ()
    ticket: int = 0


class ReplyAddress(msgspec.Struct, frozen=True):
    """The properties that mark a message as a response: the request's correlation data."""

    correlation: bytes
    user: tuple[tuple[str, str], ...] = ()


class PublishedMessage(msgspec.Struct, frozen=True):
    """The outcome of a publish.  reason: the reason code of the PUBACK, or `LOST`: send again."""

    message_id: int
    reason: int

    @property
    def accepted(self) -> bool:
        """True if the broker accepted the message."""
        return 0 <= self.reason < REFUSED_MIN

    @property
    def lost(self) -> bool:
        """True if the outcome is unknown because the connection ended first."""
        return self.reason == LOST


class OutboundMessage(msgspec.Struct, frozen=True):
    """A message to publish that the outbox does not track: status, birth, discovery."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
