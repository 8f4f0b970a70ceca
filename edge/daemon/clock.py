"""The time that messages carry, told from a wall clock that may jump, or not be set at all.

Durations are never taken from it: they come from the monotonic clock.
"""

import time
from collections.abc import Callable
from typing import Final, Literal

from ..mqtt import ClockJump
from ..outbox import PLAUSIBLE_NS

JUMP_S: Final = 2.0
"""Seconds by which the two clocks may drift apart between two looks."""

S: Final = 10**9


class DaemonClock:
    """Wall and monotonic time.  floor_ns: the last moment that an earlier run is sure of; where the
    wall clock is not set (before November 2023) time goes on from there."""

    def __init__(
        self,
        floor_ns: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.jumps = 0
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._wall, self._monotonic = wall_ns(), monotonic_ns()
        self._sure = max(self._wall, floor_ns, PLAUSIBLE_NS)
        self._sure_at = self._monotonic

    def now_ns(self) -> int:
        """Return nanoseconds since 1970; an estimate while the wall clock is not set."""
        wall = self._wall_ns()
        if wall >= PLAUSIBLE_NS:
            return wall
        return self._sure + self._monotonic_ns() - self._sure_at

    @property
    def state(self) -> Literal["set", "unset"]:
        """Say whether the wall clock can be right."""
        return "set" if self._wall_ns() >= PLAUSIBLE_NS else "unset"

    def look(self) -> ClockJump | None:
        """Compare the clocks; call it now and then."""
        wall, monotonic = self._wall_ns(), self._monotonic_ns()
        jump = (wall - self._wall - (monotonic - self._monotonic)) / S
        self._wall, self._monotonic = wall, monotonic
        if wall >= PLAUSIBLE_NS:
            self._sure, self._sure_at = wall, monotonic
        if abs(jump) <= JUMP_S:
            return None
        self.jumps += 1
        return ClockJump(jump, self.state)
