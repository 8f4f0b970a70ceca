"""What known samples usually get, measured on the samples themselves, each held out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .blocks import Packed
from .codes import Codes
from .geometry import Geometry, fingerprint_of, keys_of
from .integers import Ints, mean, root
from .joint import HeldOutSamples, NearestExemplars, ScoredSamples, join_scores
from .memory import Key, Memory
from .neighbours import Exemplars, choose, coordinates, has_neighbours, nearest, pack_exemplars
from .scoring import offsets

Fact = tuple[str, str, Codes]

CENTRE_PRIOR = 5
"""Samples' worth of its domain's mean distance in a concept's own.  Chosen by hand; effect not
measured."""

SPREAD_PRIOR = 20
"""Samples' worth of its domain's variance in a concept's own.  Chosen by hand; effect not
measured."""

ONE = 1024

_USUAL = np.asarray([[0, 1], [0, 1]], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceScores:
    """Held-out scores of one concept's samples, those nearest to it: count, mean and spread."""

    count: int
    centre: int
    spread: int


Part = tuple[slice, Ints, NearestExemplars | None]


@dataclass(frozen=True, slots=True, eq=False)
class _AlignedScores:
    """Where a memory's concepts stand in a calibration, None where it does not cover them, the
    scales for them, the same beside the geometry's as `Calibration.both` gives them, and what was
    asked of a domain: see `Calibration.part`."""

    keys: tuple[Key, ...]
    places: tuple[int | None, ...]
    scales: Ints
    both: tuple[Ints, Ints]
    parts: dict[str, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Whole numbers only, whatever the order of the facts.

    keys: the concepts covered, sorted.  scales: int64 [keys, blocks, 2], usual distance and
    spread.  usual: int64 [keys, 3], see `ReferenceScores`.  scores: sorted held-out scores per
    domain.
    skews: 1,024 x the skewness of standardised scores per domain.  exemplars: per key where the
    geometry has neighbours, else empty; near: int64 [keys, 2, 2], usual distances to the nearest
    of them and their spreads.
    """

    keys: tuple[Key, ...]
    scales: Ints
    usual: Ints
    scores: dict[str, Ints]
    skews: dict[str, int]
    exemplars: tuple[Exemplars, ...] = ()
    near: Ints = field(default_factory=lambda: np.empty((0, 2, 2), dtype=np.int64))
    _aligned: list[_AlignedScores] = field(default_factory=list)
    _usual: dict[Key, ReferenceScores] = field(default_factory=dict)

    def scales_for(self, memory: Memory) -> Ints:
        """Scales int64 [concepts, blocks, 2] for the memory's columns; the geometry's where the
        calibration does not cover a concept."""
        return self._aligned_with(memory).scales

    def near_for(self, memory: Memory, columns: Sequence[int]) -> NearestExemplars | None:
        """Exemplars of some of the memory's columns, None where the geometry keeps none."""
        if not self.exemplars:
            return None
        places = self._aligned_with(memory).places
        found = [places[column] for column in columns]
        return NearestExemplars(
            tuple(None if place is None else self.exemplars[place] for place in found),
            np.asarray([_USUAL if place is None else self.near[place] for place in found]),
        )

    def both(self, memory: Memory) -> tuple[Ints, Ints]:
        """The geometry's scales and each concept's own, as offsets and spreads for `combine_on`:
        int64 [2, concepts, blocks] each."""
        return self._aligned_with(memory).both

    def part(self, memory: Memory, domain: str) -> Part:
        """The columns of a domain of the memory, with their scales and exemplars."""
        aligned = self._aligned_with(memory)
        if domain not in aligned.parts:
            mine = memory.parts[domain]
            near = self.near_for(memory, range(mine.start, mine.stop))
            aligned.parts[domain] = mine, aligned.scales[mine], near
        return aligned.parts[domain]

    def usual_of(self, key: Key) -> ReferenceScores | None:
        """What samples nearest to a concept score, or None where too few were held out."""
        return self.usuals.get(key)

    @property
    def usuals(self) -> Mapping[Key, ReferenceScores]:
        """`usual_of` every concept that has enough."""
        if not self._usual:
            rows = zip(self.keys, self.usual.tolist(), strict=True)
            self._usual.update({of: ReferenceScores(*row) for of, row in rows if row[0]})
        return self._usual

    def digest(self) -> str:
        """Hex SHA-256 of all numbers."""
        return fingerprint_of(self.pack())

    def pack(self) -> Packed:
        """All numbers as arrays: what `digest` covers, and what a contribution is made of."""
        domains = sorted(self.scores)
        held = [self.scores[domain] for domain in domains]
        return {
            "concepts": np.asarray(self.keys, dtype=np.str_).reshape(len(self.keys), 2),
            "scales": self.scales,
            "usual": self.usual,
            "domains": np.asarray(domains, dtype=np.str_),
            "sizes": np.asarray([len(scores) for scores in held], dtype=np.int64),
            "skews": np.asarray([self.skews[domain] for domain in domains], dtype=np.int64),
            "scores": np.concatenate([np.empty(0, dtype=np.int64), *held]),
            "near": self.near,
            **pack_exemplars(list(self.exemplars)),
        }

    def _aligned_with(self, memory: Memory) -> _AlignedScores:
        keys = memory.keys
        # The keys of an unchanged memory are the very same object; comparing them would take long.
        if not self._aligned or self._aligned[0].keys is not keys:
            at = {key: place for place, key in enumerate(self.keys)}
            places, default = tuple(map(at.get, keys)), memory.geometry.scales
            rows = [default if place is None else self.scales[place] for place in places]
            scales = np.asarray(rows, dtype=np.int64).reshape(-1, *default.shape)
            pair = np.stack([np.broadcast_to(default, scales.shape), scales])
            both = offsets(pair), np.ascontiguousarray(pair[..., 1])
            self._aligned[:] = [_AlignedScores(keys, places, scales, both)]
        return self._aligned[0]


def calibrate(memory: Memory, facts: Iterable[Fact], *, exemplars: bool = True) -> Calibration:
    """Held-out scores of facts (domain, label, codes) that are all in the memory, in any order.

    Concepts of a single sample are left out: without it there is nothing to compare with.
    exemplars: False keeps none, so that what is made holds no sample's coordinates; every sample
    then counts as being as near to an exemplar as is usual.
    """
    held: dict[Key, list[Codes]] = {}
    counts = memory.counts
    for domain, label, codes in facts:
        if len(codes) and counts.get((domain, label), 0) != 1:
            held.setdefault((domain, label), []).append(codes)
    # Each concept's batches go as they are joined: all codes twice would double the peak.
    coded = {key: Codes.concat(held.pop(key)) for key in sorted(held)}
    # A sample meets its own domain only: what another domain learns changes nothing.
    parts = memory.parts
    joined = {
        key: memory.distances_held_out(*key, codes, parts[key[0]]) for key, codes in coded.items()
    }
    keys = tuple(coded)
    blocks = len(memory.geometry.scales)
    scales = np.empty((len(keys), blocks, 2), dtype=np.int64)
    for domain in sorted({domain for domain, _ in keys}):
        mine = [place for place, key in enumerate(keys) if key[0] == domain]
        within = memory.keys[parts[domain]]
        columns = [within.index(keys[place]) for place in mine]
        own = [joined[keys[place]][:, at] for place, at in zip(mine, columns, strict=True)]
        scales[mine], left = _scales(own)
        for place, column, rows in zip(mine, columns, left, strict=True):
            joined[keys[place]][:, column] = rows
    usual = np.zeros((len(keys), 3), dtype=np.int64)
    held_by, near, apart = _remember(memory, coded) if exemplars else _withhold(memory, coded)
    made = Calibration(
        keys=keys, scales=scales, usual=usual, scores={}, skews={}, exemplars=held_by, near=near
    )
    for domain in sorted({domain for domain, _ in keys}):
        of_domain = {key: codes for key, codes in coded.items() if key[0] == domain}
        _settle(made, memory, of_domain, joined, apart)
    return made


def merge_calibrations(parts: Sequence[Calibration]) -> Calibration:
    """One calibration of several, at least one, that share no concept; of a domain in two, the
    held-out scores of both count, and the later one's skewness."""
    keys = [key for part in parts for key in part.keys]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    scores: dict[str, Ints] = {}
    skews: dict[str, int] = {}
    for part in parts:
        skews |= part.skews
        for domain, found in part.scores.items():
            both = [scores[domain], found] if domain in scores else [found]
            scores[domain] = np.sort(np.concatenate(both))
    exemplars = [held for part in parts for held in part.exemplars]
    near = np.concatenate([part.near for part in parts])
    return Calibration(
        keys=tuple(keys[at] for at in order),
        scales=np.concatenate([part.scales for part in parts])[order],
        usual=np.concatenate([part.usual for part in parts])[order],
        scores=scores,
        skews=skews,
        exemplars=tuple(exemplars[at] for at in order) if exemplars else (),
        near=near[order] if exemplars else near,
    )


def _remember(
    memory: Memory, coded: dict[Key, Codes]
) -> tuple[tuple[Exemplars, ...], Ints, dict[Key, Ints]]:
    """Exemplars per key, how far from the nearest other one its samples usually lie, and how far
    each does, int64 [n, 2] per key."""
    if not has_neighbours(memory.geometry):
        return (), np.empty((0, 2, 2), dtype=np.int64), {}
    exemplars = tuple(choose(memory.geometry, codes) for codes in coded.values())
    near = np.empty((len(coded), 2, 2), dtype=np.int64)
    apart: dict[Key, Ints] = {}
    for (key, codes), held in zip(coded.items(), exemplars, strict=True):
        apart[key] = nearest(held, *coordinates(memory.geometry, codes), keys_of(codes))
    for domain in sorted({domain for domain, _ in coded}):
        mine = [place for place, key in enumerate(coded) if key[0] == domain]
        rows = [apart[list(coded)[place]] for place in mine]
        found = [(part >= 0).all(axis=1) for part in rows]
        near[mine], left = _scales([part[there] for part, there in zip(rows, found, strict=True)])
        for place, part, there, better in zip(mine, rows, found, left, strict=True):
            part[~there] = near[place, :, 0]
            part[there] = better
    return exemplars, near, apart


def held_out_scores(geometry: Geometry, concepts: int) -> tuple[tuple[Exemplars, ...], Ints]:
    """Exemplars and their scales, for a calibration of concepts whose samples are not at hand."""
    if not has_neighbours(geometry):
        return (), np.empty((0, 2, 2), dtype=np.int64)
    columns, rest = geometry.spans[0], geometry.spans[1]
    floats = [np.empty((0, b - a), np.float32) for a, b in (columns, (rest[0], rest[1] - 1))]
    none = Exemplars(np.empty(0, dtype=np.uint64), floats[0], floats[1])
    return (none,) * concepts, np.tile(_USUAL, (concepts, 1, 1))


def _withhold(
    memory: Memory, coded: dict[Key, Codes]
) -> tuple[tuple[Exemplars, ...], Ints, dict[Key, Ints]]:
    none, near = held_out_scores(memory.geometry, len(coded))
    if not none:
        return none, near, {}
    return none, near, {key: np.zeros((len(codes), 2), np.int64) for key, codes in coded.items()}


def _scales(own: list[Ints]) -> tuple[Ints, list[Ints]]:
    """Usual distance and spread int64 [labels, blocks, 2], each leaning on those of all labels, and
    the distances as they would look on these scales had each not had a part in making them: a
    sample that helps to say what is usual looks a little too usual, and a fresh one does not."""
    together = np.concatenate(own)
    centre = mean(together.sum(axis=0), len(together))
    variance = mean(np.square(together - centre).sum(axis=0), len(together))
    made = np.empty((len(own), together.shape[1], 2), dtype=np.int64)
    left = []
    for place, rows in enumerate(own):
        moved, count = rows - centre, len(rows)
        sums, squares = moved.sum(axis=0), np.square(moved).sum(axis=0)
        usual, spread = _usual_of(sums, squares, count, variance)
        made[place, :, 0], made[place, :, 1] = usual + centre, spread
        rest = sums - moved, squares - np.square(moved)
        without, narrower = _usual_of(*rest, max(0, count - 1), variance)
        units = (moved - without) * ONE // narrower
        left.append(usual + centre + units * spread // ONE)
    return made, left


def _usual_of(sums: Ints, squares: Ints, count: int, variance: Ints) -> tuple[Ints, Ints]:
    """Mean and spread of `count` numbers with these sums, leaning on 0 and on a variance."""
    usual = mean(sums, count + CENTRE_PRIOR)
    apart = squares - 2 * usual * sums + count * np.square(usual)
    spread = root(mean(apart + SPREAD_PRIOR * variance, count + SPREAD_PRIOR))
    return usual, np.maximum(spread, 1)


def _settle(
    made: Calibration,
    memory: Memory,
    coded: dict[Key, Codes],
    held: dict[Key, Ints],
    apart_of: dict[Key, Ints],
) -> None:
    """Fill in what one domain's held-out samples score against the domain's concepts."""
    domain = next(iter(coded))[0]
    part = memory.parts[domain]
    within = memory.keys[part]
    distances = np.concatenate([held[key] for key in coded])
    own = np.repeat([within.index(key) for key in coded], [len(codes) for codes in coded.values()])
    held_out = (
        HeldOutSamples(own, np.concatenate([apart_of[key] for key in coded])) if apart_of else None
    )
    samples = ScoredSamples(memory.geometry, Codes.concat(list(coded.values())), held_out)
    _, scales, near = made.part(memory, domain)
    lowest, closest = join_scores(distances, scales, samples, near)
    made.scores[domain] = np.sort(lowest)
    centre = int(mean(lowest.sum(), len(lowest)))
    variance = int(mean(np.square(lowest - centre).sum(), len(lowest)))
    apart = np.zeros(len(lowest), dtype=np.int64)
    for place, key in enumerate(made.keys):
        if key[0] == domain:
            mine = closest == within.index(key)
            made.usual[place] = _usual(lowest[mine], centre, variance)
            apart[mine] = (lowest[mine] - made.usual[place, 1]) * 1024 // made.usual[place, 2]
    made.skews[domain] = _skew(apart)


def _usual(scores: Ints, centre: int, variance: int) -> tuple[int, int, int]:
    count = len(scores)
    mine = int(mean(scores.sum() + CENTRE_PRIOR * centre, count + CENTRE_PRIOR))
    squares = np.square(scores - mine).sum() + SPREAD_PRIOR * variance
    return count, mine, max(1, int(root(mean(squares, count + SPREAD_PRIOR))))


def _skew(apart: NDArray[np.int64]) -> int:
    """1,024 x the third moment of deviations given as 1,024 a unit, cut at four units."""
    cut = np.clip(apart, -4096, 4096)
    return int(mean((cut**3 // 1024**2).sum(), len(cut)))
