"""A link to a microcontroller without any input or output of its own: bytes in -> events,
messages in -> bytes to send, time as a number.

docs/explanation/wire.md says what travels. c/auricle_link.c is the same link in C.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from .clocks import PeerClock
from .codec import decode_message, decode_record, encode_message, encode_record
from .errors import MessageError
from .events import Event, LinkConnected, LinkFault, LinkGap, LinkSilent, LinkUndelivered
from .frames import (
    CREDIT_MAX,
    FRAME_BYTES_MIN,
    OVERHEAD_BYTES,
    VERSIONS,
    Deframer,
    FaultKind,
    Frame,
    FrameKind,
    decode_frame,
    encode_frame,
    next_session,
    session_key,
)
from .receiving import Receiver
from .records import Counters, Held, Hello, Message, Reading, TimeAsk, TimeTell
from .sending import WINDOW_MAX, Sender

HELLO_NS_MIN: Final = 250_000_000
HELLO_NS_MAX: Final = 2_000_000_000
KEEP_ALIVE_NS: Final = 1_000_000_000
SILENCE_NS: Final = 5_000_000_000
REPLACED_MAX: Final = 2
LENGTH_MAX: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What one side of a link allows.

    frame_bytes_max: longest frame taken or sent (64 to 65535); window: frames taken before their
    turn (1 to 32); message_bytes_max: longest message; queue_bytes_max: messages that wait or are
    on their way (both 1 to 4294967295); asks_time: whether this side follows the peer's clock.
    """

    frame_bytes_max: int = 1024
    window: int = WINDOW_MAX
    message_bytes_max: int = 1 << 20
    queue_bytes_max: int = 1 << 21
    asks_time: bool = True

    def __post_init__(self) -> None:
        ranges = {
            "frame_bytes_max": (self.frame_bytes_max, FRAME_BYTES_MIN, 0xFFFF),
            "window": (self.window, 1, WINDOW_MAX),
            "message_bytes_max": (self.message_bytes_max, 1, LENGTH_MAX),
            "queue_bytes_max": (self.queue_bytes_max, 1, LENGTH_MAX),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                message = f"a link's {name} cannot be {value}"
                raise MessageError(message, f"it goes from {low} to {high}")


class Link:
    """One side of a link. Both sides are alike.

    session: 1 to 2^32 - 1, another number after each start of the program (a random one, or a
    counter kept in flash). Call `receive` with what the port gave, and with nothing when
    `wake_at_ns` has passed; then take `next_bytes` until it is empty. Memory is bounded by the
    settings, whatever arrives.
    """

    def __init__(self, session: int, settings: LinkSettings | None = None) -> None:
        if not 0 < session < 1 << 32:
            message = f"a link's session cannot be {session}"
            raise MessageError(message, "it goes from 1 to 4294967295")
        self.session = session
        self.settings = settings or LinkSettings()
        self.clock = PeerClock()
        self._deframer = Deframer(self.settings.frame_bytes_max)
        self._sender = Sender(self.settings.queue_bytes_max)
        self._receiver = Receiver(self.settings.window, self.settings.message_bytes_max)
        self._counters = Counters(
            frames_sent=0,
            frames_resent=0,
            frames_received=0,
            frames_damaged=0,
            frames_repeated=0,
            messages_dropped=0,
            messages_refused=0,
        )
        self._peer: Hello | None = None
        self._version = 0
        self._connected = False
        self._was_connected = False
        self._replaced: tuple[int, ...] = ()
        self._readings: dict[int, int] = {}
        self._tell: tuple[int, int] | None = None
        self._hello_ns = HELLO_NS_MIN
        self._hello_at_ns: int | None = 0
        self._ask_at_ns = 0
        self._sent_at_ns = 0
        self._heard_at_ns: int | None = None

    @property
    def connected(self) -> bool:
        """Whether both sides know each other's session."""
        return self._connected

    @property
    def idle(self) -> bool:
        """Whether all that was to be sent has been acknowledged."""
        return self._sender.idle

    @property
    def counters(self) -> Counters:
        """What this side has counted since it started."""
        return replace(self._counters, frames_repeated=self._receiver.repeated)

    def send(self, message: Message) -> bool:
        """Take a message to be sent; False where the queue is full, and nothing was kept.
        MessageError where it does not fit its table or is too long for the peer."""
        data = encode_message(message)
        taken = self._peer.message_bytes_max if self._peer else LENGTH_MAX
        if len(data) > taken:
            found = f"a message of {len(data)} bytes is longer than the peer takes"
            raise MessageError(found, f"send at most {taken} bytes at once")
        if len(data) > self.settings.queue_bytes_max:
            found = f"a message of {len(data)} bytes is longer than the queue holds"
            hint = f"send at most {self.settings.queue_bytes_max}, or raise queue_bytes_max"
            raise MessageError(found, hint)
        kept = self._sender.offer(data)
        self._count(messages_dropped=not kept)
        return kept

    def pause(self) -> None:
        """Deliver no messages until `resume`, and let the peer hold its own back."""
        self._receiver.paused = True

    def resume(self, now_ns: int) -> tuple[Event, ...]:
        """Deliver again, beginning with what came in the meantime."""
        self._receiver.paused = False
        self._receiver.ack_at_ns = now_ns
        return tuple(self._events(self._receiver.flush(now_ns)))

    def receive(self, data: bytes, now_ns: int) -> tuple[Event, ...]:
        """What these bytes, and the time, mean. Never fails on any bytes."""
        events: list[Event] = []
        for block in self._deframer.push(data):
            events += self._take(block, now_ns)
        if self._heard_at_ns is not None and now_ns - self._heard_at_ns >= SILENCE_NS:
            events.append(LinkSilent(self._heard_at_ns))
            self._heard_at_ns = None
            self._hello_at_ns = now_ns
        return tuple(events)

    def _take(self, block: bytes | FaultKind, now_ns: int) -> Iterator[Event]:
        key = session_key(self._peer.session, self.session) if self._peer else None
        frame = decode_frame(block, key) if isinstance(block, bytes) else block
        if isinstance(frame, Frame) and frame.kind is FrameKind.HELLO:
            yield from self._meet(frame, now_ns)
        elif isinstance(frame, Frame) and frame.version != self._version:
            yield self._damaged(FaultKind.VERSION)
        elif isinstance(frame, Frame):
            self._count(frames_received=1)
            self._heard_at_ns = now_ns
            yield from self._connect()
            self._hello_ns = HELLO_NS_MIN
            yield from self._use(frame, now_ns)
        else:
            yield self._damaged(frame)

    def _damaged(self, kind: FaultKind) -> LinkFault:
        self._count(frames_damaged=1)
        return LinkFault(kind)

    def _meet(self, frame: Frame, now_ns: int) -> Iterator[Event]:
        hello = decode_record("hello", frame.payload)
        if not isinstance(hello, Hello) or not self._acceptable(hello):
            yield self._damaged(FaultKind.SESSION)
            return
        version = min(hello.version_max, VERSIONS[1])
        if version < max(hello.version_min, VERSIONS[0]):
            yield self._damaged(FaultKind.VERSION)
            return
        if hello.session in self._replaced:
            self._return_to(hello.session)
        self._count(frames_received=1)
        self._heard_at_ns = now_ns
        if self._peer is None or hello.session != self._peer.session:
            yield from self._adopt(hello, version, frame.credit, now_ns)
        if hello.peer_session != self.session:
            self._hello_at_ns = now_ns
        elif not self._connected:
            yield from self._connect()
            self._hello_at_ns = now_ns

    def _acceptable(self, hello: Hello) -> bool:
        """An own hello sent back is none of the peer, nor is one of a session that was replaced, as
        long as its successor is heard."""
        ended = hello.session in self._replaced and self._heard_at_ns is not None
        own = hello.session in {0, self.session}
        return not ended and not own and hello.frame_bytes_max >= FRAME_BYTES_MIN

    def _return_to(self, session: int) -> None:
        """A late hello of an ended session had replaced one that goes on. The peer has not left the
        session with us, so that ours must end: both windows begin anew."""
        self._replaced = tuple(one for one in self._replaced if one != session)
        self.session = next_session(self.session)

    def _adopt(self, hello: Hello, version: int, credit: int, now_ns: int) -> Iterator[Event]:
        if self._peer is not None:
            self._replaced = (*self._replaced, self._peer.session)[-REPLACED_MAX:]
        self._peer = replace(hello, extension=b"")
        self._version = version
        self._connected = False
        self._receiver.restart()
        self.clock.restart()
        self._readings.clear()
        self._tell = None
        self._ask_at_ns = now_ns
        self._hello_ns = HELLO_NS_MIN
        given_up = self._sender.restart(hello.message_bytes_max)
        self._sender.acknowledge(0, credit, 0, now_ns)
        self._count(messages_dropped=given_up)
        if given_up:
            yield LinkUndelivered(given_up)

    def _connect(self) -> Iterator[Event]:
        if not self._connected and self._peer is not None:
            restarted, self._was_connected = self._was_connected, True
            self._connected = True
            self._hello_at_ns = None
            yield LinkConnected(self._peer.session, self._version, self._frame_bytes, restarted)

    @property
    def _frame_bytes(self) -> int:
        peer = self._peer.frame_bytes_max if self._peer else 0xFFFF
        return min(peer, self.settings.frame_bytes_max)

    def _use(self, frame: Frame, now_ns: int) -> Iterator[Event]:
        held = decode_record("held", frame.payload) if frame.kind is FrameKind.ACK else None
        bitmap = held.bitmap if isinstance(held, Held) else 0
        said = (frame.acknowledged, frame.credit, bitmap, now_ns)
        again = frame.kind is FrameKind.ACK and frame.first
        if not self._sender.acknowledge(*said, again=again):
            yield LinkFault(FaultKind.WINDOW)
        if frame.kind is FrameKind.DATA:
            yield from self._events(self._receiver.take(frame, now_ns))
        elif frame.kind is FrameKind.TIME_ASK:
            ask = decode_record("time_ask", frame.payload)
            if isinstance(ask, TimeAsk):
                self._tell = (ask.asked_at_ns, now_ns)
        elif frame.kind is FrameKind.TIME_TELL:
            tell = decode_record("time_tell", frame.payload)
            if isinstance(tell, TimeTell):
                self.clock.add(tell.asked_at_ns, tell.heard_at_ns, tell.told_at_ns, now_ns)

    def _events(self, found: Iterator[bytes | FaultKind]) -> Iterator[Event]:
        for item in found:
            if isinstance(item, FaultKind):
                yield LinkFault(item)
                continue
            message = decode_message(item)
            if message is None:
                self._count(messages_refused=1)
                yield LinkFault(FaultKind.MESSAGE)
                continue
            if isinstance(message, Reading):
                yield from self._gaps(message)
            yield message

    def _gaps(self, reading: Reading) -> Iterator[Event]:
        first = self._readings.get(reading.stream, 0)
        missing = (reading.sequence - first) & 0xFFFFFFFF
        self._readings[reading.stream] = (reading.sequence + 1) & 0xFFFFFFFF
        # A number that was there before is the application's own restart of a stream.
        if 0 < missing < 1 << 31:
            yield LinkGap(reading.stream, first, missing)

    def next_bytes(self, now_ns: int) -> bytes:
        """The next frame to write to the port, empty where there is none to send now."""
        frame = self._next_frame(now_ns)
        if frame is None:
            return b""
        self._sent_at_ns = now_ns
        self._count(frames_sent=1)
        if frame.kind is FrameKind.HELLO or self._peer is None:
            # What the line picked up while it was quiet ends before a hello.
            return b"\0" + encode_frame(frame, 0)
        self._receiver.acknowledged()
        return encode_frame(frame, session_key(self.session, self._peer.session))

    def _next_frame(self, now_ns: int) -> Frame | None:
        if self._hello_at_ns is not None and self._hello_at_ns <= now_ns:
            return self._hello(now_ns)
        if not self._connected:
            return None
        ack_due = self._receiver.ack_at_ns is not None and self._receiver.ack_at_ns <= now_ns
        if ack_due and (self._receiver.bitmap or self._receiver.saw_again):
            return self._ack()
        frame = self._time_frame(now_ns) or self._data(now_ns)
        if frame is None and (ack_due or now_ns - self._sent_at_ns >= KEEP_ALIVE_NS):
            return self._ack()
        return frame

    def _frame(self, kind: FrameKind, payload: bytes) -> Frame:
        acknowledged = self._receiver.expected
        credit = min(self._receiver.credit, CREDIT_MAX)
        return Frame(
            kind=kind,
            version=self._version,
            sequence=0,
            acknowledged=acknowledged,
            credit=credit,
            payload=payload,
        )

    def _hello(self, now_ns: int) -> Frame:
        heard = self._connected and self._heard_at_ns is not None
        self._hello_at_ns = None if heard else now_ns + self._hello_ns
        self._hello_ns = min(2 * self._hello_ns, HELLO_NS_MAX)
        known = self._peer.session if self._peer else 0
        hello = Hello(
            version_min=VERSIONS[0],
            version_max=VERSIONS[1],
            session=self.session,
            peer_session=known,
            frame_bytes_max=self.settings.frame_bytes_max,
            message_bytes_max=self.settings.message_bytes_max,
            extension=b"",
        )
        return replace(self._frame(FrameKind.HELLO, encode_record(hello)), version=0)

    def _ack(self) -> Frame:
        frame = self._frame(FrameKind.ACK, encode_record(Held(self._receiver.bitmap)))
        return replace(frame, first=self._receiver.saw_again)

    def _time_frame(self, now_ns: int) -> Frame | None:
        if self._tell is not None:
            told = TimeTell(*self._tell, now_ns)
            self._tell = None
            return self._frame(FrameKind.TIME_TELL, encode_record(told))
        if self.settings.asks_time and self._ask_at_ns <= now_ns:
            self._ask_at_ns = now_ns + self.clock.ask_ns
            return self._frame(FrameKind.TIME_ASK, encode_record(TimeAsk(now_ns)))
        return None

    def _data(self, now_ns: int) -> Frame | None:
        slot = self._sender.next_frame(self._frame_bytes - OVERHEAD_BYTES, now_ns)
        if slot is None:
            return None
        self._count(frames_resent=slot.sends > 1)
        frame = self._frame(FrameKind.DATA, slot.payload)
        return replace(frame, sequence=slot.sequence, first=slot.first, last=slot.last)

    def wake_at_ns(self, now_ns: int) -> int:
        """When to call again at the latest, on the caller's clock; `now_ns` or earlier: at once."""
        times = [self._hello_at_ns]
        if self._connected:
            times += [self._sent_at_ns + KEEP_ALIVE_NS, self._receiver.ack_at_ns]
            times.append(self._sender.wake_at_ns(now_ns))
            times.append(self._ask_at_ns if self.settings.asks_time else None)
            times.append(now_ns if self._tell else None)
        if self._heard_at_ns is not None:
            times.append(self._heard_at_ns + SILENCE_NS)
        return min((at for at in times if at is not None), default=now_ns + HELLO_NS_MAX)

    def _count(self, **more: int) -> None:
        now = {name: getattr(self._counters, name) + by & 0xFFFFFFFF for name, by in more.items()}
        self._counters = replace(self._counters, **now)
