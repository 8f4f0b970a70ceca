"""The estimate of the peer's clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import PeerClock
from firmware_bridge.clocks import EXCHANGES_FIRST

TIMES = st.integers(0, 10**9)


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(TIMES, TIMES, TIMES), min_size=1))
def test_the_error_is_bounded(offset: int, delays: list[tuple[int, int, int]]) -> None:
    """However uneven both ways are, the offset is right to within its stated error."""
    clock, now = PeerClock(), 10**16
    for there, thinking, back in delays:
        heard = now + there + offset
        replied = heard + thinking
        assert clock.add(now, heard, replied, now + there + thinking + back)
        now += 10**10
    assert clock.offset_ns is not None
    assert clock.error_ns is not None
    assert abs(clock.offset_ns - offset) <= clock.error_ns + 1
    assert clock.local_ns(now + offset) == now + offset - clock.offset_ns


def test_nothing_is_known_at_first() -> None:
    """Before the first answer, and after a restart, no time is known."""
    clock = PeerClock()
    assert (clock.offset_ns, clock.error_ns, clock.local_ns(5)) == (None, None, None)
    assert clock.add(0, 5, 6, 3)
    assert clock.offset_ns == 4
    clock.restart()
    assert clock.offset_ns is None


def test_an_impossible_exchange_is_refused() -> None:
    """An answer from before its question, or that took negative time, is not counted."""
    clock = PeerClock()
    assert not clock.add(10, 100, 100, 9)
    assert not clock.add(10, 100, 99, 12)
    assert clock.offset_ns is None


def test_the_best_exchange_counts() -> None:
    """The exchange with the shortest way counts, until it is too long ago."""
    clock = PeerClock()
    clock.add(0, 1005, 1005, 10)
    for now in range(100, 1600, 100):
        clock.add(now, now + 1300, now + 1300, now + 400)
    assert (clock.offset_ns, clock.error_ns) == (1000, 5)
    clock.add(1600, 2900, 2900, 2000)
    assert clock.error_ns == 200


def test_questions_grow_rare() -> None:
    """The first questions follow each other quickly, the later ones slowly."""
    clock = PeerClock()
    first = clock.request_interval_ns
    for now in range(EXCHANGES_FIRST):
        clock.add(now, now, now, now)
    assert clock.request_interval_ns > 10 * first
