"""The receiving half of a link: reorders data frames and reassembles messages."""

from collections.abc import Iterator
from typing import Final

from .frames import FaultKind, Frame

# Delayed acknowledgements: with the second frame, as RFC 5681, section 4.2, or after this time,
# half of the sender's shortest timeout of 20 ms.
ACK_FRAMES_MAX: Final = 2
ACK_DELAY_NS: Final = 10_000_000  # see above


class Receiver:
    """Buffers at most `window` early frames, and one unfinished message of at most
    `message_bytes_max`."""

    def __init__(self, window: int, message_bytes_max: int) -> None:
        self._window = window
        self._message_bytes_max = message_bytes_max
        self.paused = False
        self.repeated = 0
        self.restart()

    def restart(self) -> None:
        """Begin a new session: the next frame is number 0."""
        self.expected = 0
        self._early: dict[int, Frame] = {}
        self._unfinished = bytearray()
        self._assembling = False
        self._too_long = False
        self._unacknowledged = 0
        self.duplicate_seen = False
        self.ack_at_ns: int | None = None

    @property
    def credit(self) -> int:
        """The number of frames accepted from the expected one on."""
        return 0 if self.paused else self._window

    @property
    def bitmap(self) -> int:
        """Bit i is set if frame expected + 1 + i has arrived."""
        return sum(
            1 << ((number - self.expected - 1) & 0xFFFF)
            for number in self._early
            if number != self.expected
        )

    def accept(self, frame: Frame, now_ns: int) -> Iterator[bytes | FaultKind]:
        """Process a data frame; yields the messages that it completes, and faults."""
        ahead = (frame.sequence - self.expected) & 0xFFFF
        if ahead >= 0x8000:
            self.repeated += 1
            self.ack_at_ns = now_ns
            self.duplicate_seen = True
        elif ahead >= self._window:
            self.ack_at_ns = now_ns
            yield FaultKind.WINDOW
        elif ahead or self.paused:
            duplicate = frame.sequence in self._early
            self.repeated += duplicate
            self.duplicate_seen = self.duplicate_seen or duplicate
            self._early.setdefault(frame.sequence, frame)
            self.ack_at_ns = now_ns
        else:
            self._early[frame.sequence] = frame
            yield from self.flush(now_ns)

    def flush(self, now_ns: int) -> Iterator[bytes | FaultKind]:
        """Yield the messages that are complete and in order."""
        while self.expected in self._early:
            frame = self._early.pop(self.expected)
            self.expected = (self.expected + 1) & 0xFFFF
            self._unacknowledged += 1
            yield from self._assemble(frame)
        if self._unacknowledged >= ACK_FRAMES_MAX or self._early:
            self.ack_at_ns = now_ns
        elif self._unacknowledged and self.ack_at_ns is None:
            self.ack_at_ns = now_ns + ACK_DELAY_NS

    def _assemble(self, frame: Frame) -> Iterator[bytes | FaultKind]:
        if frame.first == self._assembling:
            yield FaultKind.FRAGMENT
        if frame.first:
            self._unfinished.clear()
            self._assembling, self._too_long = True, False
        if not self._assembling:
            return
        if len(self._unfinished) + len(frame.payload) > self._message_bytes_max:
            self._too_long = True
            self._unfinished.clear()
        if not self._too_long:
            self._unfinished += frame.payload
        if frame.last:
            self._assembling = False
            yield FaultKind.FRAGMENT if self._too_long else bytes(self._unfinished)
            self._unfinished.clear()

    def acknowledged(self) -> None:
        """Note that the frame being sent carries an acknowledgement."""
        self._unacknowledged = 0
        self.duplicate_seen = False
        self.ack_at_ns = None
