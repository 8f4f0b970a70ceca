"""Whole blocks of time held out: facts near in time are too alike to judge each other.

A sample that is held out alone is compared with its neighbours in time, and looks more typical than
a later one will.  So whole blocks of a concept's samples, with a gap on both sides, are left out of
its sums and exemplars together.
"""

from collections.abc import Iterator, Sequence
from math import ceil

import msgspec
import numpy as np
from numpy.typing import NDArray

from .geometry import Codes, Geometry, keys_of
from .integers import Ints
from .memory import Fold
from .neighbours import Exemplars, coordinates, nearest

BLOCKS = 5
"""Blocks of a concept that are held out in turn, at most.  Each is then a fifth of the enrolled
time: few enough that a model without one is still nearly the whole, enough to estimate their
spread."""

BLOCKS_MIN = 3
"""Fewest blocks, however long scores stay alike: Student's t widens a spread that is estimated from
two beyond use."""

GAP = 16
"""Fewest samples of the concept that are left out on either side of a block: the default window,
within which samples are most alike.  A shorter block has shorter gaps, see `BLOCK_GAPS`."""

BLOCK_GAPS = 4
"""Shortest block, in gaps: with shorter ones, more samples would be left out than judged."""

GAP_TIMES = 1.5
"""Shortest gap, in autocorrelation times: in a first-order autoregression, samples so far apart are
correlated by e^-3, less than 0.05."""

BLOCK_TIMES = 9
"""Shortest block, in measured autocorrelation times, unless there are only `BLOCKS_MIN`.  The
measured time excludes the block's mean, so that scores which stay alike for longer than a block
seem to do so for a tenth of it: at least a ninth is measured on half of the first-order
autoregressions with a time of one block, and on one in twenty with a time of a fifth of a block
(`test_slow_scores_measure_a_ninth_of_a_block`)."""


PAUSES = 64
"""One time between samples in so many is a pause, as between days or sampled runs: how long more
samples take does not count it.  Chosen by hand: runs have about as many samples."""


