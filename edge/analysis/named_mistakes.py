"""Facts that are probably wrong in the same way as a few that a person names.

Wrong labels that agree with each other, such as one label given for another throughout, support
each other: a fact that is left out is still answered wrongly.  So the named facts get labels of
their own ("wrongly called B"), and every fact with label B is answered as if it had been left out
(see `suspicious`).  Those that the new label, or another one, wins join it, and the answer is
repeated: self-training from positive examples alone (Elkan & Noto 2008, "Learning classifiers from
only positive and unlabeled data"; Lee 2013, "Pseudo-label").  The margin follows from the named
ones, of which four fifths must be found.
"""

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .learned import Domain, Floats, Learned
from .suspicious import LEFT_OUT_MAX, SuspiciousLabel, inverse_gram, scores_left_out

NAMED_FOUND: Final = 0.8
"""Share of the named facts that the margin must find.  0.9 finds two points more on PACS and is
right two points less often."""

MARGIN: Final = (-0.5, 0.0)
"""Lowest and highest margin, in scores of one-hot labels.  A highest margin of 0 (the other label
need not win by much) raises the share of mistakes found on PACS from 75 to 96 %, while 84 instead
of 92 % of those found are mistakes; the lowest one keeps a named fact that looks right from letting
in everything.  The lowest one is chosen by hand; effect not measured."""

ROUNDS: Final = 4
"""Rounds of self-training.  8 are as good to within a point."""


class _LabelPool:
    """All facts in one list.  features: uint8 [n, width].  given: number of each fact's label."""

    def __init__(self, domains: Collection[Domain], named: Collection[str]) -> None:
        self.ids = [key for one in domains for key in one.ids]
        self.domains = [one.name for one in domains for _ in one.ids]
        labels = [one.labels[at] for one in domains for at in one.given.tolist()]
        self.labels, given = np.unique(np.array(labels, np.str_), return_inverse=True)
        self.given: NDArray[np.intp] = given
        self.features = np.concatenate([one.features for one in domains])
        self.named = np.isin(np.array(self.ids, np.str_), np.array(sorted(named), np.str_))

    def parts(self) -> Iterator[NDArray[np.intp]]:
        """Yield the rows of each solve: all named facts, and a part of the others."""
        named, others = np.flatnonzero(self.named), np.flatnonzero(~self.named)
        room = max(LEFT_OUT_MAX - len(named), LEFT_OUT_MAX // 4)
        count = max(1, -(-len(others) // room))
        for part in range(count):
            yield np.sort(np.concatenate([named, others[part::count]]))


def find_alike(learned: Learned, named: Collection[str]) -> list[SuspiciousLabel]:
    """Return the facts that are probably as wrong as the named ones, the most suspicious first.

    named: ids of facts with wrong labels.  Facts that keep their label are not listed, nor are the
    named ones, nor facts of labels that no named one has.  Cost: a cubic solve for each 2,048.
    """
    if not learned.domains:
        return []
    pool = _LabelPool(learned.domains, named)
    if not pool.named.any():
        return []
    found: list[SuspiciousLabel] = []
    for rows in pool.parts():
        found += _of_part(pool, rows)
    return sorted(found, key=lambda one: (-one.margin, one.id))


def _of_part(pool: _LabelPool, rows: NDArray[np.intp]) -> Iterator[SuspiciousLabel]:
    given, named = pool.given[rows], pool.named[rows]
    wrong = named.copy()
    inverse = inverse_gram(pool.features[rows])
    told = np.unique(given[named])
    margins = np.zeros(len(rows), np.float32)
    better = given.copy()
    for _ in range(ROUNDS):
        scores = scores_left_out(inverse, _targets(given, wrong, len(pool.labels)))
        margins, better = _margins(scores, given, len(pool.labels))
        least = np.clip(np.quantile(margins[named], 1 - NAMED_FOUND), *MARGIN)
        wrong = named | ((margins > least) & np.isin(given, told))
    for row in np.flatnonzero(wrong & ~named).tolist():
        label = str(pool.labels[given[row]])
        yield SuspiciousLabel(
            id=pool.ids[rows[row]],
            domain=pool.domains[rows[row]],
            label=label,
            better=str(pool.labels[better[row]]),
            margin=round(float(margins[row]), 3),
            why=f"it is more like the facts that were wrongly called {label} than like the others",
        )


def _targets(given: NDArray[np.intp], wrong: NDArray[np.bool_], labels: int) -> Floats:
    """Return one-hot labels, [n, 2 x labels]: the second half stands for the wrongly called."""
    made = np.zeros((len(given), 2 * labels), np.float32)
    made[np.arange(len(given)), given + labels * wrong] = 1
    return made


def _margins(
    scores: Floats, given: NDArray[np.intp], labels: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Return how much higher than its label any other of a fact scores, or "wrongly called" so,
    and the best other label."""
    rows = np.arange(len(given))
    own = scores[rows, given]
    others = scores[:, :labels].copy()
    others[rows, given] = -np.inf
    best = others.max(axis=1)
    return np.maximum(best, scores[rows, given + labels]) - own, others.argmax(axis=1)
