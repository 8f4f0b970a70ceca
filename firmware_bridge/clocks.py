"""The peer's clock as seen from ours (the exchange of RFC 5905, section 8)."""

from collections import deque
from typing import Final

EXCHANGES_MAX: Final = 16
EXCHANGES_FIRST: Final = 4
ASK_FIRST_NS: Final = 200_000_000
ASK_NS: Final = 10_000_000_000


class PeerClock:
    """Estimates the peer's clock from questions and answers.

    The exchange with the shortest round trip among the last 16 counts; its error is at most half
    of that round trip, plus what the clocks drifted apart since.
    """

    def __init__(self) -> None:
        self._exchanges: deque[tuple[int, int]] = deque(maxlen=EXCHANGES_MAX)

    def add(self, asked_ns: int, heard_ns: int, told_ns: int, answered_ns: int) -> bool:
        """Take an exchange: asked and answered by our clock, heard and told by the peer's. False
        where it cannot be true."""
        round_trip = (answered_ns - asked_ns) - (told_ns - heard_ns)
        if round_trip < 0 or told_ns < heard_ns:
            return False
        offset = ((heard_ns - asked_ns) + (told_ns - answered_ns)) // 2
        self._exchanges.append((round_trip, offset))
        return True

    def restart(self) -> None:
        """The peer's clock may have started anew."""
        self._exchanges.clear()

    @property
    def ask_ns(self) -> int:
        """How long to wait before the next question."""
        return ASK_NS if len(self._exchanges) >= EXCHANGES_FIRST else ASK_FIRST_NS

    @property
    def offset_ns(self) -> int | None:
        """The peer's clock minus ours, None before the first exchange."""
        return min(self._exchanges)[1] if self._exchanges else None

    @property
    def error_ns(self) -> int | None:
        """Half of the round trip behind `offset_ns`."""
        return min(self._exchanges)[0] // 2 if self._exchanges else None

    def local_ns(self, peer_ns: int) -> int | None:
        """A time of the peer's clock on ours, None before the first exchange."""
        return None if self.offset_ns is None else peer_ns - self.offset_ns
