"""One novelty from all blocks and, where exemplars are kept, from the nearest of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .geometry import Geometry
from .integers import Ints
from .neighbours import Exemplars, Floats, coordinates, nearest, nearest_to_one
from .scoring import combine, combine_one

Columns = NDArray[np.intp]

SHORTLIST: Final = 3
"""Concepts whose exemplars are looked at: the nearest by their means."""

VOTES: Final = (2, 4)
"""How often the nearest exemplar counts, by columns and by plane."""

_FAR: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class NearestExemplars:
    """The exemplars of each concept looked at, None where it has none, and the usual distances to
    the nearest with their spreads: scales int64 [concepts, 2, 2]."""

    exemplars: tuple[Exemplars | None, ...]
    scales: Ints


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutSamples:
    """Of samples that are themselves in the memory: the column each belongs to, [n], and how far
    the nearest other exemplar of it is, int64 [n, 2]."""

    own: Columns
    apart: Ints


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSamples:
    """Codes whose distances are joined; `held_out` where they are in the memory."""

    geometry: Geometry
    codes: Codes
    held_out: HeldOutSamples | None = None


def join_scores(
    distances: Ints, scales: Ints, samples: ScoredSamples, near: NearestExemplars | None = None
) -> tuple[Ints, Columns]:
    """Lowest joint novelty int64 [n] and the column it is reached at, [n].

    distances: int64 [n, concepts, blocks] with scales [concepts, blocks, 2].
    """
    votes = samples.geometry.votes
    scores = combine(distances, scales, votes)
    if near is not None:
        scores = _with_neighbours(scores, distances, scales, samples, near)
    place = scores.argmin(axis=1)
    return scores[np.arange(len(scores)), place], place


def join_one_score(
    distances: Ints,
    scores: Ints,
    scales: Ints,
    samples: ScoredSamples,
    near: NearestExemplars | None = None,
) -> tuple[int, int]:
    """`join` of one sample that is not held out: distances int64 [concepts, blocks], combined to
    scores [concepts].

    Exemplars only add to a score. So they are looked at in the order of the scores without them,
    and no more once the next one starts above the lowest found.
    """
    if near is None:
        place = int(scores.argmin())
        return int(scores[place]), place
    columns, plane = coordinates(samples.geometry, samples.codes)
    votes = (*samples.geometry.votes.tolist(), *VOTES)
    found: list[tuple[int, int]] = []
    for place in scores.argsort(kind="stable")[:SHORTLIST].tolist():
        if found and scores[place] > min(found)[0]:
            break
        usual = near.scales[place].tolist()
        held = near.exemplars[place]
        apart = nearest_to_one(held, columns[0], plane[0]) if held is not None else (-1, -1)
        nearby = [mine if mine >= 0 else of[0] for mine, of in zip(apart, usual, strict=True)]
        both = (*distances[place].tolist(), *nearby)
        found.append((combine_one(both, (*scales[place].tolist(), *usual), votes), place))
    return min(found)


def _with_neighbours(
    scores: Ints, distances: Ints, scales: Ints, samples: ScoredSamples, near: NearestExemplars
) -> Ints:
    """Scores [n, concepts] with exemplars, far off where these were not looked at: see `join_one`
    for when they need not be."""
    count = min(SHORTLIST, scores.shape[1])
    short = np.argsort(scores, axis=1, kind="stable")[:, :count]
    columns, plane = coordinates(samples.geometry, samples.codes)
    made = np.full(scores.shape, _FAR)
    left = np.arange(len(scores))
    for turn in range(count):
        if turn:
            left = left[scores[left, short[left, turn]] <= made[left].min(axis=1)]
        looked = short[left, turn]
        for column in sorted(set(looked.tolist())):
            rows = left[looked == column]
            apart = _apart(column, rows, columns[rows], plane[rows], samples, near)
            made[rows, column] = combine(
                np.concatenate([distances[rows, column], apart], axis=1),
                np.concatenate([scales[column], near.scales[column]]),
                np.concatenate([samples.geometry.votes, np.asarray(VOTES, dtype=np.int64)]),
            )
    return made


def _apart(
    column: int,
    rows: Columns,
    columns: Floats,
    plane: Floats,
    samples: ScoredSamples,
    near: NearestExemplars,
) -> Ints:
    """Distances int64 [rows, 2] to the nearest exemplar of a concept, the usual ones without."""
    found = np.broadcast_to(near.scales[column, :, 0], (len(rows), 2)).copy()
    held, held_out = near.exemplars[column], samples.held_out
    if held is not None:
        apart = nearest(held, columns, plane)
        found = np.where(apart < 0, found, apart)
    if held_out is not None:
        mine = held_out.own[rows] == column
        found[mine] = held_out.apart[rows[mine]]
    return found
