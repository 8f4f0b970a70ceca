"""Where a stream has been routed to lately, and where its newest observation belongs in that light.

A stream that stays in its domain tells more together than one by one; one that mixes domains does
not.  Session state: a crash may cost it.
"""

from math import log1p
from typing import Final

import numpy as np
from numpy.typing import NDArray

STAYS: Final = (0.0, 0.9, 0.99, 0.999)
"""Rates of staying in a domain that are followed at once."""

ROUNDING: Final = 1e-3
"""Far more than a logarithm of a probability is off by."""

Floats = NDArray[np.float32]


class DomainFilter:
    """The logits of a stream's last observations.  length: how many are kept."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._domains: tuple[str, ...] = ()
        # Each row is written twice, so that the last ones always lie side by side.
        self._rows: Floats = np.empty((0, 0), np.float32)
        self.clear()

    def clear(self) -> None:
        """Drop all."""
        self._count = 0
        self._first, self._alike = -1, 0

    def follow(self, domains: tuple[str, ...], route: Floats) -> str:
        """Keep logits float32 [domains] of an observation, and return its domain.

        Those before it for other domains than now known are dropped.  Where all say the same, or
        the newest is surer than any past could outweigh, nothing has to be followed.
        """
        if domains != self._domains:
            self.clear()
            self._domains = domains
            self._rows = np.empty((2 * self._length, len(domains)), np.float32)
        at = self._count % self._length
        self._rows[at] = self._rows[at + self._length] = route
        self._count += 1
        first = int(route.argmax())
        self._alike = self._alike + 1 if first == self._first else 1
        self._first = first
        kept = min(self._count, self._length)
        if self._alike >= kept or _sure(route):
            return domains[first]
        end = at + self._length + 1
        return domains[int(posterior(self._rows[end - kept : end]).argmax())]


def posterior(window: Floats) -> Floats:
    """Probabilities float32 [domains] of the last sample, given those before it.

    window: logits [n, domains] of one stream, oldest first.  Several rates of staying
    are followed at once (the forward pass of Rabiner 1989, section III.A) and each counts as much
    as it has explained the window so far.
    """
    count, domains = window.shape
    stays = np.array(STAYS)[:, None]
    moves = (1 - stays) / domains
    shift = window.max(axis=1, keepdims=True)
    belief = np.full((len(STAYS), domains), 1 / domains)
    totals = np.empty((count, len(STAYS), 1))
    rows = np.exp(np.asarray(window - shift, np.float64))
    for row, total in zip(rows, totals, strict=True):
        # In place: (stays * belief + moves) * row, over its sum.
        np.multiply(belief, stays, out=belief)
        np.add(belief, moves, out=belief)
        np.multiply(belief, row, out=belief)
        np.add.reduce(belief, axis=1, keepdims=True, out=total)
        np.divide(belief, total, out=belief)
    explained = np.log(totals).sum(axis=0)
    shares = np.exp(explained - explained.max())
    return np.asarray((shares * belief).sum(axis=0) / shares.sum(), np.float32)


def _sure(route: Floats) -> bool:
    """Say whether the first domain wins whatever came before: the most that a belief can be ahead
    by is what the slowest rate of moving allows."""
    if len(route) < 2:
        return True
    second, first = np.partition(route, -2)[-2:].tolist()
    stay = STAYS[-1]
    return bool(first - second > log1p(len(route) * stay / (1 - stay)) + ROUNDING)
