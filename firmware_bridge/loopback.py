"""A wire in memory, with a clock of its own and seeded faults."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from .events import Event


@dataclass(frozen=True, slots=True)
class WireFaults:
    """How often what, as a share of 1: of the writes to the wire (each is one frame), or of the
    single bytes where `bytewise`."""

    damaged: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0
    bytewise: bool = False


class Wire:
    """One direction of a line. `byte_ns`: time a byte takes; `delay_ns`: time the line takes."""

    def __init__(
        self, seed: int, faults: WireFaults | None = None, *, byte_ns: int = 0, delay_ns: int = 0
    ) -> None:
        self._random = Random(seed)  # noqa: S311  (faults that can be seen again, no secret)
        self._faults = faults or WireFaults()
        self._byte_ns = byte_ns
        self._delay_ns = delay_ns
        self._travelling: deque[tuple[int, bytes]] = deque()
        self.free_at_ns = 0
        self.bytes_written = 0

    def write(self, data: bytes, now_ns: int) -> None:
        """Put bytes on the wire, after those that are still leaving."""
        self.bytes_written += len(data)
        self.free_at_ns = max(self.free_at_ns, now_ns) + len(data) * self._byte_ns
        arrives_ns = self.free_at_ns + self._delay_ns
        if self._faults.bytewise:
            spoiled = b"".join(self._spoil([bytes((byte,)) for byte in data]))
            self._travelling.append((arrives_ns, spoiled))
            return
        self._travelling.extend((arrives_ns, piece) for piece in self._spoil([data]))
        if self._chance(self._faults.reordered):
            self._swap_last()

    def _chance(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _swap_last(self) -> None:
        if len(self._travelling) > 1:
            second_at, second = self._travelling.pop()
            first_at, first = self._travelling.pop()
            self._travelling.extend([(first_at, second), (second_at, first)])

    def _spoil(self, pieces: list[bytes]) -> list[bytes]:
        spoiled: list[bytes] = []
        for piece in pieces:
            if self._chance(self._faults.lost):
                continue
            spoiled.append(self._damage(piece) if self._chance(self._faults.damaged) else piece)
            if self._chance(self._faults.doubled):
                spoiled.append(spoiled[-1])
            if self._faults.bytewise and len(spoiled) > 1 and self._chance(self._faults.reordered):
                spoiled[-2:] = [spoiled[-1], spoiled[-2]]
        return spoiled

    def _damage(self, piece: bytes) -> bytes:
        place = self._random.randrange(len(piece))
        other = piece[place] ^ self._random.randrange(1, 256)
        return piece[:place] + bytes((other,)) + piece[place + 1 :]

    def read(self, now_ns: int) -> bytes:
        """What has arrived by now."""
        arrived = []
        while self._travelling and self._travelling[0][0] <= now_ns:
            arrived.append(self._travelling.popleft()[1])
        return b"".join(arrived)

    @property
    def arrives_at_ns(self) -> int | None:
        """When the next bytes arrive, None where none are on their way."""
        return self._travelling[0][0] if self._travelling else None


class End(Protocol):
    """What talks over a wire: a Link, or anything that behaves like one."""

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
    """Two ends, the wires between them, and the time. `heard`: what each end reported."""

    def __init__(self, ends: tuple[End, End], wires: tuple[Wire, Wire], now_ns: int = 0) -> None:
        self.ends = list(ends)
        self._wires = wires
        self.now_ns = now_ns
        self.heard: tuple[list[Event], list[Event]] = ([], [])

    def run(self, until: Callable[[], bool], ns_max: int) -> bool:
        """Let time pass until something holds; False where it does not within `ns_max`."""
        stop_ns = self.now_ns + ns_max
        while not until():
            if self.now_ns >= stop_ns:
                return False
            self._pass_time()
            self._act()
        return True

    def _pass_time(self) -> None:
        """Go on to when something happens next."""
        times = [at for wire in self._wires if (at := wire.arrives_at_ns) is not None]
        for end, wire in zip(self.ends, self._wires, strict=True):
            times.append(max(end.wake_at_ns(self.now_ns), wire.free_at_ns))
        self.now_ns = max(min(times), self.now_ns + 1)

    def _act(self) -> None:
        """Everything that happens now."""
        for side, end in enumerate(self.ends):
            data = self._wires[1 - side].read(self.now_ns)
            self.heard[side].extend(end.receive(data, self.now_ns))
            while self._wires[side].free_at_ns <= self.now_ns:
                sent = end.next_bytes(self.now_ns)
                if not sent:
                    break
                self._wires[side].write(sent, self.now_ns)
