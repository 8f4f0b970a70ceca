"""Sparkplug B beside the topic tree: a second connection, since each has a will of its own.

What happens while nobody may be told waits in memory, the newest `HISTORY_MAX` messages, and is
told afterwards as historical.  A crash costs that memory; the topic tree, with its outbox, is what
promises delivery.
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
from ..packets import InboundMessage, OutboundMessage, SilentPresence
from ..streams import Streams
from .metrics import metric_values
from .node import EdgeNode

_Told = Decision | SeriesForecast | ChangePoint

HISTORY_MAX: Final = 10_000
HISTORY_AT_A_TIME: Final = 50
"""Historical messages told in one turn, so that live ones are not held up."""


class _NodePresence(SilentPresence):
    """Lets an edge node speak for its connection.  clock_ns: nanoseconds since 1970."""

    def __init__(self, node: EdgeNode, clock_ns: Callable[[], int]) -> None:
        self._node = node
        self._clock_ns = clock_ns

    def will(self) -> OutboundMessage:
        """Return the NDEATH of the next connection."""
        return self._node.next_will(self._now_ms())

    def hello(self) -> Iterable[OutboundMessage]:
        """Return the births, where no primary host has to be waited for."""
        return self._node.births(self._now_ms()) if self._node.host_online else ()

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return the NDEATH."""
        return (self._node.death(self._now_ms()),)

    def filters(self) -> Iterable[str]:
        """Return commands, and the state of the primary host."""
        return self._node.filters()

    def hear(self, arrival: InboundMessage) -> bool:
        """Let the node hear."""
        return self._node.hear(arrival)

    def due(self, now_s: float) -> Iterable[OutboundMessage]:  # noqa: ARG002 - others need it
        """Return the births, where the host came online or asked for them."""
        node = self._node
        wanted = node.host_online and (not node.born or node.rebirth_asked)
        return node.births(self._now_ms()) if wanted and not node.leave_asked else ()

    def _now_ms(self) -> int:
        return max(self._clock_ns() // 1_000_000, 0)


class Sparkplug:
    """An edge node on a broker.  settings: of [mqtt], with its section `sparkplug`.

    streams: those known so far.  Pumped by the loop's thread, like the broker it stands on.
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
        # Another number than the last run's, whose NDEATH may still be under way.
        first = clock_ns() // 1_000_000_000 % 256
        self._node = EdgeNode(settings.sparkplug, version, streams, first)
        self._clock_ns = clock_ns
        self._waiting: deque[_Told] = deque(maxlen=HISTORY_MAX)
        self.dropped = 0
        # A session that is not kept, and a will without delay: section 5.3 of the specification.
        client_id = f"{settings.client_id or f'auricle-{device}'}-sparkplug"
        own = msgspec.structs.replace(
            settings, client_id=client_id, session_expiry_s=0, will_delay_s=0
        )
        presence = _NodePresence(self._node, clock_ns)
        self.broker = MqttClient(own, device, _ignore, presence, will_on_leaving=True)

    @property
    def waiting(self) -> int:
        """Messages that wait to be told."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to connect."""
        self.broker.start()

    def tell(self, message: Any) -> None:
        """Tell a decision, a forecast or a change now, or keep it for later; other messages have no
        place here."""
        if not isinstance(message, _Told):
            return
        if not self._send(message, historical=False):
            self.dropped += len(self._waiting) == HISTORY_MAX
            self._waiting.append(message)

    def rebirth(self) -> None:
        """Say the births again."""
        self._node.rebirth_asked = True

    def restream(self, streams: Streams) -> None:
        """Serve other streams from now on."""
        for letter in self._node.restream(streams, self._now_ms()):
            self.broker.publish(letter.topic, letter.payload, qos=letter.qos)

    def forget(self, ids: AbstractSet[str]) -> None:
        """Forget what waits of these observations."""
        kept = [one for one in self._waiting if one.observation_id not in ids]
        self._waiting = deque(kept, HISTORY_MAX)

    def pump(self) -> None:
        """Do what there is to do, without waiting."""
        self.broker.pump(0)
        self.broker.acked()
        if self._node.leave_asked:
            self.broker.hang_up()
        for _ in range(min(len(self._waiting), HISTORY_AT_A_TIME)):
            if not self._send(self._waiting[0], historical=True):
                return
            self._waiting.popleft()

    def stop(self, timeout_s: float) -> None:
        """Say NDEATH and leave."""
        self.broker.stop(timeout_s)
        self.broker.close()

    def _now_ms(self) -> int:
        return max(self._clock_ns() // 1_000_000, 0)

    def _send(self, message: _Told, *, historical: bool) -> bool:
        measured = metric_values(message)
        if self.broker.room == 0 or measured is None:
            return False
        letter = self._node.tell(measured, self._now_ms(), historical=historical)
        if letter is None:
            return False
        return self.broker.publish(letter.topic, letter.payload, qos=letter.qos) is not None


def _ignore(arrival: InboundMessage) -> None:
    """Whatever arrives and is not the node's is nobody's."""
    del arrival
