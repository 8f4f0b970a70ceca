from __future__ import annotations

from edge.daemon.clock import DaemonClock

S = 10**9
NOW = 1_800_000_000 * S


class Time:
    """Two clocks that a test sets."""

    def __init__(self, wall_ns: int) -> None:
        self.wall, self.monotonic = wall_ns, 5 * S

    def pass_s(self, seconds: float) -> None:
        """Let time pass on both."""
        self.wall += int(seconds * S)
        self.monotonic += int(seconds * S)

    def clock(self, floor_ns: int = 0) -> DaemonClock:
        """A clock over both."""
        return DaemonClock(floor_ns, lambda: self.wall, lambda: self.monotonic)


def test_a_plausible_wall_clock_is_the_time():
    """With a plausible wall clock, that is the time, and there is no jump."""
    time = Time(NOW)
    clock = time.clock()
    time.pass_s(10)
    assert clock.detect_jump() is None
    assert (clock.now_ns(), clock.state) == (NOW + 10 * S, "set")


def test_a_clock_jump_is_reported_with_its_size():
    """Setting the clock by a month is a jump of a month; the next check finds none."""
    time = Time(NOW)
    clock = time.clock()
    time.pass_s(1)
    time.wall += 30 * 86_400 * S
    jump = clock.detect_jump()
    assert jump is not None
    assert (round(jump.seconds), jump.clock) == (30 * 86_400, "set")
    time.pass_s(1)
    assert clock.detect_jump() is None
    assert clock.jumps == 1


def test_without_a_clock_time_goes_on_from_the_last_that_is_sure():
    """In 1970 the time is the last sure time of the previous run plus the time since the start."""
    time = Time(10 * S)
    clock = time.clock(floor_ns=NOW)
    time.pass_s(60)
    assert (clock.now_ns(), clock.state) == (NOW + 60 * S, "unset")


def test_thirty_years_back_and_forth_never_turn_time_back():
    """A clock that falls to 1996 while running is ignored; once it is set again, it is used."""
    time = Time(NOW)
    clock = time.clock()
    time.pass_s(5)
    clock.detect_jump()
    time.wall -= 30 * 365 * 86_400 * S
    jump = clock.detect_jump()
    assert jump is not None
    assert jump.clock == "unset"
    time.pass_s(7)
    assert clock.now_ns() == NOW + 12 * S
    time.wall = NOW + 20 * S
    assert clock.now_ns() == NOW + 20 * S
