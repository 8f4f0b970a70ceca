"""The offset of the peer's clock, by the exchange of timestamps of RFC 5905, section 8."""

from collections import deque
from typing import Final

EXCHANGES_MAX: Final = 16
"""Exchanges to choose from: 160 s at the slow rate, twice the 8 stages of RFC 5905's clock filter.
Chosen by hand; effect not measured."""

EXCHANGES_FIRST: Final = 4
"""Exchanges at the fast rate, so that times are usable within a second of connecting."""

FIRST_INTERVAL_NS: Final = 200_000_000  # four requests in the first second
INTERVAL_NS: Final = 10_000_000_000
"""A crystal of 50 ppm drifts 0.5 ms in 10 s, less than a serial round trip."""


class PeerClock:
    """Estimates the peer's clock from exchanges of timestamps.

    It uses the exchange with the shortest round trip among the last 16.  The error is at most half
    of that round trip, plus the drift of the clocks since.
    """

    def __init__(self) -> None:
        self._exchanges: deque[tuple[int, int]] = deque(maxlen=EXCHANGES_MAX)

    def add(self, sent_ns: int, peer_received_ns: int, peer_sent_ns: int, received_ns: int) -> bool:
        """Add an exchange: request sent and reply received by our clock, request received and reply
        sent by the peer's.  Returns False if the times are contradictory."""
        round_trip = (received_ns - sent_ns) - (peer_sent_ns - peer_received_ns)
        if round_trip < 0 or peer_sent_ns < peer_received_ns:
            return False
        offset = ((peer_received_ns - sent_ns) + (peer_sent_ns - received_ns)) // 2
        self._exchanges.append((round_trip, offset))
        return True

    def restart(self) -> None:
        """Forget all exchanges, because the peer's clock may have restarted."""
        self._exchanges.clear()

    @property
    def request_interval_ns(self) -> int:
        """The time until the next request."""
        return INTERVAL_NS if len(self._exchanges) >= EXCHANGES_FIRST else FIRST_INTERVAL_NS

    @property
    def offset_ns(self) -> int | None:
        """The peer's clock minus ours, None before the first exchange."""
        return min(self._exchanges)[1] if self._exchanges else None

    @property
    def error_ns(self) -> int | None:
        """Half of the round trip behind `offset_ns`."""
        return min(self._exchanges)[0] // 2 if self._exchanges else None

    def local_ns(self, peer_ns: int) -> int | None:
        """Convert a time of the peer's clock to ours, None before the first exchange."""
        return None if self.offset_ns is None else peer_ns - self.offset_ns
