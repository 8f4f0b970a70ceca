"""Messages that came in: made into arrivals, and acknowledged in the order in which they came."""

from collections import deque
from typing import Any, Final

from paho.mqtt.client import MQTTMessage

from ..packets import InboundMessage

NOTHING: Final[dict[str, Any]] = {}


class InboundAcks:
    """The arrivals of one connection.  epoch: its number, so that a ticket outlives it harmlessly.

    MQTT asks for PUBACKs in the order of the PUBLISHes (MQTT-4.6.0-2): what is settled early waits
    for what came before.
    """

    def __init__(self, epoch: int) -> None:
        self._base = epoch << 16
        self._open: deque[int] = deque()
        self._early: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    def take(self, message: MQTTMessage) -> InboundMessage:
        """Return the arrival; its topic is empty where what came is no text."""
        ticket = self._base | message.mid if message.qos else 0
        if ticket:
            self._open.append(ticket)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        given = vars(message.properties) if message.properties is not None else NOTHING
        payload = bytes(message.payload)
        return InboundMessage(
            topic,
            payload,
            message.retain,
            given.get("ResponseTopic", ""),
            given.get("CorrelationData", b""),
            given.get("MessageExpiryInterval"),
            tuple(given.get("UserProperty", ())),
            ticket,
        )

    def settle(self, ticket: int) -> list[int]:
        """Return the packet ids to acknowledge now; none for a ticket of an earlier connection."""
        if not self._open or ticket & ~0xFFFF != self._base:
            return []
        if self._open[0] != ticket:
            self._early.add(ticket)
            return []
        ready = [self._open.popleft() & 0xFFFF]
        while self._open and self._open[0] in self._early:
            self._early.discard(self._open[0])
            ready.append(self._open.popleft() & 0xFFFF)
        return ready
