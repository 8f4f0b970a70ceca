"""One connection to a broker: paho's client over a link, its callbacks turned into data.

A client lives as long as its connection.  What was not answered when it ends is told as lost, and
the outbox, which knows what was forgotten meanwhile, decides what is sent again.  The session (its
subscriptions, queued commands) lives at the broker, under the client id.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ...config import MqttSettings
from ..packets import LOST, OutboundMessage, PublishedMessage
from .buffered_socket import BufferedSocket
from .connect import ConnectAttempt
from .properties import connect_properties, will_properties

State = Literal["greeting", "online", "over"]

NO_LIMIT: Final = 268_435_460
"""Bytes of the largest packet MQTT can say."""

FIXED_BYTES: Final = 32
"""More than header, lengths, packet id and expiry of a PUBLISH take."""

DISCONNECT_WITH_WILL: Final = 4
"""The reason code of a DISCONNECT after which the will is published."""

READS_MAX: Final = 64
"""Packets taken in at a time, before the loop gets its turn."""


class ConnectionTerms(msgspec.Struct, frozen=True):
    """What a broker allows, from its CONNACK."""

    receive_max: int = 65_535
    packet_bytes_max: int = NO_LIMIT
    qos_max: int = 2
    retain: bool = True
    session_present: bool = False


class ConnectionEvent(NamedTuple):
    """A reason code that a packet brought, and the topic it is about."""

    packet: str
    code: int
    name: str
    topic: str = ""


class _PahoClient(Client):
    """paho's client on a link that is connected already."""

    def __init__(self, link: BufferedSocket, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5, manual_ack=True
        )
        self._link = link

    def _create_socket(self) -> BufferedSocket:
        return self._link


class MqttConnection:
    """One MQTT connection; `over` is its last state.  Every method is for the loop's thread.

    epoch: its number; message ids are epoch * 65536 + packet id, so that none is used twice while
    somebody may still ask for its answer.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        line: ConnectAttempt,
        will: OutboundMessage | None,
        epoch: int,
    ) -> None:
        self._base = epoch << 16
        self.state: State = "greeting"
        self.ending = ""
        self.ending_code = 0
        self.terms = ConnectionTerms()
        self.link = line.link
        self.arrivals: list[MQTTMessage] = []
        self.answers: list[PublishedMessage] = []
        self.notes: list[ConnectionEvent] = []
        self.waiting: dict[int, str] = {}
        self._asking: dict[int, list[str]] = {}
        self._client = _PahoClient(line.link, client_id)
        self._client.max_inflight_messages = 0
        if settings.username:
            self._client.username_pw_set(settings.username, line.password)
        if will is not None:
            self._client.will_set(
                will.topic, will.payload, will.qos, will.retain, will_properties(settings)
            )
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = self._on_unsubscribe
        self._client.on_message = self._on_message
        host, port = settings.address
        self._client.connect(
            host,
            port,
            settings.keepalive_s,
            clean_start=settings.session_expiry_s == 0,
            properties=connect_properties(settings),
        )

    def read(self) -> None:
        """Take in what is there, `READS_MAX` packets at most."""
        for _ in range(READS_MAX):
            self._guard(self._client.loop_read)
            if self.state == "over" or not self.link.readable:
                return

    def write(self) -> None:
        """Send what waits."""
        if self._client.want_write():
            self._guard(self._client.loop_write)
        self.link.flush()

    def tend(self) -> None:
        """Keep alive: ping, and end a connection that doesn't answer."""
        self._guard(self._client.loop_misc)

    def publish(
        self, topic: str, payload: bytes, qos: int, properties: Properties | None, *, retain: bool
    ) -> int | None:
        """Hand a message over; None where it can't be.  QoS 0 is answered when it is written."""
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if qos:
            self.waiting[info.mid] = topic
        return self._base | info.mid

    def subscribe(self, filters: list[str]) -> None:
        """Ask for topics; retained messages come for filters that are new to the session."""
        if filters:
            options = SubscribeOptions(qos=1, retainHandling=1)
            _, packet_id = self._client.subscribe([(one, options) for one in filters])
            self._asking[packet_id or 0] = filters

    def unsubscribe(self, filters: list[str]) -> None:
        """Stop asking for topics."""
        if filters:
            _, packet_id = self._client.unsubscribe(filters)
            self._asking[packet_id or 0] = filters

    def settle(self, packet_id: int) -> None:
        """Send the PUBACK of an arrival."""
        self._client.ack(packet_id, 1)

    def leave(self, *, with_will: bool) -> None:
        """Disconnect in order; the will is published only where that is asked for."""
        self.ending = "left"
        code = DISCONNECT_WITH_WILL if with_will else 0
        reason = ReasonCode(PacketTypes.DISCONNECT, identifier=code)
        self._guard(lambda: self._client.disconnect(reason))
        self.end(self.ending)

    def end(self, why: str) -> None:
        """Close; what was not answered is lost."""
        self._over(why)
        self.link.close()

    def _over(self, why: str) -> None:
        if self.state == "over":
            return
        self.state = "over"
        self.ending = self.ending or why
        self.answers += [PublishedMessage(self._base | one, LOST) for one in self.waiting]
        self.waiting.clear()

    def _guard(self, act: Callable[[], object]) -> None:
        """Run a part of paho; whatever a broken peer makes it stumble over ends the connection."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - paho decodes bytes of a stranger
            self.notes.append(ConnectionEvent("malformed", 129, type(error).__name__))
            self.end("malformed packet")

    def _on_connect(
        self, _c: Client, _u: Any, flags: ConnectFlags, reason: ReasonCode, given: Properties | None
    ) -> None:
        self.notes.append(ConnectionEvent("CONNACK", reason.value, str(reason)))
        if reason.is_failure:
            self.ending, self.ending_code = str(reason), reason.value
            return
        self.terms = ConnectionTerms(
            getattr(given, "ReceiveMaximum", 65_535),
            getattr(given, "MaximumPacketSize", NO_LIMIT),
            getattr(given, "MaximumQoS", 2),
            bool(getattr(given, "RetainAvailable", 1)),
            flags.session_present,
        )
        self.state = "online"

    def _on_disconnect(
        self,
        _c: Client,
        _u: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.notes.append(ConnectionEvent("DISCONNECT", reason.value, str(reason)))
            self.ending, self.ending_code = str(reason), reason.value
        self._over("connection lost")

    def _on_publish(
        self, _c: Client, _u: Any, packet_id: int, reason: ReasonCode, _p: Properties
    ) -> None:
        topic = self.waiting.pop(packet_id, "")
        if reason.value:
            self.notes.append(ConnectionEvent("PUBACK", reason.value, str(reason), topic))
        self.answers.append(PublishedMessage(self._base | packet_id, reason.value))

    def _on_subscribe(
        self, _c: Client, _u: Any, packet_id: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._answer("SUBACK", packet_id, reasons)

    def _on_unsubscribe(
        self, _c: Client, _u: Any, packet_id: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._answer("UNSUBACK", packet_id, reasons)

    def _answer(self, packet: str, packet_id: int, reasons: list[ReasonCode]) -> None:
        filters = self._asking.pop(packet_id, [])
        for one, reason in zip(filters, reasons, strict=False):
            self.notes.append(ConnectionEvent(packet, reason.value, str(reason), one))

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        self.arrivals.append(message)
