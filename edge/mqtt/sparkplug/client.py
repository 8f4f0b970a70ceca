"""The Sparkplug B client: an edge node on a second connection, since each connection has one will.

While the node may not publish, the newest `HISTORY_MAX` messages wait in memory; they are published
later as historical.  A crash loses them: only the topic tree, with its outbox, guarantees delivery.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec

from ...config import MqttSettings
from ...core import ChangePoint, Decision, SeriesForecast
from ..client import MqttClient
from ..packets import InboundMessage, OutboundMessage
from ..presence import SilentPresence, Streams
from .metrics import metric_values
from .node import EdgeNode

_Measured = Decision | SeriesForecast | ChangePoint

HISTORY_MAX: Final = 10_000
"""Messages kept while the node may not publish: a few megabytes, about three hours at one a second.
Chosen by hand; effect not measured."""

HISTORY_BATCH: Final = 50
"""Historical messages published in one turn, so that live ones are not delayed.  Chosen by hand;
effect not measured."""


class _NodePresence(SilentPresence):
    """The presence of an edge node's connection.  clock_ns: nanoseconds since 1970."""

    def __init__(self, node: EdgeNode, clock_ns: Callable[[], int]) -> None:
        self._node = node
        self._clock_ns = clock_ns

    def will(self) -> OutboundMessage:
        """Return the NDEATH of the next connection."""
        return self._node.next_will(self._now_ms())

    def birth(self) -> Iterable[OutboundMessage]:
        """Return the birth messages, unless the node waits for its primary host."""
        return self._node.births(self._now_ms()) if self._node.host_online else ()

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return the NDEATH."""
        return (self._node.death(self._now_ms()),)

    def filters(self) -> Iterable[str]:
        """Return the filters of commands and of the primary host's state."""
        return self._node.filters()

    def handle(self, message: InboundMessage) -> bool:
        """Pass a message to the node."""
        return self._node.handle(message)

    def due(self, now_s: float) -> Iterable[OutboundMessage]:  # noqa: ARG002 - part of the contract
        """Return the birth messages after the host came online or requested a rebirth."""
        node = self._node
        wanted = node.host_online and (not node.born or node.rebirth_requested)
        return node.births(self._now_ms()) if wanted and not node.reconnect_requested else ()

    def _now_ms(self) -> int:
        return max(self._clock_ns() // 1_000_000, 0)


class Sparkplug:
    """An edge node with its own MQTT client, pumped by the loop's thread.

    settings: [mqtt], with its section `sparkplug`.  streams: the streams known so far.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: str,
        version: str,
        streams: Streams,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        assert settings.sparkplug is not None
        # Differs from the last run's number, whose NDEATH may still be in flight.
        first = clock_ns() // 1_000_000_000 % 256
        self._node = EdgeNode(settings.sparkplug, version, streams, first)
        self._clock_ns = clock_ns
        self._waiting: deque[_Measured] = deque(maxlen=HISTORY_MAX)
        self.dropped = 0
        # A clean session, and a will without delay: Sparkplug 3.0.0, section 5.3.
        client_id = f"{settings.client_id or f'auricle-{device}'}-sparkplug"
        own = msgspec.structs.replace(
            settings, client_id=client_id, session_expiry_s=0, will_delay_s=0
        )
        presence = _NodePresence(self._node, clock_ns)
        self.client = MqttClient(own, device, _ignore, presence, will_on_leaving=True)

    @property
    def waiting(self) -> int:
        """Messages that wait to be published."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to connect."""
        self.client.start()

    def publish(self, message: Any) -> None:
        """Publish a decision, forecast or change point, or keep it for later; ignore others."""
        if not isinstance(message, _Measured):
            return
        if not self._send(message, historical=False):
            self.dropped += len(self._waiting) == HISTORY_MAX
            self._waiting.append(message)

    def rebirth(self) -> None:
        """Publish the birth messages again."""
        self._node.rebirth_requested = True

    def set_streams(self, streams: Streams) -> None:
        """Replace the streams of the node."""
        for message in self._node.set_streams(streams, self._now_ms()):
            self.client.publish(message.topic, message.payload, qos=message.qos)

    def forget(self, ids: AbstractSet[str]) -> None:
        """Remove the waiting messages of these observations."""
        kept = [one for one in self._waiting if one.observation_id not in ids]
        self._waiting = deque(kept, HISTORY_MAX)

    def pump(self) -> None:
        """Handle the connection without waiting, and publish a batch of the history."""
        self.client.pump(0)
        self.client.acked()
        if self._node.reconnect_requested:
            self.client.reconnect()
        for _ in range(min(len(self._waiting), HISTORY_BATCH)):
            if not self._send(self._waiting[0], historical=True):
                return
            self._waiting.popleft()

    def stop(self, timeout_s: float) -> None:
        """Publish NDEATH and disconnect."""
        self.client.stop(timeout_s)
        self.client.close()

    def _now_ms(self) -> int:
        return max(self._clock_ns() // 1_000_000, 0)

    def _send(self, message: _Measured, *, historical: bool) -> bool:
        measured = metric_values(message)
        if self.client.send_quota == 0 or measured is None:
            return False
        data = self._node.data(measured, self._now_ms(), historical=historical)
        if data is None:
            return False
        return self.client.publish(data.topic, data.payload, qos=data.qos) is not None


def _ignore(message: InboundMessage) -> None:
    """Drop a message that the node did not handle."""
    del message
