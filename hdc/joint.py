"""The joint score of a sample and a concept: the distances of all blocks and those to the nearest
exemplars."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import native
from .geometry import Codes, Geometry
from .integers import Ints, combine, combine_one
from .layouts import ExemplarsLayout
from .neighbours import Exemplars, Floats, coordinates, nearest, nearest_to_one

Indices = NDArray[np.intp]

EXEMPLAR_SHORTLIST = 8
"""Concepts whose exemplars are compared: the nearest by their means.  Chosen by hand, to bound the
cost of a verdict; effect not measured."""

_FAR = np.iinfo(np.int64).max


class NearestExemplars(msgspec.Struct, frozen=True, eq=False):
    """Exemplars of each concept compared, None if it has none.

    scales: int64 [concepts, 2, 2], mean and deviation of the distances to the nearest one.
    """

    exemplars: tuple[Exemplars | None, ...]
    scales: Ints
    _laid_out: list[tuple[ExemplarsLayout | None, ...] | None] = msgspec.field(default_factory=list)

    @property
    def layouts(self) -> tuple[ExemplarsLayout | None, ...] | None:
        """The exemplars laid out for C, None where a concept has none; None if C cannot serve."""
        if not self._laid_out:
            held = [one if one is not None and len(one) else None for one in self.exemplars]
            made = tuple(None if one is None else one.layout for one in held)
            served = all(one is None or found for one, found in zip(held, made, strict=True))
            self._laid_out.append(made if served else None)
        return self._laid_out[0]

    def __reduce__(self) -> tuple[object, ...]:
        """See `Exemplars.__reduce__`."""
        return NearestExemplars, (self.exemplars, self.scales)


class HeldOutSamples(msgspec.Struct, frozen=True, eq=False):
    """Samples that are in the memory.

    own: [n], the column of each one's concept.  distances: int64 [n, 2], to the nearest other
    exemplar of that concept.
    """

    own: Indices
    distances: Ints


class ScoredSamples(msgspec.Struct, frozen=True, eq=False):
    """Codes to score.  held_out: given if they are in the memory."""

    geometry: Geometry
    codes: Codes
    held_out: HeldOutSamples | None = None


def join_scores(
    distances: Ints, scales: Ints, samples: ScoredSamples, near: NearestExemplars | None = None
) -> tuple[Ints, Indices]:
    """Return the lowest joint score of each sample, int64 [n], and its column, [n].

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
    """Compute `join_scores` for one sample that is not held out.

    distances: int64 [concepts, blocks], whose combined scores are `scores` [concepts].  Exemplars
    can only raise a score.  So concepts are tried in the order of their scores without exemplars,
    until the next one starts above the lowest found.
    """
    if near is None:
        place = int(scores.argmin())
        return int(scores[place]), place
    values = np.ascontiguousarray(samples.codes.values[0], dtype=np.int64)
    first, second = samples.geometry.spans[:2]
    # The plane's last coordinate is the length outside.
    columns, plane = values[slice(*first)], values[second[0] : second[1] - 1]
    kernel, layouts, geometry = native.KERNEL, near.layouts, samples.geometry
    if kernel is not None and layouts is not None:
        made = np.empty(2, dtype=np.int64)
        work = np.empty(len(values), dtype=np.float32)
        rows = map(np.ascontiguousarray, (distances, scores, scales, near.scales))
        votes, sample = (geometry.votes, geometry.exemplar_votes), (columns, plane)
        if kernel.join(*rows, *votes, *sample, layouts, *(work, made)):
            lowest, place = made.tolist()
            return lowest, place
    weights = (*geometry.votes.tolist(), *geometry.exemplar_votes.tolist())
    found: list[tuple[int, int]] = []
    for place in scores.argsort(kind="stable")[:EXEMPLAR_SHORTLIST].tolist():
        if found and scores[place] > min(found)[0]:
            break
        typical = near.scales[place].tolist()
        held = near.exemplars[place]
        apart = nearest_to_one(held, columns, plane) if held is not None else (-1, -1)
        nearby = [own if own >= 0 else of[0] for own, of in zip(apart, typical, strict=True)]
        both = (*distances[place].tolist(), *nearby)
        found.append((combine_one(both, (*scales[place].tolist(), *typical), weights), place))
    return min(found)


def _with_neighbours(
    scores: Ints, distances: Ints, scales: Ints, samples: ScoredSamples, near: NearestExemplars
) -> Ints:
    """Return scores [n, concepts] with exemplars, and a very high one for concepts that
    `join_one_score` would not try."""
    count = min(EXEMPLAR_SHORTLIST, scores.shape[1])
    short = np.argsort(scores, axis=1, kind="stable")[:, :count]
    coded = coordinates(samples.geometry, samples.codes)
    made = np.full(scores.shape, _FAR)
    left = np.arange(len(scores))
    for turn in range(count):
        if turn:
            left = left[scores[left, short[left, turn]] <= made[left].min(axis=1)]
        tried = short[left, turn]
        for column in sorted(set(tried.tolist())):
            rows = left[tried == column]
            apart = _exemplar_distances(column, rows, coded, samples, near)
            made[rows, column] = combine(
                np.concatenate([distances[rows, column], apart], axis=1),
                np.concatenate([scales[column], near.scales[column]]),
                np.concatenate([samples.geometry.votes, samples.geometry.exemplar_votes]),
            )
    return made


def _exemplar_distances(
    column: int,
    rows: Indices,
    coded: tuple[Floats, Floats],
    samples: ScoredSamples,
    near: NearestExemplars,
) -> Ints:
    """Return distances int64 [rows, 2] to a concept's nearest exemplar, the mean ones if it has
    none."""
    found = np.broadcast_to(near.scales[column, :, 0], (len(rows), 2)).copy()
    held, held_out = near.exemplars[column], samples.held_out
    own = np.zeros(len(rows), np.bool_) if held_out is None else held_out.own[rows] == column
    others = rows[~own]
    if held is not None and len(others):
        apart = nearest(held, coded[0][others], coded[1][others])
        found[~own] = np.where(apart < 0, found[~own], apart)
    if held_out is not None:
        found[own] = held_out.distances[rows[own]]
    return found
