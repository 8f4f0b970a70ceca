"""A sans-I/O link to a microcontroller: bytes in, events out; messages in, bytes out; time is an
argument.

docs/explanation/wire.md describes the protocol.  c/auricle_link.c is the same link in C.
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
from .records import Counters, Hello, Message, Reading, SelectiveAck, TimeReply, TimeRequest
from .sending import WINDOW_MAX, Sender

# Hellos start at four a second and double to one in two seconds: a peer is found at once, and a
# silent line carries 20 bytes a second.  Chosen by hand; effect not measured.
HELLO_NS_MIN: Final = 250_000_000
HELLO_NS_MAX: Final = 2_000_000_000  # see above

KEEP_ALIVE_NS: Final = 1_000_000_000  # several a silence, so that one lost ack raises no alarm

SILENCE_NS: Final = 5_000_000_000
"""Five missed keep-alives; longer than the longest retransmission timeout of 4 s."""

REPLACED_MAX: Final = 2
"""Ended sessions whose late hellos are ignored: a line rarely delays more than one restart.  Chosen
by hand; effect not measured."""

LENGTH_MAX: Final = 0xFFFFFFFF  # the u32 of `message_bytes_max` in a hello


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The limits of one side of a link.

    frame_bytes_max: longest frame accepted or sent (64 to 65535); window: data frames that the peer
    may have in flight (1 to 32); message_bytes_max: longest message; queue_bytes_max: messages
    waiting or in flight (both 1 to 4294967295); sync_clock: track the peer's clock.
    """

    frame_bytes_max: int = 1024
    window: int = WINDOW_MAX
    message_bytes_max: int = 1 << 20
    queue_bytes_max: int = 1 << 21
    sync_clock: bool = True

    def __post_init__(self) -> None:
        ranges = {
            "frame_bytes_max": (self.frame_bytes_max, FRAME_BYTES_MIN, 0xFFFF),
            "window": (self.window, 1, WINDOW_MAX),
            "message_bytes_max": (self.message_bytes_max, 1, LENGTH_MAX),
            "queue_bytes_max": (self.queue_bytes_max, 1, LENGTH_MAX),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                message = f"setting up a link: expected {name} from {low} to {high}, found {value}"
                raise MessageError(message, "choose a value in that range")


class Link:
    """One side of a link; the protocol is symmetric.

    session: 1 to 2^32 - 1, different after each start of the program (a random number, or a counter
    in flash).  Call `receive` with the bytes from the port, and without bytes when `wake_at_ns` has
    passed; then write `next_bytes` until it is empty.  The settings bound the memory for any
    input.
    """

    def __init__(self, session: int, settings: LinkSettings | None = None) -> None:
        if not 0 < session < 1 << 32:
            message = f"opening a link: expected a session from 1 to 4294967295, found {session}"
            raise MessageError(message, "draw a random number, or count starts in flash")
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
        self._time_request: tuple[int, int] | None = None
        self._hello_ns = HELLO_NS_MIN
        self._hello_at_ns: int | None = 0
        self._request_at_ns = 0
        self._sent_at_ns = 0
        self._heard_at_ns: int | None = None

    @property
    def connected(self) -> bool:
        """True if both sides know each other's session."""
        return self._connected

    @property
    def idle(self) -> bool:
        """True if the peer has acknowledged everything."""
        return self._sender.idle

    @property
    def counters(self) -> Counters:
        """The counters of this side since its start."""
        return replace(self._counters, frames_repeated=self._receiver.repeated)

    def send(self, message: Message) -> bool:
        """Queue a message; returns False, and drops it, if the queue is full.  Raises MessageError
        if its table does not allow it or it is too long for the peer."""
        data = encode_message(message)
        accepted = self._peer.message_bytes_max if self._peer else LENGTH_MAX
        if len(data) > accepted:
            found = f"sending a message: the peer accepts {accepted} bytes, found {len(data)}"
            raise MessageError(found, "send shorter messages")
        if len(data) > self.settings.queue_bytes_max:
            room = self.settings.queue_bytes_max
            found = f"sending a message: the queue holds {room} bytes, found {len(data)}"
            raise MessageError(found, f"send at most {room} bytes, or raise queue_bytes_max")
        kept = self._sender.offer(data)
        self._count(messages_dropped=not kept)
        return kept

    def pause(self) -> None:
        """Stop delivery until `resume`, and withdraw the peer's credit."""
        self._receiver.paused = True

    def resume(self, now_ns: int) -> tuple[Event, ...]:
        """Resume delivery with the messages that arrived in the meantime."""
        self._receiver.paused = False
        self._receiver.ack_at_ns = now_ns
        return tuple(self._events(self._receiver.flush(now_ns)))

    def receive(self, data: bytes, now_ns: int) -> tuple[Event, ...]:
        """Process received bytes and the current time, and return the events.  Accepts any
        bytes."""
        events: list[Event] = []
        for block in self._deframer.push(data):
            events += self._process_block(block, now_ns)
        if self._heard_at_ns is not None and now_ns - self._heard_at_ns >= SILENCE_NS:
            events.append(LinkSilent(self._heard_at_ns))
            self._heard_at_ns = None
            self._hello_at_ns = now_ns
        return tuple(events)

    def _process_block(self, block: bytes | FaultKind, now_ns: int) -> Iterator[Event]:
        key = session_key(self._peer.session, self.session) if self._peer else None
        frame = decode_frame(block, key) if isinstance(block, bytes) else block
        if isinstance(frame, Frame) and frame.kind is FrameKind.HELLO:
            yield from self._process_hello(frame, now_ns)
        elif isinstance(frame, Frame) and frame.version != self._version:
            yield self._damaged(FaultKind.VERSION)
        elif isinstance(frame, Frame):
            self._count(frames_received=1)
            self._heard_at_ns = now_ns
            yield from self._connect()
            self._hello_ns = HELLO_NS_MIN
            yield from self._process_frame(frame, now_ns)
        else:
            yield self._damaged(frame)

    def _damaged(self, kind: FaultKind) -> LinkFault:
        self._count(frames_damaged=1)
        return LinkFault(kind)

    def _process_hello(self, frame: Frame, now_ns: int) -> Iterator[Event]:
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
        """Reject echoes of our own hello, and hellos of a replaced session while its successor is
        active."""
        ended = hello.session in self._replaced and self._heard_at_ns is not None
        own = hello.session in {0, self.session}
        return not ended and not own and hello.frame_bytes_max >= FRAME_BYTES_MIN

    def _return_to(self, session: int) -> None:
        """A late hello of an ended session replaced an active one.  The peer is still in the
        session with us, so ours must end: both windows restart."""
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
        self._time_request = None
        self._request_at_ns = now_ns
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

    def _process_frame(self, frame: Frame, now_ns: int) -> Iterator[Event]:
        is_ack = frame.kind is FrameKind.ACK
        ack = decode_record("selective_ack", frame.payload) if is_ack else None
        bitmap = ack.bitmap if isinstance(ack, SelectiveAck) else 0
        state = (frame.acknowledged, frame.credit, bitmap, now_ns)
        duplicate = frame.kind is FrameKind.ACK and frame.first
        if not self._sender.acknowledge(*state, duplicate=duplicate):
            yield LinkFault(FaultKind.WINDOW)
        if frame.kind is FrameKind.DATA:
            yield from self._events(self._receiver.accept(frame, now_ns))
        elif frame.kind is FrameKind.TIME_REQUEST:
            request = decode_record("time_request", frame.payload)
            if isinstance(request, TimeRequest):
                self._time_request = (request.requested_at_ns, now_ns)
        elif frame.kind is FrameKind.TIME_REPLY:
            reply = decode_record("time_reply", frame.payload)
            if isinstance(reply, TimeReply):
                peer = (reply.received_at_ns, reply.replied_at_ns)
                self.clock.add(reply.requested_at_ns, *peer, now_ns)

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
        # A lower number means that the application restarted the stream.
        if 0 < missing < 1 << 31:
            yield LinkGap(reading.stream, first, missing)

    def next_bytes(self, now_ns: int) -> bytes:
        """Return the next frame to write to the port, empty if none is due."""
        frame = self._next_frame(now_ns)
        if frame is None:
            return b""
        self._sent_at_ns = now_ns
        self._count(frames_sent=1)
        if frame.kind is FrameKind.HELLO or self._peer is None:
            # The zero ends noise that the idle line picked up before the hello.
            return b"\0" + encode_frame(frame, 0)
        self._receiver.acknowledged()
        return encode_frame(frame, session_key(self.session, self._peer.session))

    def _next_frame(self, now_ns: int) -> Frame | None:
        if self._hello_at_ns is not None and self._hello_at_ns <= now_ns:
            return self._hello(now_ns)
        if not self._connected:
            return None
        ack_due = self._receiver.ack_at_ns is not None and self._receiver.ack_at_ns <= now_ns
        if ack_due and (self._receiver.bitmap or self._receiver.duplicate_seen):
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
        frame = self._frame(FrameKind.ACK, encode_record(SelectiveAck(self._receiver.bitmap)))
        return replace(frame, first=self._receiver.duplicate_seen)

    def _time_frame(self, now_ns: int) -> Frame | None:
        if self._time_request is not None:
            reply = TimeReply(*self._time_request, now_ns)
            self._time_request = None
            return self._frame(FrameKind.TIME_REPLY, encode_record(reply))
        if self.settings.sync_clock and self._request_at_ns <= now_ns:
            self._request_at_ns = now_ns + self.clock.request_interval_ns
            return self._frame(FrameKind.TIME_REQUEST, encode_record(TimeRequest(now_ns)))
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
            times.append(self._request_at_ns if self.settings.sync_clock else None)
            times.append(now_ns if self._time_request else None)
        if self._heard_at_ns is not None:
            times.append(self._heard_at_ns + SILENCE_NS)
        return min((at for at in times if at is not None), default=now_ns + HELLO_NS_MAX)

    def _count(self, **more: int) -> None:
        now = {name: getattr(self._counters, name) + by & 0xFFFFFFFF for name, by in more.items()}
        self._counters = replace(self._counters, **now)
