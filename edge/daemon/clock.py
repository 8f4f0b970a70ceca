"""Timestamps of messages, from a wall clock that may jump or be unset.

Durations never come from it: they come from the monotonic clock.
"""

import time
from collections.abc import Callable
from typing import Final, Literal

from ..mqtt import ClockJump
from ..outbox import PLAUSIBLE_NS

JUMP_S: Final = 2.0
"""Difference of the two clocks, in seconds, that counts as a jump: NTP slews by at most 0.5 ms/s,
so a check each second never sees so much without a step."""

NS_PER_S: Final = 10**9
"""Nanoseconds in a second."""


class DaemonClock:
    """Wall and monotonic time.  floor_ns: the last time that an earlier run is sure of; while the
    wall clock is unset (before November 2023), time continues from there."""

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
        """Return nanoseconds since 1970; an estimate while the wall clock is unset."""
        wall = self._wall_ns()
        if wall >= PLAUSIBLE_NS:
            return wall
        return self._sure + self._monotonic_ns() - self._sure_at

    @property
    def state(self) -> Literal["set", "unset"]:
        """Whether the wall clock is plausible."""
        return "set" if self._wall_ns() >= PLAUSIBLE_NS else "unset"

    def detect_jump(self) -> ClockJump | None:
        """Compare the clocks with the last call; call it regularly."""
        wall, monotonic = self._wall_ns(), self._monotonic_ns()
        jump = (wall - self._wall - (monotonic - self._monotonic)) / NS_PER_S
        self._wall, self._monotonic = wall, monotonic
        if wall >= PLAUSIBLE_NS:
            self._sure, self._sure_at = wall, monotonic
        if abs(jump) <= JUMP_S:
            return None
        self.jumps += 1
        return ClockJump(jump, self.state)
