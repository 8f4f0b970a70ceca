"""How far each member of a fleet is from the others: per concept, and against a robust centre.

A member has one vote, however many facts it sums, so no member moves the centre far.  Of the
hypervectors the centre is the coordinate-wise median of the members' majorities, which for bits is
the majority of majorities; of the features it is the mean of the members' means, each within 0 to
255.  Medians resist up to half of the members (Yin et al. 2018, "Byzantine-Robust Distributed
Learning: Towards Optimal Statistical Rates", abstract).  Votes are counts, so a member that leaves
takes its vote with it exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .contributions import Arrays, Concept, concepts_of

OTHERS_MIN: Final = 7
"""Fewest other members that a member is compared with: a majority of seven resists three.  Chosen
by hand; effect not measured."""

STEPS: Final = 256
"""Parts of a quantisation step in which means are counted, so that votes are whole numbers."""

SPREADS_MAX: Final = 7.0
"""Distance in one concept beyond which a member is reported, in standard deviations above the
median member.  Chosen with `MEAN_MAX` on two simulated sites of 160 members with 1 to 40 % hostile
ones: 6 in one concept alone found fewer at every share and reported up to .5 % of the others; both
together none.  `python -m benchmarks fleet` measures other sites."""

MEAN_MAX: Final = 4.0
"""Mean distance over a member's concepts, two or more, beyond which it is reported: chance moves
one concept far, hostility usually all.  4.5 finds less of them from a fifth of the members on."""

NORMAL_MAD: Final = 1.4826
"""Standard deviation of a normal distribution by its median absolute deviation."""

PARTS_MIN: Final = (0.02, 2.0)
"""Distances below which nobody is reported, however alike the others are: a share of the bits, and
quantisation steps.  Chosen by hand; effect not measured."""


class MemberDistance(NamedTuple):
    """A member's distance from the others in one concept.  bits: share of the bits that differ from
    the majority's.  steps: mean difference of the features' means, in quantisation steps.  facts:
    how many of the concept the member has."""

    concept: Concept
    bits: float
    steps: float
    facts: int


@dataclass(frozen=True, slots=True)
class Outlier:
    """A member that is far from the others in a concept.  spreads: how many standard deviations
    farther than the median member, in the measure that shows most.  share: its share of the
    concept's facts."""

    device: str
    concept: Concept
    spreads: float
    share: float


class MemberVotes:
    """The votes of all members.  Memory: 4 bytes a bit and 8 a column for each concept."""

    def __init__(self) -> None:
        self._votes: dict[Concept, tuple[int, NDArray[np.int32], NDArray[np.int64]]] = {}

    def change(self, arrays: Arrays, sign: int) -> None:
        """Add (sign 1) or take back (-1) the votes of a contribution's arrays."""
        for concept, majority, means in _ballots(arrays):
            held = self._votes.get(concept)
            if held is None:
                held = 0, np.zeros(len(majority), np.int32), np.zeros(len(means), np.int64)
            count, votes, centre = held
            votes += np.int32(sign) * majority
            centre += sign * means
            if count + sign:
                self._votes[concept] = count + sign, votes, centre
            else:
                del self._votes[concept]

    def pack(self) -> dict[str, NDArray[Any]]:
        """Return arrays for `unpack`."""
        keys = sorted(self._votes)
        rows = [self._votes[key] for key in keys]
        names = "\n".join(map("\t".join, keys)).encode()
        return {
            "vote_names": np.frombuffer(names, np.uint8),
            "vote_counts": np.array([row[0] for row in rows], np.int64),
            "votes": np.array([row[1] for row in rows], np.int32),
            "vote_means": np.array([row[2] for row in rows], np.int64),
        }

    @staticmethod
    def unpack(arrays: Arrays) -> "MemberVotes":
        """Return the votes that `pack` wrote."""
        made, counts = MemberVotes(), arrays["vote_counts"].tolist()
        names = concepts_of({"names": arrays["vote_names"]}) if counts else ()
        for key, *row in zip(names, counts, arrays["votes"], arrays["vote_means"], strict=True):
            made._votes[key] = row[0], row[1].copy(), row[2].copy()
        return made

    def distances(self, arrays: Arrays) -> Iterable[MemberDistance]:
        """Yield how far a member that has voted is from the others; concepts of too few members are
        left out."""
        counts = arrays["counts"].tolist() if arrays else ()
        for (concept, majority, means), facts in zip(_ballots(arrays), counts, strict=True):
            members, votes, centre = self._votes[concept]
            others = members - 1
            if others >= OTHERS_MIN:
                usual = 2 * (votes - majority) > others
                apart = np.abs((centre - means) / others - means)
                steps = float(apart.mean()) / STEPS
                yield MemberDistance(concept, float((usual != majority).mean()), steps, facts)


def find_outliers(found: Mapping[str, Iterable[MemberDistance]]) -> list[Outlier]:
    """Return the members that are far from the others, in one concept or in all on average, the
    farthest first.  found: by device."""
    by_concept: dict[Concept, list[tuple[str, MemberDistance]]] = {}
    for device, distances in sorted(found.items()):
        for one in distances:
            by_concept.setdefault(one.concept, []).append((device, one))
    places: dict[str, list[Outlier]] = {}
    for concept, rows in by_concept.items():
        table = np.array([(one.bits, one.steps) for _, one in rows])
        # The majority of few facts is farther off by chance, as the root of their number.
        weights = np.sqrt([one.facts for _, one in rows])[:, None]
        scaled = table * weights
        middle = np.median(scaled, axis=0)
        spread = NORMAL_MAD * np.median(np.abs(scaled - middle), axis=0)
        least = np.array(PARTS_MIN) * float(np.median(weights)) / SPREADS_MAX
        above = (scaled - middle) / np.maximum(spread, least)
        above[table < PARTS_MIN] = 0.0
        facts = sum(one.facts for _, one in rows)
        for (device, one), far in zip(rows, above.max(axis=1).tolist(), strict=True):
            place = Outlier(device, concept, max(0.0, far), one.facts / facts)
            places.setdefault(device, []).append(place)
    made = [one for several in places.values() for one in _reported(several)]
    return sorted(made, key=lambda one: (-one.spreads, one.device, one.concept))


def _reported(places: list[Outlier]) -> Iterable[Outlier]:
    """Yield the concepts in which a member is far, or the farthest if it is so on average."""
    far = [one for one in places if one.spreads > SPREADS_MAX]
    mean = sum(one.spreads for one in places) / len(places)
    if not far and len(places) > 1 and mean > MEAN_MAX:
        far = [max(places, key=lambda one: (one.spreads, one.concept))]
    for one in far:
        yield replace(one, spreads=round(one.spreads, 1))


def _ballots(arrays: Arrays) -> Iterable[tuple[Concept, NDArray[Any], NDArray[np.int64]]]:
    """Yield each concept with the member's majority bits and its means in `STEPS`."""
    if not arrays:
        return
    counts = arrays["counts"].astype(np.int64)[:, None]
    majorities = 2 * arrays["ones"].astype(np.int32) > counts
    means = (arrays["features"].astype(np.int64) * STEPS) // counts
    yield from zip(concepts_of(arrays), majorities.astype(np.int32), means, strict=True)
