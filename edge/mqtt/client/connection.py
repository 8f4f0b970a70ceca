"""One MQTT connection: paho's client on an open transport, with its callbacks turned into data.

A connection is used once.  Messages that are unacknowledged when it ends are reported as lost; the
outbox, which knows the messages forgotten meanwhile, decides which to send again.  The session
(subscriptions and queued commands) lives at the broker, under the client id.
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

from ...config import SECONDS_MAX, MqttSettings
from ..packets import LOST, OutboundMessage, PublishedMessage, ReplyAddress
from .property_tables import share_property_tables
from .transport import BrokerTransport, BufferedSocket

State = Literal["connecting", "online", "closed"]

PACKET_BYTES_MAX: Final = 268_435_460
"""Bytes of the largest packet in MQTT: remaining length and header (MQTT 5.0, section 2.1.4)."""

FIXED_BYTES: Final = 32
"""Upper bound of the header, lengths, packet id and message expiry of a PUBLISH."""

DISCONNECT_WITH_WILL: Final = 4
"""Reason code of a DISCONNECT after which the broker publishes the will (MQTT 5.0, section 2.4)."""

READS_MAX: Final = 64
"""Packets read in one turn, before the loop continues.  Chosen by hand; effect not measured."""

MALFORMED: Final = 129
"""Reason code "Malformed Packet" (MQTT 5.0, section 2.4)."""


class ConnectionTerms(msgspec.Struct, frozen=True):
    """The limits of a broker, from its CONNACK."""

    receive_max: int = 65_535
    packet_bytes_max: int = PACKET_BYTES_MAX
    qos_max: int = 2
    retain: bool = True
    session_present: bool = False


class ConnectionEvent(NamedTuple):
    """The reason code of a received packet, and the topic it concerns."""

    packet: str
    code: int
    name: str
    topic: str = ""


class _PahoClient(Client):
    """paho's client on an open transport."""

    def __init__(self, link: BufferedSocket, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5, manual_ack=True
        )
        self._link = link
        share_property_tables()

    def _create_socket(self) -> BufferedSocket:
        return self._link

    def _handle_on_message(self, message: MQTTMessage) -> None:
        """Pass on a message, without paho's search for a callback by topic: that makes a reference
        cycle for each message, and the garbage collector then stops the loop for 5 to 10 ms at a
        time."""
        if self.on_message is not None:
            self.on_message(self, None, message)


