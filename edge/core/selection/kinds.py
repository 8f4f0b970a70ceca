"""The selectors by name, and how a full concept uses them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .adaptive import adaptive
from .coverage import coverage
from .herding import herding
from .mixed import mixed
from .pool import FactPool, Rows
from .ranked import newest, random

NEWEST: Final = "newest"
"""The default of a device in a fleet: cohorts, which contributions consist of, leave one after the
other.  Ledgers know the oldest facts of a concept without reading the others."""

RANDOM: Final = "random"
"""The default (docs/explanation/selection.md says why)."""

MARGIN: Final = 16
"""A selector that compares facts with each other makes room for one sixteenth of the capacity at
once, so that a choice, whose cost grows with the square of the capacity, is rare.  Chosen by hand;
effect not measured."""

BLOCK: Final = 2_048
"""Facts that are compared with each other, at most: twice the default capacity.  More are dealt out
by rank, so that memory and time grow with their number and not with its square, and the facts of
lowest rank in each part are those of lowest rank in all."""


class FactSelector(msgspec.Struct, frozen=True):
    """A rule by which a full concept keeps facts.

    keep: returns the `count` rows of a pool that stay, in order, 1 <= count < n.  ranked: facts
    have a place of their own, whatever the others are, so that the order of arrival does not
    matter; such a rule reads no features.
    """

    keep: Callable[[FactPool, int], Rows]
    ranked: bool = False

    def margin(self, capacity: int) -> int:
        """Return how many places it makes free beyond those needed."""
        return 0 if self.ranked else capacity // MARGIN


SELECTORS: Final[Mapping[str, FactSelector]] = {
    NEWEST: FactSelector(newest, ranked=True),
    RANDOM: FactSelector(random, ranked=True),
    "herding": FactSelector(herding),
    "coverage": FactSelector(coverage),
    "adaptive": FactSelector(adaptive),
    "mixed": FactSelector(mixed),
}


def keep_rows(name: str, pool: FactPool, capacity: int) -> Rows:
    """Return the rows of a pool that a concept of this capacity keeps, in order: all if they fit.

    Raises KeyError for a selector that does not exist.
    """
    selector, total = SELECTORS[name], len(pool)
    if total <= capacity:
        return np.arange(total)
    count = max(1, capacity - selector.margin(capacity))
    if selector.ranked or total <= BLOCK:
        return selector.keep(pool, count)
    blocks = -(-total // BLOCK)
    order = np.argsort(pool.ranks, kind="stable")
    kept = []
    for number in range(blocks):
        rows = np.sort(order[number::blocks])
        share = count * (number + 1) // blocks - count * number // blocks
        kept.append(rows[selector.keep(pool.select(rows), share)] if share else rows[:0])
    return np.sort(np.concatenate(kept))


def rank_ids(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return a hash of each id, uint64 [n]; its key sets it apart from that of samples."""
    raw = (hashlib.blake2b(one.encode(), digest_size=8, person=b"keep").digest() for one in ids)
    return np.frombuffer(b"".join(raw), ">u8").astype(np.uint64)


def selected_rows(
    name: str,
    features: NDArray[np.uint8],
    targets: NDArray[np.int64],
    capacity: int,
    seed: int,
) -> Rows:
    """Return the rows that stay where each target may keep `capacity` of them, in order.

    features: uint8 [n, width], the oldest row first.  targets: int64 [n].  seed: of the ranks.
    Raises KeyError for a selector that does not exist.
    """
    ranks = rank_ids(f"{seed}:{row}" for row in range(len(features)))
    kept = [np.empty(0, np.intp)]
    for target in np.unique(targets):
        rows = np.flatnonzero(targets == target)
        kept.append(rows[keep_rows(name, FactPool(features[rows], ranks[rows]), capacity)])
    return np.sort(np.concatenate(kept))
