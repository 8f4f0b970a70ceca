"""The connection to a broker, for ever: connects, reconnects, publishes, receives.

Pumped by the loop's own thread; only connecting happens in another.  Network trouble is never an
exception here: `online`, `room`, `problem` and the counters say how things stand.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from ...config import MqttSettings
from ..packets import (
    REFUSED_MIN,
    TOO_LARGE,
    InboundMessage,
    OutboundMessage,
    Presence,
    PublishedMessage,
    ReplyAddress,
)
from .backoff import ReconnectBackoff
from .buffered_socket import BACKLOG_BYTES_MAX
from .connect import ConnectAttempt, Connector
from .connection import FIXED_BYTES, MqttConnection
from .inbound_acks import InboundAcks
from .properties import publish_properties
from .reason_codes import NO_SUBSCRIBERS, TAKEN_OVER, ReasonCounters, ReasonLog
from .waker import Waker

TEND_S: Final = 1.0
"""How often keepalive is looked after, in seconds."""

UNSPOKEN: Final = ("connection lost", "malformed packet")
NO_GREETING: Final = (
    "before CONNECT was answered: is it an MQTT 5 broker, with TLS at both ends or at neither, and"
    " a client certificate where it wants one?"
)


class MqttClient:
    """One broker, over all its connections.

    device: names the client where settings don't.  take: called inside `pump` with each arrival.
    presence: the will, and what is said on arriving and leaving.  clock: monotonic seconds.
    will_on_leaving: the broker publishes the will even after leaving in order.

    A message id that `publish` returned is answered exactly once by `acked`: by the broker's reason
    code, or by LOST when the connection ended first.  Negative ids never reached the broker.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: str,
        take: Callable[[InboundMessage], None],
        presence: Presence,
        clock: Callable[[], float] = time.monotonic,
        *,
        will_on_leaving: bool = False,
    ) -> None:
        self.counters = ReasonCounters()
        self.problem = ""
        self._settings = settings
        self._client_id = settings.client_id or f"auricle-{device}"
        self._take = take
        self._presence = presence
        self._will_on_leaving = will_on_leaving
        self._clock = clock
        self._reasons = ReasonLog(self.counters, clock)
        self._backoff = ReconnectBackoff(settings.reconnect_s_min, settings.reconnect_s_max)
        self._filters = set(presence.filters())
        self._granted: set[str] = set()
        self._connection: MqttConnection | None = None
        self._welcomed: MqttConnection | None = None
        self._arrivals = InboundAcks(0)
        self._epoch = 0
        self._dialling: Connector | None = None
        self._next_dial = self._deadline = self._next_tend = clock()
        self._since = clock()
        self._own: set[int] = set()
        self._answers: list[PublishedMessage] = []
        self._local = 0
        self._stopped = True
        self._waker = Waker()

    @property
    def online(self) -> bool:
        """True where messages can be published."""
        return self._connection is not None and self._connection.state == "online"

    @property
    def refusal(self) -> str:
        """What the broker refuses, though it is there; empty where nothing."""
        return self._reasons.standing

    @property
    def since_s(self) -> float:
        """Seconds since it came online, or went offline."""
        return self._clock() - self._since

    @property
    def cuts(self) -> int:
        """How many connections ended without a word from either side: the broker may have died, and
        forgotten what it confirmed last."""
        return self.counters.cut

    @property
    def room(self) -> int:
        """Messages that may be published now: what the broker and the settings allow, less those
        that are not answered yet."""
        here = self._connection
        if here is None or here.state != "online" or here.link.backlog > BACKLOG_BYTES_MAX:
            return 0
        most = min(here.terms.receive_max, self._settings.sending_max)
        return max(most - len(here.waiting), 0)

    @property
    def unsettled(self) -> int:
        """Arrivals that are not settled yet."""
        return len(self._arrivals)

    def start(self) -> None:
        """Begin to connect; `pump` does the rest."""
        self._stopped = False
        self._next_dial = self._clock()

    def wake(self) -> None:
        """Let a waiting `pump` return; from any thread."""
        self._waker.wake()

    def pump(self, wait_s: float, *, reading: bool = True) -> None:
        """Wait for something to do, `wait_s` at most, and do it: read, call back, write, reconnect.

        reading: False leaves arrivals with the broker, which then holds them back.
        """
        here = self._connection
        if here is not None:
            here.write()
        link = None if here is None else here.link
        ready = self._waker.wait(link, self._until_next(wait_s), reading=reading)
        if here is None:
            self._dial()
            return
        if ready:
            here.read()
            self._hear(here)
            here.write()
        if self._clock() >= self._next_tend:
            self._next_tend = self._clock() + TEND_S
            here.tend()
            if here.state == "online":
                self._say(self._presence.due(self._clock()))
                here.write()
        self._look_after(here)

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
        """Publish; the message id, or None where there is no room or no connection.

        response: makes it the answer to a request.  expiry_s: how long a broker may keep it for
        those who are away; None: as [mqtt] message_expiry_s says.  Raises ValueError for a topic
        with wildcards.
        """
        here = self._connection
        if here is None or self.room == 0:
            return None
        terms = here.terms
        properties = publish_properties(
            response, self._settings.message_expiry_s if expiry_s is None else expiry_s
        )
        extra = 0 if properties is None else len(properties.pack())
        if FIXED_BYTES + extra + len(topic.encode()) + len(payload) > terms.packet_bytes_max:
            return self._too_large(topic)
        qos = min(qos, terms.qos_max)
        message_id = here.publish(topic, payload, qos, properties, retain=retain and terms.retain)
        self.counters.published += message_id is not None
        return message_id

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Return what was answered since last asked."""
        here = self._connection
        if here is not None and here.answers:
            self._collect(here)
        answers, self._answers = tuple(self._answers), []
        return answers

    def subscribe(self, filters: Iterable[str]) -> None:
        """Ask for these topics from now on, and for no others; renewed where a broker forgot."""
        self._filters = {*filters, *self._presence.filters()}
        here = self._connection
        if here is not None and here.state == "online":
            self._ask(here)

    def settle(self, ticket: int) -> None:
        """Acknowledge an arrival, once what it caused is durable; again or too late is harmless."""
        for packet_id in self._arrivals.settle(ticket):
            if self._connection is not None and self._connection.state == "online":
                self._connection.settle(packet_id)

    def rebirth(self) -> None:
        """Say again what is said on arriving: somebody may have lost it."""
        if self.online:
            self._say(self._presence.hello())

    def hang_up(self) -> None:
        """Leave in order, and connect anew after a while."""
        here = self._connection
        if here is not None and here.state == "online":
            self._say(self._presence.farewell())
            here.leave(with_will=self._will_on_leaving)
            self._finish(here)

    def stop(self, timeout_s: float) -> None:
        """Say goodbye and disconnect, within `timeout_s`; what is not answered by then is lost."""
        self._stopped = True
        until = self._clock() + timeout_s
        here = self._connection
        if here is not None and here.state == "online":
            self._say(self._presence.farewell())
            while self.online and here.waiting and self._clock() < until:
                self.pump(min(0.05, max(until - self._clock(), 0)))
            here.leave(with_will=self._will_on_leaving)
        if self._connection is not None:
            self._connection.end("left")
            self._finish(self._connection)
        if self._dialling is not None:
            self._dialling.give_up()
            self._dialling = None

    def close(self) -> None:
        """Give the wake pipe back; after `stop`."""
        self._waker.close()

    def _until_next(self, wait_s: float) -> float:
        """Return seconds to wait: not beyond the next attempt to connect, or the next tending."""
        if self._connection is not None:
            due = self._next_tend
        elif self._dialling is None and not self._stopped:
            due = self._next_dial
        else:
            return wait_s
        return min(wait_s, due - self._clock())

    def _dial(self) -> None:
        """Start an attempt when it is time, and pick up what became of it."""
        now = self._clock()
        if self._dialling is None:
            if not self._stopped and now >= self._next_dial:
                self._deadline = now + 2 * self._settings.connect_timeout_s
                self._dialling = Connector(self._settings, self.wake)
            return
        result = self._dialling.result
        if isinstance(result, ConnectAttempt):
            self._greet(result)
        elif result is not None or now > self._deadline:
            self._dialling.give_up()
            self._fail(result or "the attempt to connect takes too long")
        else:
            return
        self._dialling = None

    def _greet(self, line: ConnectAttempt) -> None:
        """Say CONNECT on an open connection."""
        self._epoch += 1
        self._arrivals = InboundAcks(self._epoch)
        self._deadline = self._clock() + self._settings.connect_timeout_s
        self._connection = MqttConnection(
            self._settings, self._client_id, line, self._presence.will(), self._epoch
        )

    def _fail(self, why: str) -> None:
        """Note an attempt that came to nothing, and wait."""
        self.counters.connect_failed += 1
        self.problem = why
        host, port = self._settings.address
        self._reasons.complain("mqtt_not_connected", reason=why, host=host, port=port)
        self._next_dial = self._clock() + self._backoff.next_s()

    def _look_after(self, here: MqttConnection) -> None:
        """Let a greeting that takes too long end, and follow what ended."""
        if here.state == "greeting" and self._clock() > self._deadline:
            here.end("the broker does not answer CONNECT")
        if here.state == "over":
            self._finish(here)

    def _hear(self, here: MqttConnection) -> None:
        """Take in what a read brought: reason codes, the greeting, arrivals."""
        notes, here.notes = here.notes, []
        for note in notes:
            self._reasons.note(note.packet, note.code, note.name, note.topic)
            self.counters.malformed += note.packet == "malformed"
            if note.packet == "CONNACK" and here.state == "online":
                self._welcome(here)
            elif note.packet == "SUBACK" and note.code < REFUSED_MIN:
                self._granted.add(note.topic)
            elif note.packet == "UNSUBACK":
                self._granted.discard(note.topic)
        arrivals, here.arrivals = here.arrivals, []
        for message in arrivals:
            arrival = self._arrivals.take(message)
            self.counters.arrived += 1
            self.counters.malformed += not arrival.topic
            if not arrival.topic or self._presence.hear(arrival):
                self.settle(arrival.ticket)
                self._next_tend = self._clock()  # it may have an answer
            else:
                self._take(arrival)

    def _welcome(self, here: MqttConnection) -> None:
        """Begin a connection that the broker accepted."""
        self.counters.connected += 1
        self.problem = ""
        self._since = self._clock()
        self._welcomed = here
        host, port = self._settings.address
        self._reasons.tell(
            "mqtt_connected", host=host, port=port, session_present=here.terms.session_present
        )
        if not here.terms.session_present:
            self._granted = set()
        self._ask(here)
        self._say(self._presence.hello())

    def _ask(self, here: MqttConnection) -> None:
        """Tell the broker which topics are wanted, as far as it doesn't know."""
        here.unsubscribe(sorted(self._granted - self._filters))
        here.subscribe(sorted(self._filters - self._granted))

    def _say(self, letters: Iterable[OutboundMessage]) -> None:
        """Publish letters, whose answers are nobody else's business."""
        for letter in letters:
            message_id = self.publish(
                letter.topic, letter.payload, qos=letter.qos, retain=letter.retain
            )
            if message_id is not None and message_id > 0:
                self._own.add(message_id)

    def _finish(self, here: MqttConnection) -> None:
        """Put a connection away that is over, and say when the next is due."""
        self._hear(here)
        self._collect(here)
        self._own.clear()
        self._connection = None
        self._arrivals = InboundAcks(self._epoch)
        if here is not self._welcomed:
            spoken = here.ending not in UNSPOKEN
            self._fail(here.ending if spoken else f"{here.ending} {NO_GREETING}")
            return
        self.counters.disconnected += 1
        self.counters.cut += not (here.ending_code or here.ending == "left")
        self.problem = here.ending
        self._backoff.held(self.since_s)
        self._since = self._clock()
        if here.ending_code == TAKEN_OVER:
            self.counters.taken_over += 1
            self._backoff.retreat()
            hint = "another client uses this client_id: give each device its own"
            self._reasons.complain("mqtt_taken_over", client_id=self._client_id, hint=hint)
        self._reasons.tell("mqtt_disconnected", reason=here.ending)
        self._next_dial = self._clock() + self._backoff.next_s()

    def _collect(self, here: MqttConnection) -> None:
        """Take the answers of a connection over, and count them."""
        answers, here.answers = here.answers, []
        for sent in answers:
            self.counters.answered += not sent.lost
            self.counters.lost += sent.lost
            self.counters.unheard += sent.reason == NO_SUBSCRIBERS
            self.counters.refused += sent.reason >= REFUSED_MIN
            if sent.message_id in self._own:
                self._own.discard(sent.message_id)
            else:
                self._answers.append(sent)

    def _too_large(self, topic: str) -> int:
        """Answer a message that the broker would hang up on, without asking it."""
        self._local -= 1
        self._answers.append(PublishedMessage(self._local, TOO_LARGE))
        self._reasons.note("PUBLISH", TOO_LARGE, "Packet too large", topic)
        self.counters.refused += 1
        return self._local