class MqttConnection:
    """One MQTT connection; its last state is `closed`.  Every method is for the loop's thread.

    epoch: number of the connection.  Message ids are epoch * 65536 + packet id, so that no id is
    reused while the outbox may still refer to it.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        transport: BrokerTransport,
        will: OutboundMessage | None,
        epoch: int,
    ) -> None:
        self._base = epoch << 16
        self.state: State = "connecting"
        self.end_reason = ""
        self.end_code = 0
        self.terms = ConnectionTerms()
        self.link = transport.link
        self.messages: list[MQTTMessage] = []
        self.results: list[PublishedMessage] = []
        self.events: list[ConnectionEvent] = []
        self.unacknowledged: dict[int, str] = {}
        self._pending_filters: dict[int, list[str]] = {}
        self._client = _PahoClient(transport.link, client_id)
        self._client.max_inflight_messages = 0
        if settings.username:
            self._client.username_pw_set(settings.username, transport.password)
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
        """Read the packets that are ready, `READS_MAX` at most."""
        for _ in range(READS_MAX):
            self._guard(self._client.loop_read)
            if self.state == "closed" or not self.link.readable:
                return

    def write(self) -> None:
        """Send the queued packets."""
        if self._client.want_write():
            self._guard(self._client.loop_write)
        self.link.flush()

    def keep_alive(self) -> None:
        """Ping when due, and end a connection whose broker does not answer."""
        self._guard(self._client.loop_misc)

    def publish(
        self, topic: str, payload: bytes, qos: int, properties: Properties | None, *, retain: bool
    ) -> int | None:
        """Queue a message and return its id; None if paho refuses it.  A QoS 0 message counts as
        acknowledged when it is written."""
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if qos:
            self.unacknowledged[info.mid] = topic
        return self._base | info.mid

    def subscribe(self, filters: list[str], *, again: bool = False) -> None:
        """Subscribe; retained messages arrive for filters that are new to the session.  again: for
        all filters."""
        if filters:
            options = SubscribeOptions(qos=1, retainHandling=0 if again else 1)
            _, packet_id = self._client.subscribe([(one, options) for one in filters])
            self._pending_filters[packet_id or 0] = filters

    def unsubscribe(self, filters: list[str]) -> None:
        """Unsubscribe."""
        if filters:
            _, packet_id = self._client.unsubscribe(filters)
            self._pending_filters[packet_id or 0] = filters

    def acknowledge(self, packet_id: int) -> None:
        """Send the PUBACK of a received message."""
        self._client.ack(packet_id, 1)

    def leave(self, *, with_will: bool) -> None:
        """Disconnect cleanly.  with_will: the broker publishes the will all the same."""
        self.end_reason = "left"
        code = DISCONNECT_WITH_WILL if with_will else 0
        reason = ReasonCode(PacketTypes.DISCONNECT, identifier=code)
        self._guard(lambda: self._client.disconnect(reason))
        self.end(self.end_reason)

    def end(self, reason: str) -> None:
        """Close; unacknowledged messages are lost."""
        self._mark_closed(reason)
        self.link.close()

    def _mark_closed(self, reason: str) -> None:
        if self.state == "closed":
            return
        self.state = "closed"
        self.end_reason = self.end_reason or reason
        self.results += [PublishedMessage(self._base | one, LOST) for one in self.unacknowledged]
        self.unacknowledged.clear()

    def _guard(self, act: Callable[[], object]) -> None:
        """Run a part of paho; any exception that a peer's bytes cause ends the connection."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - paho decodes untrusted bytes
            self.events.append(ConnectionEvent("malformed", MALFORMED, type(error).__name__))
            self.end("malformed packet")

    def _on_connect(
        self,
        _c: Client,
        _u: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.events.append(ConnectionEvent("CONNACK", reason.value, str(reason)))
        if reason.is_failure:
            self.end_reason, self.end_code = str(reason), reason.value
            return
        self.terms = ConnectionTerms(
            getattr(properties, "ReceiveMaximum", 65_535),
            getattr(properties, "MaximumPacketSize", PACKET_BYTES_MAX),
            getattr(properties, "MaximumQoS", 2),
            bool(getattr(properties, "RetainAvailable", 1)),
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
            self.events.append(ConnectionEvent("DISCONNECT", reason.value, str(reason)))
            self.end_reason, self.end_code = str(reason), reason.value
        self._mark_closed("connection lost")

    def _on_publish(
        self, _c: Client, _u: Any, packet_id: int, reason: ReasonCode, _p: Properties
    ) -> None:
        topic = self.unacknowledged.pop(packet_id, "")
        if reason.value:
            self.events.append(ConnectionEvent("PUBACK", reason.value, str(reason), topic))
        self.results.append(PublishedMessage(self._base | packet_id, reason.value))

    def _on_subscribe(
        self, _c: Client, _u: Any, packet_id: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._note_filters("SUBACK", packet_id, reasons)

    def _on_unsubscribe(
        self, _c: Client, _u: Any, packet_id: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._note_filters("UNSUBACK", packet_id, reasons)

    def _note_filters(self, packet: str, packet_id: int, reasons: list[ReasonCode]) -> None:
        filters = self._pending_filters.pop(packet_id, [])
        for one, reason in zip(filters, reasons, strict=False):
            self.events.append(ConnectionEvent(packet, reason.value, str(reason), one))

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        self.messages.append(message)


def connect_properties(settings: MqttSettings) -> Properties:
    """Return the properties of CONNECT: session expiry, receive maximum, maximum packet size."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.ReceiveMaximum = settings.receive_max
    properties.MaximumPacketSize = settings.packet_bytes_max
    return properties


def will_properties(settings: MqttSettings) -> Properties:
    """Return the properties of the will: how long the broker delays it for a reconnect."""
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = settings.will_delay_s
    return properties


def publish_properties(response: ReplyAddress | None, expiry_s: int) -> Properties | None:
    """Return the properties of a PUBLISH; None if it needs none.  expiry_s: 0: no expiry."""
    if response is None and not expiry_s:
        return None
    properties = Properties(PacketTypes.PUBLISH)
    if expiry_s:
        properties.MessageExpiryInterval = min(expiry_s, SECONDS_MAX)
    if response is not None:
        properties.CorrelationData = response.correlation
        if response.user:
            properties.UserProperty = list(response.user)
    return properties
