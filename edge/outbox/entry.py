"""Messages that wait in the outbox, and ranges of numbers that were lost."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Final

import msgspec

OVERHEAD_BYTES: Final = 64
"""Bytes that a row takes besides its texts: SQLite's cell, the index and five integers, rounded
up."""

LOSSES_MAX: Final = 256
"""Separate ranges of lost numbers; beyond it the two closest are merged.  Chosen by hand; effect
not measured."""


class OutboxEntry(msgspec.Struct, eq=False, kw_only=True):
    """One message.  sequence: its number.  kept: durable before it is sent, and never dropped.
    keys: ids of the observations that it is about.  age_ns: its arrival on the outbox's clock.
    historical: sent late.  nbytes: its bytes that count against the limit, computed once."""

    sequence: int
    topic: str
    body: bytes
    kept: bool = False
    keys: tuple[str, ...] = ()
    correlation: bytes = b""
    retain: bool = False
    age_ns: int = 0
    historical: bool = False
    nbytes: int = 0

    def __post_init__(self) -> None:
        keys = sum(map(len, self.keys))
        self.nbytes = len(self.body) + len(self.topic) + OVERHEAD_BYTES + keys


class OutboxLoss(msgspec.Struct, frozen=True):
    """Numbers first to last: those that have not arrived and do not wait never will.

    count: how many were dropped; after a crash, an upper bound.
    """

    first: int
    last: int
    count: int
    reason: str


class OutboxLosses:
    """Ranges of lost numbers, sorted and bounded; adjacent ones with the same reason are merged."""

    def __init__(self, losses: Iterable[OutboxLoss] = ()) -> None:
        self._ranges = sorted(losses, key=_first)

    def add(self, loss: OutboxLoss) -> None:
        """Add a range, of which no number was added before."""
        ranges = self._ranges
        at = bisect_right(ranges, loss.first, key=_first)
        first = at - 1 if at and _adjoin(ranges[at - 1], loss) else at
        last = at + 1 if at < len(ranges) and _adjoin(loss, ranges[at]) else at
        ranges[first:last] = [reduce(_joined, [*ranges[first:at], loss, *ranges[at:last]])]
        if len(ranges) > LOSSES_MAX:
            self._merge_closest()

    def pop(self, count: int) -> list[OutboxLoss]:
        """Remove and return the first ranges."""
        taken, self._ranges = self._ranges[:count], self._ranges[count:]
        return taken

    def __iter__(self) -> Iterator[OutboxLoss]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def _merge_closest(self) -> None:
        ranges = self._ranges
        pairs = range(len(ranges) - 1)
        at = min(pairs, key=lambda i: ranges[i + 1].first - ranges[i].last)
        ranges[at : at + 2] = [_joined(ranges[at], ranges[at + 1])]


def _adjoin(one: OutboxLoss, two: OutboxLoss) -> bool:
    return one.last + 1 == two.first and one.reason == two.reason


def _first(loss: OutboxLoss) -> int:
    return loss.first


def _joined(one: OutboxLoss, two: OutboxLoss) -> OutboxLoss:
    reasons = dict.fromkeys((*one.reason.split("+"), *two.reason.split("+")))
    last = max(one.last, two.last)
    return msgspec.structs.replace(
        one, last=last, count=one.count + two.count, reason="+".join(reasons)
    )


def missing_ranges(first: int, end: int, present: Iterable[int]) -> Iterator[OutboxLoss]:
    """Yield the ranges of first to end - 1 that contain none of some sorted numbers, as lost by a
    crash."""
    for number in (*present, end):
        if number > first:
            yield OutboxLoss(first, number - 1, number - first, "crash")
        first = number + 1