class TimeOrder(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Where a concept's samples lie in time.

    place: int64 [n], rank among the domain's samples by time.  block: int64 [n], the block that
    each is held out with.  pace_ns: median time between the domain's samples, 0 if unknown.
    interval_ns: mean of these times without the longest, `PAUSES` of them.  sources: number of the
    domain's recordings or subjects, 0 if blocks are not cut between these.  gap: samples left out
    on either side of a block.
    """

    place: Ints
    block: Ints
    pace_ns: int = 0
    interval_ns: int = 0
    sources: int = 0
    gap: int = GAP
    _folds: list[tuple[Fold, ...]] = msgspec.field(default_factory=list)

    def folds(self) -> tuple[Fold, ...]:
        """Return, for each block, the rows that it scores and a mask of those left out with it."""
        if not self._folds:
            self._folds.append(tuple(self._divided()))
        return self._folds[0]

    def _divided(self) -> Iterator[Fold]:
        in_time = np.argsort(self.place, kind="stable")
        block = self.block[in_time]
        for number in np.unique(block).tolist():
            scored = np.flatnonzero(block == number)
            gap = min(self.gap, len(scored) // BLOCK_GAPS)
            # Every run of the block is widened by the gap on both sides.
            inside = np.concatenate([[0], np.cumsum(block == number)])
            at = np.arange(len(block))
            first, last = np.maximum(at - gap, 0), np.minimum(at + gap + 1, len(block))
            near = inside[last] > inside[first]
            left_out = np.zeros(len(block), dtype=np.bool_)
            left_out[in_time[near]] = True
            yield in_time[scored], left_out

    @property
    def splits(self) -> bool:
        """True if something is left when a block is held out."""
        return bool(len(self.block)) and bool((self.block != self.block[0]).any())


def recut(orders: Sequence[TimeOrder], autocorrelation: float) -> list[TimeOrder] | None:
    """Return a domain's orders with one block fewer or a wider gap, None if both are enough.

    autocorrelation: time for which the domain's scores within these blocks stay alike, in samples.
    Blocks are enough if each is `BLOCK_TIMES` as long or `BLOCKS_MIN` are left.  A gap becomes
    `GAP_TIMES` as long once, and with each block fewer.  Blocks between recordings or subjects stay
    as they are: neighbours are not alike across them.
    """
    count = sum(len(order.place) for order in orders)
    blocks = max(int(order.block.max()) for order in orders) + 1
    fewer = blocks > BLOCKS_MIN and count < blocks * BLOCK_TIMES * autocorrelation
    gap = max(orders[0].gap, ceil(GAP_TIMES * autocorrelation))
    wider = orders[0].gap == GAP < gap
    if orders[0].sources or not (fewer or wider):
        return None
    left = blocks - 1 if fewer else blocks
    return [
        msgspec.structs.replace(order, gap=gap, block=_equal(order.place, left), _folds=[])
        for order in orders
    ]


def order_in_time(
    labels: Sequence[str], times: Ints, sources: Sequence[str], ids: Sequence[str]
) -> dict[str, TimeOrder]:
    """Return the order of a domain's samples by (time, id), one per label in the given order.

    times: int64 [n].  sources: recordings or sessions, empty if unknown.  A concept from at least
    `BLOCKS` sources is cut between them, any other into blocks of equal size.
    """
    label, source = np.asarray(labels, dtype=np.str_), np.asarray(sources, dtype=np.str_)
    place = np.empty(len(times), dtype=np.int64)
    place[np.lexsort((np.asarray(ids, dtype=np.str_), times))] = np.arange(len(times))
    gaps = np.sort(np.diff(np.sort(times)))
    pace = int(gaps[len(gaps) // 2]) if len(gaps) else 0
    usual = gaps[: len(gaps) - len(gaps) // PAUSES]
    interval = int(usual.sum()) // max(1, len(usual))
    names = np.unique(source).tolist()
    cut = len(names) if len(names) >= BLOCKS and names[0] else 0
    made = {}
    for name in np.unique(label).tolist():
        own = np.flatnonzero(label == name)
        block = _blocks(place[own], source[own])
        made[name] = TimeOrder(
            place=place[own], block=block, pace_ns=pace, interval_ns=interval, sources=cut
        )
    return made


def _blocks(place: Ints, source: NDArray[np.str_]) -> Ints:
    names, inverse = np.unique(source, return_inverse=True)
    if len(names) < BLOCKS or not names[0]:
        return _equal(place, BLOCKS)
    rank, count = _rank(place), max(1, len(place))
    # Sources in the order of their mean ranks, as if each followed the one before: those that take
    # turns have the same mean rank.
    ranks = np.zeros(len(names), dtype=np.int64)
    np.add.at(ranks, inverse, rank)
    sizes = np.bincount(inverse)
    order = np.argsort(ranks * count // sizes, kind="stable")
    middle = np.empty(len(names), dtype=np.int64)
    middle[order] = 2 * (np.cumsum(sizes[order]) - sizes[order]) + sizes[order] - 1
    return np.asarray((middle * BLOCKS // (2 * count))[inverse])


def _equal(place: Ints, blocks: int) -> Ints:
    return np.asarray(_rank(place) * blocks // max(1, len(place)))


def _rank(place: Ints) -> Ints:
    return place.argsort(kind="stable").argsort(kind="stable")


def nearest_without_blocks(
    geometry: Geometry, exemplars: Exemplars, codes: Codes, order: TimeOrder
) -> Ints:
    """Return distances int64 [n, 2] to the nearest exemplar outside each sample's block, by columns
    and by plane; -1 if there is none."""
    made = np.full((len(codes), 2), -1, dtype=np.int64)
    columns, plane = coordinates(geometry, codes)
    keys = keys_of(codes)
    for scored, left_out in order.folds():
        rest = exemplars.without(keys[left_out], columns[left_out], plane[left_out])
        made[scored] = nearest(rest, columns[scored], plane[scored])
    return made
