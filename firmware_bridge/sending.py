"""The sending half of a link: messages wait, are cut into frames, and stay until acknowledged.

What is lost is told from what is late by the order of transmissions (RACK, RFC 8985, section 3,
counted in frames), and by a timer that follows the round trip (RFC 6298, sections 2 and 3). The
timer is slowed down not by losses, which are the line's own, but by silence and by signs that a
frame was sent again too early.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from .codec import survives

WINDOW_MAX: Final = 32
ROUND_TRIP_START_NS: Final = 1_000_000_000
RESEND_NS_MIN: Final = 20_000_000
RESEND_NS_MAX: Final = 4_000_000_000
BACKOFF_MAX: Final = 8
SILENT_BACKOFF_MAX: Final = 2
# Of so many transmissions, at least and at most so many lost halve and double the fragments.
TRIES: Final = 16
LOSSES_MANY: Final = 8
LOSSES_FEW: Final = 1
SHRINK_MAX: Final = 3
FRAGMENT_BYTES_MIN: Final = 32
# So many later transmissions must have arrived before a frame counts as lost and not as overtaken.
OVERTAKEN_MAX: Final = 2


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
    """The time to wait for an acknowledgement, in integers."""

    def __init__(self) -> None:
        self._smoothed_ns = 0
        self._deviation_ns = 0
        self._backoff = 0

    @property
    def measured(self) -> bool:
        """Whether anything is known."""
        return self._smoothed_ns > 0

    @property
    def resend_ns(self) -> int:
        """How long after a transmission it is taken for lost."""
        wait = self._smoothed_ns + 4 * self._deviation_ns or ROUND_TRIP_START_NS
        return min(max(wait, RESEND_NS_MIN) << self._backoff, RESEND_NS_MAX)

    def measure(self, took_ns: int) -> None:
        """A frame that was sent once took so long to be acknowledged."""
        self._backoff = 0
        if not self._smoothed_ns:
            self._smoothed_ns, self._deviation_ns = took_ns, took_ns // 2
            return
        off = abs(took_ns - self._smoothed_ns)
        self._deviation_ns += (off - self._deviation_ns) // 4
        self._smoothed_ns += (took_ns - self._smoothed_ns) // 8

    def slow_down_in_silence(self) -> None:
        """The timer ran out and nothing was heard meanwhile: wait twice as long, within limits."""
        self._backoff = max(self._backoff, min(self._backoff + 1, SILENT_BACKOFF_MAX))

    def slow_down(self) -> None:
        """A frame was sent again too early: wait four times as long."""
        self._backoff = min(self._backoff + 2, BACKOFF_MAX)

    def speed_up(self) -> None:
        """Something arrived after all; wait half as long as before."""
        self._backoff = max(self._backoff - 1, 0)


class FragmentSize:
    """How far fragments are halved, so that frames are short where the line spoils most long ones:
    a long frame on a line that damages one byte in a hundred hardly ever arrives whole. A line is
    bad until it has shown otherwise."""

    def __init__(self) -> None:
        self._shrink = SHRINK_MAX
        self._tries = self._losses = 0

    def fitting(self, bytes_max: int) -> int:
        """The size to cut messages to, of at most so many bytes."""
        return min(bytes_max, max(bytes_max >> self._shrink, FRAGMENT_BYTES_MIN))

    def judge(self, *, lost: bool) -> None:
        """A transmission was lost, or has arrived."""
        self._tries, self._losses = self._tries + 1, self._losses + lost
        if self._tries < TRIES:
            return
        if self._losses >= LOSSES_MANY and self._shrink < SHRINK_MAX:
            self._shrink += 1
        elif self._losses <= LOSSES_FEW and self._shrink:
            self._shrink -= 1
        self._tries = self._losses = 0


class Sender:
    """Messages wait in order, at most `queue_bytes_max` of them; at most WINDOW_MAX frames are on
    their way."""

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
        """Whether everything was acknowledged."""
        return not self._slots and not self._queue

    def offer(self, message: bytes) -> bool:
        """Queue an encoded message; False where there is no room, and nothing was kept."""
        if self._queued_bytes + len(message) > self._queue_bytes_max:
            return False
        self._queue.append(message)
        self._queued_bytes += len(message)
        return True

    def restart(self, message_bytes_max: int) -> int:
        """A peer that knows nothing yet: what had not been acknowledged is sent to it, as far as
        its kind allows and it was not partly acknowledged. Returns how many messages were given
        up, those too long for the peer included."""
        begun = [slot for slot in self._slots if slot.first]
        split = not self._slots[0].first if self._slots else bool(self._cut)
        if self._cut:
            self._queue.popleft()
        waiting = [*(slot.message for slot in begun), *self._queue]
        # A message of which nothing was sent is as good as new, whatever its kind.
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
        self, expected: int, credit: int, bitmap: int, now_ns: int, *, again: bool = False
    ) -> bool:
        """The peer has everything before `expected`, holds the frames of the bitmap, and takes
        `credit` frames. False where it speaks of frames that were never sent.
        again: it has received a frame for the second time."""
        behind = (self._next - expected) & 0xFFFF
        if behind > len(self._slots):
            # An older acknowledgement that was overtaken is no fault.
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
        if again:
            self._round_trip.slow_down()
        return True

    def _arrived(self, slot: SendSlot, now_ns: int) -> int:
        """The order of the transmission that is known to have arrived, 0 if that is old news."""
        if slot.held:
            return 0
        slot.held, slot.due = True, False
        self._size.judge(lost=False)
        # Of several transmissions any may be the one that arrived; the first measure is a guess.
        if slot.sends == 1 or not self._round_trip.measured:
            self._round_trip.measure(max(now_ns - slot.sent_at_ns, 1))
        else:
            self._round_trip.speed_up()
        return slot.order

    def next_frame(self, fragment_bytes: int, now_ns: int) -> SendSlot | None:
        """The frame to transmit now, None where there is none or the window is full."""
        self._expire(now_ns)
        again = next((slot for slot in self._slots if slot.due), None)
        slot = again or self._cut_next(self._size.fitting(fragment_bytes))
        if again is not None:
            self._size.judge(lost=True)
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
        """When there will be something to transmit again, None as long as nothing happens."""
        room = (self._limit - self._next) & 0xFFFF
        sendable = self._queue and 0 < room <= WINDOW_MAX and len(self._slots) < WINDOW_MAX
        if sendable or any(slot.due for slot in self._slots):
            return now_ns
        sent = [slot.sent_at_ns for slot in self._slots if self._waiting(slot)]
        return min(sent) + self._round_trip.resend_ns if sent else None
