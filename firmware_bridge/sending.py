"""The sending half of a link: queues messages, fragments them, and keeps frames until acknowledged.

Losses are detected by the order of transmissions (RACK, RFC 8985, section 3, counted in frames) and
by a retransmission timer that follows the round trip (RFC 6298, sections 2 and 3).  The timer backs
off on silence and on spurious retransmissions, but not on losses: on a serial line they are noise,
not congestion.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from .codec import survives

WINDOW_MAX: Final = 32  # the u32 bitmap of a selective_ack

ROUND_TRIP_START_NS: Final = (
    1_000_000_000  # RFC 6298, section 2.1: 1 s before the first measurement
)

RESEND_NS_MIN: Final = 20_000_000
"""Twice the delay of acknowledgements, where RFC 6298 has 1 s for the Internet."""

RESEND_NS_MAX: Final = 4_000_000_000
"""Below the silence of 5 s, so that a live link retransmits before it reports silence."""

BACKOFF_MAX: Final = 8  # 20 ms doubled eight times exceeds the maximum of 4 s
SILENT_BACKOFF_MAX: Final = 2
"""Silence at most quadruples the timeout, so that a line recovers quickly after a break.  Chosen by
hand; effect not measured."""

# Of 16 transmissions, 8 losses halve the fragments and at most 1 doubles them.  Chosen with
# `python -m benchmarks bridge`: docs/explanation/wire.md has the throughput with and without.
TRIES: Final = 16
LOSSES_MANY: Final = 8  # see above
LOSSES_FEW: Final = 1  # see above

SHRINK_MAX: Final = 3  # an eighth: frames of 256 bytes become fragments of FRAGMENT_BYTES_MIN
FRAGMENT_BYTES_MIN: Final = 32
"""With 14 bytes of overhead a shorter fragment would carry little.  At 1 % of corrupt bytes, 46
bytes on the wire arrive six times in ten (docs/explanation/wire.md)."""

OVERTAKEN_MAX: Final = 2
"""Later transmissions that may overtake a frame: the third proves its loss, as the three duplicate
acknowledgements of RFC 5681, section 3.2."""


@dataclass(slots=True, kw_only=True)
class SendSlot:
    """A data frame from its first transmission to its acknowledgement."""

    sequence: int
    payload: bytes
    first: bool
    last: bool
    message: bytes
    order: int = 0
    sent_at_ns: int = 0
    sends: int = 0
    held: bool = False
    due: bool = True


class RoundTrip:
    """The retransmission timeout, in integers (RFC 6298)."""

    def __init__(self) -> None:
        self._smoothed_ns = 0
        self._deviation_ns = 0
        self._backoff = 0

    @property
    def measured(self) -> bool:
        """True after the first measurement."""
        return self._smoothed_ns > 0

    @property
    def resend_ns(self) -> int:
        """The time after which a transmission counts as lost."""
        wait = self._smoothed_ns + 4 * self._deviation_ns or ROUND_TRIP_START_NS
        return min(max(wait, RESEND_NS_MIN) << self._backoff, RESEND_NS_MAX)

    def measure(self, took_ns: int) -> None:
        """Add the round trip of a frame that was sent once (Karn's algorithm)."""
        self._backoff = 0
        if not self._smoothed_ns:
            self._smoothed_ns, self._deviation_ns = took_ns, took_ns // 2
            return
        off = abs(took_ns - self._smoothed_ns)
        self._deviation_ns += (off - self._deviation_ns) // 4
        self._smoothed_ns += (took_ns - self._smoothed_ns) // 8

    def slow_down_in_silence(self) -> None:
        """Double the timeout, within limits: the timer expired and nothing arrived meanwhile."""
        self._backoff = max(self._backoff, min(self._backoff + 1, SILENT_BACKOFF_MAX))

    def slow_down(self) -> None:
        """Quadruple the timeout: a retransmission was spurious."""
        self._backoff = min(self._backoff + 2, BACKOFF_MAX)

    def speed_up(self) -> None:
        """Halve the timeout: an acknowledgement arrived."""
        self._backoff = max(self._backoff - 1, 0)


class FragmentSize:
    """The size of fragments, halved on a noisy line: if one byte in a hundred is corrupt, a long
    frame hardly ever arrives.  Starts small, and grows once frames arrive."""

    def __init__(self) -> None:
        self._shrink = SHRINK_MAX
        self._tries = self._losses = 0

    def fitting(self, bytes_max: int) -> int:
        """Return the size of fragments that may have at most `bytes_max` bytes."""
        return min(bytes_max, max(bytes_max >> self._shrink, FRAGMENT_BYTES_MIN))

    def record(self, *, lost: bool) -> None:
        """Record the outcome of a transmission."""
        self._tries, self._losses = self._tries + 1, self._losses + lost
        if self._tries < TRIES:
            return
        if self._losses >= LOSSES_MANY and self._shrink < SHRINK_MAX:
            self._shrink += 1
        elif self._losses <= LOSSES_FEW and self._shrink:
            self._shrink -= 1
        self._tries = self._losses = 0


class Sender:
    """Queues messages in order, at most `queue_bytes_max` bytes, with at most WINDOW_MAX frames in
    flight."""

    def __init__(self, queue_bytes_max: int) -> None:
        self._queue_bytes_max = queue_bytes_max
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._cut = 0
        self._slots: deque[SendSlot] = deque()
        self._round_trip = RoundTrip()
        self._restart_window()

    def _restart_window(self) -> None:
        self._next = 0
        self._limit = 0
        self._order = 0
        self._heard = False
        self._size = FragmentSize()

    @property
    def idle(self) -> bool:
        """True if everything was acknowledged."""
        return not self._slots and not self._queue

    def offer(self, message: bytes) -> bool:
        """Queue an encoded message; returns False, and drops it, without room."""
        if self._queued_bytes + len(message) > self._queue_bytes_max:
            return False
        self._queue.append(message)
        self._queued_bytes += len(message)
        return True

    def restart(self, message_bytes_max: int) -> int:
        """Restart for a peer without state: queue unacknowledged messages again if their kind
        allows it and no part was acknowledged.  Returns the number of dropped messages, including
        those too long for the peer."""
        begun = [slot for slot in self._slots if slot.first]
        split = not self._slots[0].first if self._slots else bool(self._cut)
        if self._cut:
            self._queue.popleft()
        waiting = [*(slot.message for slot in begun), *self._queue]
        # A message that was not sent at all is queued whatever its kind.
        again = [
            message
            for place, message in enumerate(waiting)
            if (place >= len(begun) or survives(message)) and len(message) <= message_bytes_max
        ]
        given_up = len(waiting) - len(again) + split
        self._slots.clear()
        self._queue = deque(again)
        self._queued_bytes = sum(map(len, again))
        self._cut = 0
        self._restart_window()
        return given_up

    def acknowledge(
        self, expected: int, credit: int, bitmap: int, now_ns: int, *, duplicate: bool = False
    ) -> bool:
        """Process an acknowledgement: the peer has everything before `expected` and the frames of
        the bitmap, and accepts `credit` frames.  Returns False if it names frames that were never
        sent. duplicate: the peer received a frame twice."""
        behind = (self._next - expected) & 0xFFFF
        if behind > len(self._slots):
            # An older acknowledgement that was overtaken is valid.
            return behind < 0x8000
        self._heard = True
        self._limit = (expected + min(credit, WINDOW_MAX)) & 0xFFFF
        taken = len(self._slots) - behind
        places = [p for p in range(taken + 1, len(self._slots)) if bitmap >> (p - taken - 1) & 1]
        orders = [self._arrived(self._slots[place], now_ns) for place in (*range(taken), *places)]
        newest = max(orders, default=0)
        for slot in (self._slots.popleft() for _ in range(taken)):
            self._queued_bytes -= len(slot.message) if slot.last else 0
        for slot in self._slots:
            slot.due = slot.due or (not slot.held and slot.order + OVERTAKEN_MAX < newest)
        if duplicate:
            self._round_trip.slow_down()
        return True

    def _arrived(self, slot: SendSlot, now_ns: int) -> int:
        """Mark a slot as arrived; returns the order of its last transmission, 0 if it was marked
        before."""
        if slot.held:
            return 0
        slot.held, slot.due = True, False
        self._size.record(lost=False)
        # After retransmissions the round trip is ambiguous; it is used only without any other.
        if slot.sends == 1 or not self._round_trip.measured:
            self._round_trip.measure(max(now_ns - slot.sent_at_ns, 1))
        else:
            self._round_trip.speed_up()
        return slot.order

    def next_frame(self, fragment_bytes: int, now_ns: int) -> SendSlot | None:
        """Return the frame to transmit now, None if none is due or the window is full."""
        self._expire(now_ns)
        due = next((slot for slot in self._slots if slot.due), None)
        slot = due or self._cut_next(self._size.fitting(fragment_bytes))
        if due is not None:
            self._size.record(lost=True)
        if slot is not None:
            self._order += 1
            slot.order, slot.sent_at_ns, slot.due = self._order, now_ns, False
            slot.sends += 1
        return slot

    def _expire(self, now_ns: int) -> None:
        wait = self._round_trip.resend_ns
        late = [s for s in self._slots if self._waiting(s) and s.sent_at_ns + wait <= now_ns]
        for slot in late:
            slot.due = True
        if late and not self._heard:
            self._round_trip.slow_down_in_silence()
        if late:
            self._heard = False

    @staticmethod
    def _waiting(slot: SendSlot) -> bool:
        return not slot.held and not slot.due

    def _cut_next(self, fragment_bytes: int) -> SendSlot | None:
        room = (self._limit - self._next) & 0xFFFF
        if not self._queue or not 0 < room <= WINDOW_MAX or len(self._slots) >= WINDOW_MAX:
            return None
        message = self._queue[0]
        end = self._cut + fragment_bytes
        payload = message[self._cut : end]
        slot = SendSlot(
            sequence=self._next,
            payload=payload,
            first=self._cut == 0,
            last=end >= len(message),
            message=message,
        )
        self._cut = 0 if slot.last else end
        if slot.last:
            self._queue.popleft()
        self._next = (self._next + 1) & 0xFFFF
        self._slots.append(slot)
        return slot

    def wake_at_ns(self, now_ns: int) -> int | None:
        """Return when the next transmission is due, None if only an event can cause one."""
        room = (self._limit - self._next) & 0xFFFF
        sendable = self._queue and 0 < room <= WINDOW_MAX and len(self._slots) < WINDOW_MAX
        if sendable or any(slot.due for slot in self._slots):
            return now_ns
        sent = [slot.sent_at_ns for slot in self._slots if self._waiting(slot)]
        return min(sent) + self._round_trip.resend_ns if sent else None
