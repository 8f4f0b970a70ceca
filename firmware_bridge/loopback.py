"""A simulated line in memory, with virtual time and seeded faults."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from .events import Event


@dataclass(frozen=True, slots=True)
class WireFaults:
    """Fault rates from 0 to 1: of the writes to the wire (each is one frame), or of single bytes if
    `bytewise`."""

    damaged: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0
    bytewise: bool = False


class Wire:
    """One direction of a line.  byte_ns: time per byte; delay_ns: propagation delay."""

    def __init__(
        self, seed: int, faults: WireFaults | None = None, *, byte_ns: int = 0, delay_ns: int = 0
    ) -> None:
        self._random = Random(seed)  # noqa: S311  (reproducible faults, no secret)
        self._faults = faults or WireFaults()
        self._byte_ns = byte_ns
        self._delay_ns = delay_ns
        self._in_flight: deque[tuple[int, bytes]] = deque()
        self.free_at_ns = 0
        self.bytes_written = 0

    def write(self, data: bytes, now_ns: int) -> None:
        """Put bytes on the wire, after those that are still being sent."""
        self.bytes_written += len(data)
        self.free_at_ns = max(self.free_at_ns, now_ns) + len(data) * self._byte_ns
        arrives_ns = self.free_at_ns + self._delay_ns
        if self._faults.bytewise:
            corrupted = b"".join(self._corrupt([bytes((byte,)) for byte in data]))
            self._in_flight.append((arrives_ns, corrupted))
            return
        self._in_flight.extend((arrives_ns, piece) for piece in self._corrupt([data]))
        if self._chance(self._faults.reordered):
            self._swap_last()

    def _chance(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _swap_last(self) -> None:
        if len(self._in_flight) > 1:
            second_at, second = self._in_flight.pop()
            first_at, first = self._in_flight.pop()
            self._in_flight.extend([(first_at, second), (second_at, first)])

    def _corrupt(self, pieces: list[bytes]) -> list[bytes]:
        corrupted: list[bytes] = []
        for piece in pieces:
            if self._chance(self._faults.lost):
                continue
            corrupted.append(self._damage(piece) if self._chance(self._faults.damaged) else piece)
            if self._chance(self._faults.doubled):
                corrupted.append(corrupted[-1])
            swaps = self._faults.bytewise and len(corrupted) > 1
            if swaps and self._chance(self._faults.reordered):
                corrupted[-2:] = [corrupted[-1], corrupted[-2]]
        return corrupted

    def _damage(self, piece: bytes) -> bytes:
        place = self._random.randrange(len(piece))
        other = piece[place] ^ self._random.randrange(1, 256)
        return piece[:place] + bytes((other,)) + piece[place + 1 :]

    def read(self, now_ns: int) -> bytes:
        """Return the bytes that have arrived."""
        arrived = []
        while self._in_flight and self._in_flight[0][0] <= now_ns:
            arrived.append(self._in_flight.popleft()[1])
        return b"".join(arrived)

    @property
    def arrives_at_ns(self) -> int | None:
        """When the next bytes arrive, None if none are in flight."""
        return self._in_flight[0][0] if self._in_flight else None


class Endpoint(Protocol):
    """A user of a wire: a Link, or an object with the same methods."""

    def receive(self, data: bytes, now_ns: int) -> tuple[Event, ...]:
        """As Link.receive."""
        ...

    def next_bytes(self, now_ns: int) -> bytes:
        """As Link.next_bytes."""
        ...

    def wake_at_ns(self, now_ns: int) -> int:
        """As Link.wake_at_ns."""
        ...


class Loopback:
    """Two endpoints, the wires between them, and virtual time.  received: the events of each."""

    def __init__(
        self, ends: tuple[Endpoint, Endpoint], wires: tuple[Wire, Wire], now_ns: int = 0
    ) -> None:
        self.ends = list(ends)
        self._wires = wires
        self.now_ns = now_ns
        self.received: tuple[list[Event], list[Event]] = ([], [])

    def run(self, until: Callable[[], bool], ns_max: int) -> bool:
        """Advance time until a condition holds; returns False if it does not within `ns_max`."""
        stop_ns = self.now_ns + ns_max
        while not until():
            if self.now_ns >= stop_ns:
                return False
            self._pass_time()
            self._act()
        return True

    def _pass_time(self) -> None:
        """Advance to the next event."""
        times = [at for wire in self._wires if (at := wire.arrives_at_ns) is not None]
        for end, wire in zip(self.ends, self._wires, strict=True):
            times.append(max(end.wake_at_ns(self.now_ns), wire.free_at_ns))
        self.now_ns = max(min(times), self.now_ns + 1)

    def _act(self) -> None:
        """Do everything that is due now."""
        for side, end in enumerate(self.ends):
            data = self._wires[1 - side].read(self.now_ns)
            self.received[side].extend(end.receive(data, self.now_ns))
            while self._wires[side].free_at_ns <= self.now_ns:
                sent = end.next_bytes(self.now_ns)
                if not sent:
                    break
                self._wires[side].write(sent, self.now_ns)
