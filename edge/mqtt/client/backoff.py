"""How long to wait before the next attempt to connect."""

import random
from collections.abc import Callable
from typing import Final

SETTLED_S: Final = 30.0
"""A connection that held this long was a good one: the next failure starts from the beginning."""


class ReconnectBackoff:
    """Exponential, with full jitter between half and whole of each step.

    Marc Brooker 2015, "Exponential Backoff And Jitter" (AWS Architecture Blog): without jitter all
    devices of a site come back at the same moments after an outage.
    """

    def __init__(
        self, least_s: float, most_s: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._least = least_s
        self._most = most_s
        self._chance = chance
        self._step = least_s

    def next_s(self) -> float:
        """Return seconds to wait, and double the step."""
        step, self._step = self._step, min(self._step * 2, self._most)
        return step * (0.5 + self._chance() / 2)

    def held(self, seconds: float) -> None:
        """Take in how long a connection held."""
        if seconds >= SETTLED_S:
            self._step = self._least

    def retreat(self) -> None:
        """Wait longest next time: somebody else wants this place."""
        self._step = self._most
