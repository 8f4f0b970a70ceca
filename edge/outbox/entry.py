"""What waits in the outbox, and what has been lost from it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Final

import msgspec

OVERHEAD_BYTES: Final = 64
"""What a row takes beside its texts."""

LOSSES_MAX: Final = 256
"""Ranges of lost numbers that are told apart; beyond it the two that lie closest become one."""


class OutboxEntry(msgspec.Struct, eq=False):
    """One message.  sequence: its number.  kept: durable before it is due, and never dropped.
    keys: ids of the observations that it tells of.  age_ns: when it came, on the outbox's clock.
    historical: sent late."""

    sequence: int
    topic: str
    body: bytes
    kept: bool = False
    keys: tuple[str, ...] = ()
    correlation: bytes = b""
    retain: bool = False
    age_ns: int = 0
    historical: bool = False

    @property
    def nbytes(self) -> int:
        """What it counts against the limit."""
        return len(self.body) + len(self.topic) + OVERHEAD_BYTES + sum(map(len, self.keys))


class OutboxLoss(msgspec.Struct, frozen=True):
    """Numbers first to last: those of them that have not arrived and do not wait never will.
    count: how many were dropped; after a crash, how many there may be at most."""

    first: int
    last: int
    count: int
    reason: str


class OutboxLosses:
    """Ranges of lost numbers, in order and bounded; neighbours lost for one reason are one."""

    def __init__(self, losses: Iterable[OutboxLoss] = ()) -> None:
        self._ranges = sorted(losses, key=_first)

    def add(self, number: int, reason: str) -> None:
        """Take note of a lost number."""
        self.put(OutboxLoss(number, number, 1, reason))

    def put(self, loss: OutboxLoss) -> None:
        """Take note of a range; none of its numbers was noted before."""
        ranges = self._ranges
        at = bisect_right(ranges, loss.first, key=_first)
        first = at - 1 if at and _adjoin(ranges[at - 1], loss) else at
        last = at + 1 if at < len(ranges) and _adjoin(loss, ranges[at]) else at
        ranges[first:last] = [reduce(_joined, [*ranges[first:at], loss, *ranges[at:last]])]
        if len(ranges) > LOSSES_MAX:
            self._merge_closest()

    def pop(self, count: int) -> list[OutboxLoss]:
        """Take the first ranges away."""
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
