"""The rate limit of commands: a token bucket (Turner 1986)."""

from collections.abc import Callable


class RateLimit:
    """Allows `per_minute` commands, and bursts of as many.  clock: monotonic seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._left = float(per_minute)
        self._filled_at = clock()

    def take(self) -> bool:
        """Use one token; False if none is left."""
        now = self._clock()
        self._left += (now - self._filled_at) * self.per_minute / 60
        self._left, self._filled_at = min(self._left, self.per_minute), now
        if self._left < 1:
            return False
        self._left -= 1
        return True
