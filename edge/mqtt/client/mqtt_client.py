"""The MQTT client: keeps a connection to one broker, publishes, receives and acknowledges.

The loop's own thread pumps it; only opening the transport takes another thread.  Network failures
never raise: `online`, `send_quota`, `problem` and the counters report the state.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from paho.mqtt.client import MQTTMessage

from ...config import MqttSettings
from ...logs import log
from ..packets import (
    REFUSED_MIN,
    TOO_LARGE,
    InboundMessage,
    OutboundMessage,
    PublishedMessage,
    ReplyAddress,
)
from ..presence import Presence
from .connection import FIXED_BYTES, MqttConnection, publish_properties
from .reason_codes import NO_SUBSCRIBERS, TAKEN_OVER, ReasonCounters, ReasonLog
from .transport import BACKLOG_BYTES_MAX, BrokerTransport, ConnectAttempt
from .waker import Waker

KEEP_ALIVE_S: Final = 1.0
"""Seconds between two checks of the keep-alive timer, whose unit is a second."""

STABLE_S: Final = 30.0
"""A connection that lasted this long resets the reconnect backoff.  Chosen by hand; effect not
measured."""

STOP_POLL_S: Final = 0.05
"""Seconds that `stop` waits at a time for acknowledgements.  Chosen by hand."""

WITHOUT_REASON: Final = ("connection lost", "malformed packet")
"""Ends of a connection for which the broker gave no reason."""

NO_CONNACK: Final = (
    "before CONNECT was answered: is it an MQTT 5 broker, with TLS at both ends or at neither, and"
    " a client certificate where it requires one?"
)

_NO_PROPERTIES: Final[dict[str, Any]] = {}


class ReconnectBackoff:
    """Exponential backoff between connection attempts, with jitter over half of each step.

    Marc Brooker 2015, "Exponential Backoff And Jitter" (AWS Architecture Blog): without jitter, all
    devices of a site reconnect at the same moments after an outage.  draw: returns a number in
    [0, 1).
    """

    def __init__(
        self, min_s: float, max_s: float, draw: Callable[[], float] = random.random
    ) -> None:
        self._min = min_s
        self._max = max_s
        self._draw = draw
        self._step = min_s

    def next_s(self) -> float:
        """Return the seconds to wait, and double the step."""
        step, self._step = self._step, min(self._step * 2, self._max)
        return step * (0.5 + self._draw() / 2)

    def connection_lasted(self, seconds: float) -> None:
        """Reset the step after a connection that lasted long enough."""
        if seconds >= STABLE_S:
            self._step = self._min

    def use_max(self) -> None:
        """Wait longest next time: another client claims the same client id."""
        self._step = self._max


class InboundAcks:
    """The unacknowledged QoS 1 messages of one connection, in order of arrival.

    MQTT requires PUBACKs in the order of the PUBLISHes (MQTT-4.6.0-2): a message that is
    acknowledged early waits for those before it.  epoch: number of the connection; a ticket of an
    earlier one has no effect.
    """

    def __init__(self, epoch: int) -> None:
        self._base = epoch << 16
        self._open: deque[int] = deque()
        self._early: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    def receive(self, message: MQTTMessage) -> InboundMessage:
        """Return a received message as data.  Its topic is empty if it is not valid UTF-8."""
        ticket = self._base | message.mid if message.qos else 0
        if ticket:
            self._open.append(ticket)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        properties = vars(message.properties) if message.properties is not None else _NO_PROPERTIES
        return InboundMessage(
            topic=topic,
            payload=bytes(message.payload),
            retained=message.retain,
            response_topic=properties.get("ResponseTopic", ""),
            correlation=properties.get("CorrelationData", b""),
            expiry_s=properties.get("MessageExpiryInterval"),
            user=tuple(properties.get("UserProperty", ())),
            ticket=ticket,
        )

    def acknowledge(self, ticket: int) -> list[int]:
        """Return the packet ids whose PUBACK may be sent now."""
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


class MqttClient:
    """A client of one broker, across all its connections.

    device: default of the client id.  on_message: called in `pump` with each received message.
    presence: its will, birth and farewell messages.  clock: monotonic seconds.
    will_on_leaving: the broker publishes the will also after a clean disconnect.

    `acked` reports every message id that `publish` returned exactly once: with the broker's reason
    code, or as LOST if the connection ended first.  Negative ids never reached the broker.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: str,
        on_message: Callable[[InboundMessage], None],
        presence: Presence,
        clock: Callable[[], float] = time.monotonic,
        *,
        will_on_leaving: bool = False,
    ) -> None:
        self.counters = ReasonCounters()
        self.problem = ""
        self._settings = settings
        self._client_id = settings.client_id or f"auricle-{device}"
        self._on_message = on_message
        self._presence = presence
        self._will_on_leaving = will_on_leaving
        self._clock = clock
        self._reasons = ReasonLog(self.counters, clock)
        self._backoff = ReconnectBackoff(settings.reconnect_s_min, settings.reconnect_s_max)
        self._filters = set(presence.filters())
        self._granted: set[str] = set()
        self._again: set[str] = set()
        self._connection: MqttConnection | None = None
        self._accepted: MqttConnection | None = None
        self._inbound = InboundAcks(0)
        self._epoch = 0
        self._attempt: ConnectAttempt | None = None
        self._next_attempt = self._deadline = self._next_keep_alive = clock()
        self._since = clock()
        self._presence_ids: set[int] = set()
        self._results: list[PublishedMessage] = []
        self._local_id = 0
        self._stopped = True
        self._waker = Waker()

    @property
    def online(self) -> bool:
        """True while messages can be published."""
        return self._connection is not None and self._connection.state == "online"

    @property
    def refusal(self) -> str:
        """The refusal of a connected broker: a subscription or a recent message; empty if none."""
        return self._reasons.refusal

    @property
    def since_s(self) -> float:
        """Seconds since it came online, or went offline."""
        return self._clock() - self._since

    @property
    def unclean_disconnects(self) -> int:
        """Connections that ended without a DISCONNECT from either side.  The broker may have
        crashed and lost its last acknowledged messages."""
        return self.counters.unclean

    @property
    def send_quota(self) -> int:
        """Messages that may be published now: the receive maximum of the broker or the settings,
        less those in flight (MQTT 5.0, section 4.9)."""
        connection = self._connection
        if connection is None or connection.state != "online":
            return 0
        if connection.link.backlog > BACKLOG_BYTES_MAX:
            return 0
        inflight_max = min(connection.terms.receive_max, self._settings.inflight_max)
        return max(inflight_max - len(connection.unacknowledged), 0)

    @property
    def unacknowledged(self) -> int:
        """Received messages that are not acknowledged yet."""
        return len(self._inbound)

    def start(self) -> None:
        """Begin to connect; `pump` does the rest."""
        self._stopped = False
        self._next_attempt = self._clock()

    def wake(self) -> None:
        """Make a waiting `pump` return; from any thread."""
        self._waker.wake()

    def pump(self, wait_s: float, *, reading: bool = True) -> None:
        """Wait for work, `wait_s` seconds at most, and do it: read, dispatch, write, reconnect.

        reading: False leaves messages at the broker, whose flow control then applies.
        """
        connection = self._connection
        if connection is not None:
            connection.write()
        link = None if connection is None else connection.link
        ready = self._waker.wait(link, self._until_next(wait_s), reading=reading)
        if connection is None:
            self._connect()
            return
        if ready:
            connection.read()
            self._dispatch(connection)
            connection.write()
        if self._clock() >= self._next_keep_alive:
            self._next_keep_alive = self._clock() + KEEP_ALIVE_S
            connection.keep_alive()
            if connection.state == "online":
                self._publish_presence(self._presence.due(self._clock()))
                connection.write()
        self._check(connection)

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
        """Publish and return the message id; None if offline or without send quota.

        response: marks the message as a response to a request.  expiry_s: how long a broker keeps
        it for absent subscribers; None: [mqtt] message_expiry_s.  Raises ValueError for a topic
        with wildcards.
        """
        connection = self._connection
        if connection is None or self.send_quota == 0:
            return None
        terms = connection.terms
        properties = publish_properties(
            response, self._settings.message_expiry_s if expiry_s is None else expiry_s
        )
        nbytes = FIXED_BYTES + len(payload)
        if properties is not None:
            nbytes += len(properties.pack())
        # A character takes at most four bytes; they are counted only near the limit.
        if nbytes + 4 * len(topic) > terms.packet_bytes_max:
            nbytes += len(topic.encode())
            if nbytes > terms.packet_bytes_max:
                return self._too_large(topic)
        qos, retain = min(qos, terms.qos_max), retain and terms.retain
        message_id = connection.publish(topic, payload, qos, properties, retain=retain)
        self.counters.published += message_id is not None
        return message_id

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Return the outcomes of published messages since the last call."""
        connection = self._connection
        if connection is not None and connection.results:
            self._collect(connection)
        results, self._results = tuple(self._results), []
        return results

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe to these filters from now on, and to no others; renewed with a new session."""
        self._filters = {*filters, *self._presence.filters()}
        connection = self._connection
        if connection is not None and connection.state == "online":
            self._update_subscriptions(connection)

    def resubscribe(self, filters: Iterable[str]) -> None:
        """Subscribe to these again, as far as they are subscribed to, with the next connection if
        there is none: the broker sends their retained messages once more."""
        wanted = self._filters.intersection(filters)
        self._granted -= wanted
        self._again |= wanted
        connection = self._connection
        if wanted and connection is not None and connection.state == "online":
            self._update_subscriptions(connection)

    def acknowledge(self, ticket: int) -> None:
        """Acknowledge a received message once its effect is durable.  Has no effect if repeated, or
        after the connection ended."""
        for packet_id in self._inbound.acknowledge(ticket):
            if self._connection is not None and self._connection.state == "online":
                self._connection.acknowledge(packet_id)

    def rebirth(self) -> None:
        """Publish the birth messages again, for subscribers that lost them."""
        if self.online:
            self._publish_presence(self._presence.birth())

    def reconnect(self) -> None:
        """Disconnect cleanly, and connect again after the backoff."""
        connection = self._connection
        if connection is not None and connection.state == "online":
            self._publish_presence(self._presence.farewell())
            connection.leave(with_will=self._will_on_leaving)
            self._finish(connection)

    def stop(self, timeout_s: float) -> None:
        """Publish the farewell and disconnect within `timeout_s` seconds.  Messages that are
        unacknowledged by then are lost."""
        self._stopped = True
        until = self._clock() + timeout_s
        connection = self._connection
        if connection is not None and connection.state == "online":
            self._publish_presence(self._presence.farewell())
            while self.online and connection.unacknowledged and self._clock() < until:
                self.pump(min(STOP_POLL_S, max(until - self._clock(), 0)))
            connection.leave(with_will=self._will_on_leaving)
        if self._connection is not None:
            self._connection.end("left")
            self._finish(self._connection)
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None

    def close(self) -> None:
        """Close the wake pipe; after `stop`."""
        self._waker.close()

    def _until_next(self, wait_s: float) -> float:
        """Return the seconds to wait, up to the next connection attempt or keep-alive check."""
        if self._connection is not None:
            due = self._next_keep_alive
        elif self._attempt is None and not self._stopped:
            due = self._next_attempt
        else:
            return wait_s
        return min(wait_s, due - self._clock())

    def _connect(self) -> None:
        """Start a connection attempt when one is due, or take the result of the last."""
        now = self._clock()
        if self._attempt is None:
            if not self._stopped and now >= self._next_attempt:
                self._deadline = now + 2 * self._settings.connect_timeout_s
                self._attempt = ConnectAttempt(self._settings, self.wake)
            return
        result = self._attempt.result
        if isinstance(result, BrokerTransport):
            self._send_connect(result)
        elif result is not None or now > self._deadline:
            self._attempt.abandon()
            self._fail(result or "the attempt to connect takes too long")
        else:
            return
        self._attempt = None

    def _send_connect(self, transport: BrokerTransport) -> None:
        """Send CONNECT on an open transport."""
        self._epoch += 1
        self._inbound = InboundAcks(self._epoch)
        self._deadline = self._clock() + self._settings.connect_timeout_s
        self._connection = MqttConnection(
            self._settings, self._client_id, transport, self._presence.will(), self._epoch
        )

    def _fail(self, reason: str) -> None:
        """Record a failed attempt, and schedule the next."""
        self.counters.connect_failed += 1
        self.problem = reason
        host, port = self._settings.address
        self._reasons.log_error("mqtt_not_connected", reason=reason, host=host, port=port)
        self._next_attempt = self._clock() + self._backoff.next_s()

    def _check(self, connection: MqttConnection) -> None:
        """End a connection whose CONNACK is overdue, and clean up one that has closed."""
        if connection.state == "connecting" and self._clock() > self._deadline:
            connection.end("the broker does not answer CONNECT")
        if connection.state == "closed":
            self._finish(connection)

    def _dispatch(self, connection: MqttConnection) -> None:
        """Handle the packets of a read: reason codes, CONNACK, messages."""
        events, connection.events = connection.events, []
        for event in events:
            self._reasons.note(event.packet, event.code, event.name, event.topic)
            self.counters.malformed += event.packet == "malformed"
            if event.packet == "CONNACK" and connection.state == "online":
                self._accept(connection)
            elif event.packet == "SUBACK" and event.code < REFUSED_MIN:
                self._granted.add(event.topic)
                self._again.discard(event.topic)
            elif event.packet == "UNSUBACK":
                self._granted.discard(event.topic)
        messages, connection.messages = connection.messages, []
        for received in messages:
            message = self._inbound.receive(received)
            self.counters.arrived += 1
            self.counters.malformed += not message.topic
            if not message.topic or self._presence.handle(message):
                self.acknowledge(message.ticket)
                self._next_keep_alive = self._clock()  # the presence may have a response due
            else:
                self._on_message(message)

    def _accept(self, connection: MqttConnection) -> None:
        """Start to use a connection that the broker accepted."""
        self.counters.connected += 1
        self.problem = ""
        self._since = self._clock()
        self._accepted = connection
        host, port = self._settings.address
        resumed = connection.terms.session_present
        log.info("mqtt_connected", host=host, port=port, session_present=resumed)
        if not resumed:
            self._granted = set()
        self._update_subscriptions(connection)
        self._publish_presence(self._presence.birth())

    def _update_subscriptions(self, connection: MqttConnection) -> None:
        """Send the difference between the wanted filters and those the session has."""
        connection.unsubscribe(sorted(self._granted - self._filters))
        missing = self._filters - self._granted
        connection.subscribe(sorted(missing - self._again))
        connection.subscribe(sorted(missing & self._again), again=True)

    def _publish_presence(self, messages: Iterable[OutboundMessage]) -> None:
        """Publish messages of the presence, whose outcome `acked` does not report."""
        for message in messages:
            message_id = self.publish(
                message.topic, message.payload, qos=message.qos, retain=message.retain
            )
            if message_id is not None and message_id > 0:
                self._presence_ids.add(message_id)

    def _finish(self, connection: MqttConnection) -> None:
        """Clean up a closed connection, and schedule the next attempt."""
        self._dispatch(connection)
        self._collect(connection)
        self._presence_ids.clear()
        self._connection = None
        self._inbound = InboundAcks(self._epoch)
        reason = connection.end_reason
        if connection is not self._accepted:
            self._fail(f"{reason} {NO_CONNACK}" if reason in WITHOUT_REASON else reason)
            return
        self.counters.disconnected += 1
        self.counters.unclean += not (connection.end_code or reason == "left")
        self.problem = reason
        self._backoff.connection_lasted(self.since_s)
        self._since = self._clock()
        if connection.end_code == TAKEN_OVER:
            self.counters.taken_over += 1
            self._backoff.use_max()
            hint = "another client uses this client_id: give each device its own"
            self._reasons.log_error("mqtt_taken_over", client_id=self._client_id, hint=hint)
        log.info("mqtt_disconnected", reason=reason)
        self._next_attempt = self._clock() + self._backoff.next_s()

    def _collect(self, connection: MqttConnection) -> None:
        """Take over and count the outcomes of published messages."""
        results, connection.results = connection.results, []
        for sent in results:
            self.counters.answered += not sent.lost
            self.counters.lost += sent.lost
            self.counters.no_subscribers += sent.reason == NO_SUBSCRIBERS
            self.counters.refused += sent.reason >= REFUSED_MIN
            if sent.message_id in self._presence_ids:
                self._presence_ids.discard(sent.message_id)
            else:
                self._results.append(sent)

    def _too_large(self, topic: str) -> int:
        """Refuse a message that would make the broker disconnect; return its local id."""
        self._local_id -= 1
        self._results.append(PublishedMessage(self._local_id, TOO_LARGE))
        self._reasons.note("PUBLISH", TOO_LARGE, "Packet too large", topic)
        self.counters.refused += 1
        return self._local_id
