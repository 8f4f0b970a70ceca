"""Conformal calibration: joint novelty scores of known samples, each held out of its concept.

A sample's joint score combines the distances of all blocks with, where exemplars are kept, the
distances to its nearest exemplars.  The calibration keeps the scores that a domain's own samples
get when each is held out; a p-value is a rank among them (Vovk et al. 2005).
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .blocks import Packed
from .geometry import Codes, Geometry, Joined, fingerprint_of, keys_of
from .integers import ONE, Ints, mean, offsets
from .joint import HeldOutSamples, NearestExemplars, ScoredSamples, join_scores
from .layouts import DecisionLayout, MemoryLayout, lay_decision, with_memory
from .memory import Memory
from .neighbours import (
    Exemplars,
    choose,
    coordinates,
    has_neighbours,
    nearest,
    pack_exemplars,
)
from .prototypes import Key
from .rank_means import smooth
from .shrinkage import (
    DEVIATION_MAX,
    EXEMPLAR_PRIOR,
    held_out_deviations,
    shrunk_reference,
    shrunk_scales,
)
from .switches import SwitchStatistics, displacements, switch_statistics
from .time_blocks import BLOCKS, BLOCKS_MIN, TimeOrder, nearest_without_blocks, recut
from .time_statistics import TimeStatistics, time_statistics

Fact = tuple[str, str, Codes]

SKEW_CUT = 4 * ONE
"""Deviations beyond four units count as four in the skewness, so that one outlier does not set the
third moment.  Chosen by hand; effect not measured."""

ENOUGH = 300
"""Samples of a label from which on a known sample is not doubted: what then overlaps does so by
nature.  Without doubt, at a rate of 1 %, 16 % of the PACS photos of an unknown class are new with
30 photos of each class, and 23 % with 100 (`python -m benchmarks trust`)."""

DOUBT_UNKNOWN = 0.1
"""Share of left-out classes' samples that may count as known while labels have few samples: half
of the fifth that is promised, since few classes estimate it."""

DOUBT_KNOWN = 0.87
"""Share of held-out known samples that are never doubted: above the four fifths that are promised,
since fresh samples lie a little farther than held-out ones."""

# A distance to a concept that counts as absent: the score is cut far below it.
_ELSEWHERE = 1 << 40

# Mean 0 and deviation 1, for concepts that have no exemplars to measure.
_UNIT_SCALES = np.asarray([[0, 1], [0, 1]], dtype=np.int64)


class ReferenceScores(msgspec.Struct, frozen=True, eq=False):
    """Held-out scores of the samples nearest to a concept: count, mean and deviation."""

    count: int
    centre: int
    spread: int


DomainPart = tuple[slice, Ints, NearestExemplars | None]


class _MemoryView(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A calibration laid out in the order of a memory's concepts.

    places: each concept's row in the calibration, None if the calibration does not cover it.
    both: int64 [1 + concepts, blocks, 2], the geometry's scales and each concept's own.
    shifted: see `Calibration.offsets_and_deviations`.
    parts: cache of `Calibration.domain_part`.  laid_out, decision: the layout of `_lay_out` and
    that of `layout_for`, as lists of one once they are known; prototypes: those of the latter.
    """

    keys: tuple[Key, ...]
    places: tuple[int | None, ...]
    both: Ints
    shifted: tuple[Ints, Ints]
    parts: dict[str, DomainPart] = msgspec.field(default_factory=dict)
    laid_out: list[DecisionLayout | None] = msgspec.field(default_factory=list)
    decision: list[DecisionLayout] = msgspec.field(default_factory=list)
    prototypes: list[MemoryLayout] = msgspec.field(default_factory=list)

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles are laid out again for the process in use."""
        make = partial(
            _MemoryView, keys=self.keys, places=self.places, both=self.both, shifted=self.shifted
        )
        return make, ()


class Calibration(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Held-out statistics in whole numbers; the order of the facts does not matter.

    keys: the concepts covered, sorted.  scales: int64 [keys, blocks, 2], mean and deviation of the
    distances.  references: int64 [keys, 3], the fields of `ReferenceScores`, count 0 if too few
    samples were held out.  scores: sorted held-out scores per domain.  doubts: the highest score
    that is known without doubt, per domain whose labels have few samples.  skews: 1,024 x the
    skewness of standardised scores per domain.  exemplars: one per key, empty if the geometry uses
    none.
    exemplar_scales: int64 [keys, 2, 2], mean and deviation of the distances to the nearest one.
    in_time: how held-out scores vary in time, for domains whose samples have a known order.
    switches: how their displacements do.
    _noted: what decisions found, see `noted`.
    """

    keys: tuple[Key, ...]
    scales: Ints
    references: Ints
    scores: dict[str, Ints]
    skews: dict[str, int]
    doubts: dict[str, int] = msgspec.field(default_factory=dict)
    exemplars: tuple[Exemplars, ...] = ()
    exemplar_scales: Ints = msgspec.field(
        default_factory=lambda: np.empty((0, 2, 2), dtype=np.int64)
    )
    in_time: dict[str, TimeStatistics] = msgspec.field(default_factory=dict)
    switches: dict[str, SwitchStatistics] = msgspec.field(default_factory=dict)
    _view: list[_MemoryView] = msgspec.field(default_factory=list)
    _references: dict[Key, ReferenceScores] = msgspec.field(default_factory=dict)
    _noted: dict[tuple[str, float], Any] = msgspec.field(default_factory=dict)

    @property
    def noted(self) -> dict[tuple[str, float], Any]:
        """What a decision in a domain at a rate finds each time, kept here by the detector."""
        return self._noted

    def scales_for(self, memory: Memory) -> Ints:
        """Return scales int64 [concepts, blocks, 2] for the memory's columns.  Concepts that the
        calibration does not cover get the geometry's."""
        return self._view_of(memory).both[1:]

    def all_scales(self, memory: Memory) -> Ints:
        """Return the geometry's scales and then each concept's own, int64 [1 + concepts, blocks,
        2]."""
        return self._view_of(memory).both

    def exemplars_for(self, memory: Memory, columns: Sequence[int]) -> NearestExemplars | None:
        """Return the exemplars of some of the memory's columns, None if the geometry keeps none."""
        if not self.exemplars:
            return None
        places = self._view_of(memory).places
        found = [places[column] for column in columns]
        return NearestExemplars(
            tuple(None if place is None else self.exemplars[place] for place in found),
            np.asarray(
                [_UNIT_SCALES if place is None else self.exemplar_scales[place] for place in found]
            ),
        )

    def offsets_and_deviations(self, memory: Memory) -> tuple[Ints, Ints]:
        """Return the geometry's scales and each concept's own in the form that `combine_shifted`
        takes: int64 [2, concepts, blocks] each."""
        return self._view_of(memory).shifted

    def domain_part(self, memory: Memory, domain: str) -> DomainPart:
        """Return the memory's columns of a domain, with their scales and exemplars."""
        view = self._view_of(memory)
        if domain not in view.parts:
            own = memory.parts[domain]
            exemplars = self.exemplars_for(memory, range(own.start, own.stop))
            view.parts[domain] = own, view.both[1:][own], exemplars
        return view.parts[domain]

    def layout_for(self, memory: Memory) -> DecisionLayout | None:
        """Return geometry, memory and this calibration laid out for C; None if C cannot serve
        them."""
        view, prototypes = self._view_of(memory), memory.layout
        if view.prototypes and view.prototypes[0] is prototypes:
            return view.decision[0]
        geometry = memory.geometry.layout
        if geometry is None or prototypes is None:
            return None
        if not view.laid_out:
            view.laid_out.append(self._lay_out(memory))
        if view.laid_out[0] is None:
            return None
        made = with_memory(view.laid_out[0], geometry, prototypes)
        view.decision[:], view.prototypes[:] = [made], [prototypes]
        return made

    def _lay_out(self, memory: Memory) -> DecisionLayout | None:
        near = self.exemplars_for(memory, range(len(memory.keys)))
        layouts = near.layouts if near is not None else ()
        if layouts is None:
            return None
        held = (layouts, near.scales) if near is not None else None
        votes = memory.geometry.votes, memory.geometry.exemplar_votes
        return lay_decision(self.all_scales(memory), memory.parts, held, votes)

    @property
    def reference_scores(self) -> Mapping[Key, ReferenceScores]:
        """The scores of samples nearest to each concept, without concepts that have too few."""
        if not self._references:
            rows = zip(self.keys, self.references.tolist(), strict=True)
            self._references.update({key: ReferenceScores(*row) for key, row in rows if row[0]})
        return self._references

    def digest(self) -> str:
        """Hex SHA-256 of all numbers."""
        return fingerprint_of(self._joined())

    def pack(self) -> Packed:
        """Return all numbers as arrays, for contributions to a fleet."""
        found = self._joined()
        return {k: one.whole() if isinstance(one, Joined) else one for k, one in found.items()}

    def _joined(self) -> dict[str, NDArray[Any] | Joined]:
        """Return what `pack` does, without a copy of the exemplars."""
        domains = sorted(self.scores)
        held_out = [self.scores[domain] for domain in domains]
        return {
            "concepts": np.asarray(self.keys, dtype=np.str_).reshape(len(self.keys), 2),
            "scales": self.scales,
            "usual": self.references,
            "domains": np.asarray(domains, dtype=np.str_),
            "sizes": np.asarray([len(scores) for scores in held_out], dtype=np.int64),
            "skews": np.asarray([self.skews[domain] for domain in domains], dtype=np.int64),
            "scores": np.concatenate([np.empty(0, dtype=np.int64), *held_out]),
            "doubts": np.asarray([self.doubts.get(d, -1) for d in domains], dtype=np.int64),
            "near": self.exemplar_scales,
            **self._pack_times(),
            **pack_exemplars(self.exemplars),
        }

    def _pack_times(self) -> Packed:
        made: Packed = {}
        for domain, found in self.in_time.items():
            made |= found.pack(f"time.{domain}")
        for domain, one in self.switches.items():
            made |= one.pack(f"switch.{domain}")
        return made

    def _view_of(self, memory: Memory) -> _MemoryView:
        keys = memory.keys
        # The keys of an unchanged memory are the same object; comparing them would take long.
        if not self._view or self._view[0].keys is not keys:
            at = {key: place for place, key in enumerate(self.keys)}
            places, default = tuple(map(at.get, keys)), memory.geometry.scales
            rows = [default if place is None else self.scales[place] for place in places]
            both = np.asarray([default, *rows], dtype=np.int64)
            scales = both[1:]
            pair = np.stack([np.broadcast_to(default, scales.shape), scales])
            shifted = offsets(pair), np.ascontiguousarray(pair[..., 1])
            self._view[:] = [_MemoryView(keys=keys, places=places, both=both, shifted=shifted)]
        return self._view[0]


def calibrate(
    memory: Memory,
    facts: Iterable[Fact],
    *,
    exemplars: bool = True,
    orders: Mapping[Key, TimeOrder] | None = None,
    aggregated: bool = False,
) -> Calibration:
    """Calibrate on facts (domain, label, codes) that are all in the memory, in any order.

    Concepts of a single sample are left out: without that sample there is no concept to compare it
    with.  exemplars: False keeps none, so that the calibration holds no sample's coordinates; every
    sample then counts as typically near to an exemplar.  orders: of each concept's facts in time,
    where known: whole blocks are then held out, see `time_blocks`.  aggregated: True, without
    exemplars and orders, makes every number one of at least eight facts, if each concept has as
    many: scores follow from means of neighbouring ranks (`rank_means`), the reference scores of a
    concept are those of its own samples.
    """
    coded = _codes_by_concept(memory, facts)
    in_time = {key: one for key, one in (orders or {}).items() if key in coded and one.splits}
    made = _calibrated(memory, coded, in_time, exemplars=exemplars, aggregated=aggregated)
    for _ in range(1 + BLOCKS - BLOCKS_MIN):
        cut = _recut(made, in_time)
        if not cut:
            break
        in_time |= cut
        made = _calibrated(memory, coded, in_time, exemplars=exemplars, aggregated=aggregated)
    return made


def _recut(made: Calibration, in_time: Mapping[Key, TimeOrder]) -> dict[Key, TimeOrder]:
    """Return the orders of domains whose blocks are too short for their scores, cut again."""
    cut: dict[Key, TimeOrder] = {}
    for domain, found in made.in_time.items():
        keys = [key for key in in_time if key[0] == domain]
        new = recut([in_time[key] for key in keys], found.autocorrelation)
        if new is not None:
            cut |= zip(keys, new, strict=True)
    return cut


def _calibrated(
    memory: Memory,
    coded: dict[Key, Codes],
    in_time: dict[Key, TimeOrder],
    *,
    exemplars: bool,
    aggregated: bool,
) -> Calibration:
    # Samples are compared within their domain only, so learning in one domain changes no other.
    parts = memory.parts
    joined = {
        key: memory.distances_held_out(
            *key, codes, parts[key[0]], in_time[key].folds() if key in in_time else None
        )
        for key, codes in coded.items()
    }
    keys = tuple(coded)
    blocks = len(memory.geometry.scales)
    scales = np.empty((len(keys), blocks, 2), dtype=np.int64)
    for domain in sorted({domain for domain, _ in keys}):
        places = [place for place, key in enumerate(keys) if key[0] == domain]
        within = memory.keys[parts[domain]]
        columns = [within.index(keys[place]) for place in places]
        own = [joined[keys[place]][:, at] for place, at in zip(places, columns, strict=True)]
        scales[places], corrected = shrunk_scales(own)
        for place, column, rows in zip(places, columns, corrected, strict=True):
            joined[keys[place]][:, column] = rows
    kept, exemplar_scales, apart = (
        _choose_exemplars(memory, coded, in_time)
        if exemplars
        else _without_exemplars(memory, coded)
    )
    made = Calibration(
        keys=keys,
        scales=scales,
        references=np.zeros((len(keys), 3), dtype=np.int64),
        scores={},
        skews={},
        exemplars=kept,
        exemplar_scales=exemplar_scales,
    )
    for domain in sorted({domain for domain, _ in keys}):
        of_domain = {key: codes for key, codes in coded.items() if key[0] == domain}
        if aggregated:
            _aggregate_domain(made, memory, of_domain, joined, apart)
            continue
        scored = _score_domain(made, memory, of_domain, joined, apart)
        if all(key in in_time for key in of_domain):
            in_order = [in_time[key] for key in of_domain]
            made.in_time[domain] = time_statistics(in_order, scored)
            moved = [displacements(memory, key, of_domain[key], in_time[key]) for key in of_domain]
            switches = switch_statistics(np.concatenate(moved), in_order) if exemplars else None
            if switches is not None:
                made.switches[domain] = switches
    return made


def _codes_by_concept(memory: Memory, facts: Iterable[Fact]) -> dict[Key, Codes]:
    """Return the codes of each concept with more than one sample, by sorted key."""
    held: dict[Key, list[Codes]] = {}
    counts = memory.counts
    for domain, label, codes in facts:
        if len(codes) and counts.get((domain, label), 0) != 1:
            held.setdefault((domain, label), []).append(codes)
    # Release each concept's batches as they are joined: two copies would double the peak memory.
    return {key: Codes.concat(held.pop(key)) for key in sorted(held)}


def merge_calibrations(parts: Sequence[Calibration]) -> Calibration:
    """Merge at least one calibration that share no concept.  If a domain is in several, all their
    held-out scores count, and the skewness of the last."""
    keys = [key for part in parts for key in part.keys]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    scores: dict[str, Ints] = {}
    skews: dict[str, int] = {}
    doubts: dict[str, int] = {}
    in_time: dict[str, TimeStatistics] = {}
    switches: dict[str, SwitchStatistics] = {}
    for part in parts:
        in_time |= part.in_time
        switches |= part.switches
        skews |= part.skews
        doubts |= part.doubts
        for domain, found in part.scores.items():
            # A domain's scores are sorted, and shared with the part that they come from.
            before = scores.get(domain)
            both = found if before is None else np.sort(np.concatenate([before, found]))
            scores[domain] = both
    exemplars = [held for part in parts for held in part.exemplars]
    exemplar_scales = np.concatenate([part.exemplar_scales for part in parts])
    return Calibration(
        keys=tuple(keys[at] for at in order),
        scales=np.concatenate([part.scales for part in parts])[order],
        references=np.concatenate([part.references for part in parts])[order],
        scores=scores,
        skews=skews,
        doubts=doubts,
        exemplars=tuple(exemplars[at] for at in order) if exemplars else (),
        exemplar_scales=exemplar_scales[order] if exemplars else exemplar_scales,
        in_time=in_time,
        switches=switches,
    )


def _choose_exemplars(
    memory: Memory, coded: dict[Key, Codes], in_time: Mapping[Key, TimeOrder]
) -> tuple[tuple[Exemplars, ...], Ints, dict[Key, Ints]]:
    """Return exemplars per key, the scales of the distances to the nearest other one, and each
    sample's own distances, int64 [n, 2] per key."""
    if not has_neighbours(memory.geometry):
        return (), np.empty((0, 2, 2), dtype=np.int64), {}
    exemplars = tuple(choose(memory.geometry, codes) for codes in coded.values())
    scales = np.empty((len(coded), 2, 2), dtype=np.int64)
    apart: dict[Key, Ints] = {}
    for (key, codes), held in zip(coded.items(), exemplars, strict=True):
        if key in in_time:
            apart[key] = nearest_without_blocks(memory.geometry, held, codes, in_time[key])
        else:
            apart[key] = nearest(held, *coordinates(memory.geometry, codes), keys_of(codes))
    for domain in sorted({domain for domain, _ in coded}):
        places = [place for place, key in enumerate(coded) if key[0] == domain]
        rows = [apart[list(coded)[place]] for place in places]
        found = [(part >= 0).all(axis=1) for part in rows]
        own = [part[there] for part, there in zip(rows, found, strict=True)]
        scales[places], corrected = shrunk_scales(own, EXEMPLAR_PRIOR, EXEMPLAR_PRIOR)
        for place, part, there, better in zip(places, rows, found, corrected, strict=True):
            part[~there] = scales[place, :, 0]
            part[there] = better
    return exemplars, scales, apart


def empty_exemplars(geometry: Geometry, concepts: int) -> tuple[tuple[Exemplars, ...], Ints]:
    """Return empty exemplars and their scales, for concepts whose samples are not available."""
    if not has_neighbours(geometry):
        return (), np.empty((0, 2, 2), dtype=np.int64)
    columns, rest = geometry.spans[0], geometry.spans[1]
    floats = [np.empty((0, b - a), np.float32) for a, b in (columns, (rest[0], rest[1] - 1))]
    none = Exemplars(np.empty(0, dtype=np.uint64), floats[0], floats[1])
    return (none,) * concepts, np.tile(_UNIT_SCALES, (concepts, 1, 1))


def _without_exemplars(
    memory: Memory, coded: dict[Key, Codes]
) -> tuple[tuple[Exemplars, ...], Ints, dict[Key, Ints]]:
    none, scales = empty_exemplars(memory.geometry, len(coded))
    if not none:
        return none, scales, {}
    return none, scales, {key: np.zeros((len(codes), 2), np.int64) for key, codes in coded.items()}


def _score_domain(
    made: Calibration,
    memory: Memory,
    coded: dict[Key, Codes],
    held: dict[Key, Ints],
    apart_of: dict[Key, Ints],
) -> Ints:
    """Fill in the scores of one domain's held-out samples against the domain's concepts; return
    the deviations, in units of 1,024, that they would have as fresh samples, in the order of
    `coded`."""
    domain = next(iter(coded))[0]
    part = memory.parts[domain]
    within = memory.keys[part]
    distances = np.concatenate([held[key] for key in coded])
    own = np.repeat([within.index(key) for key in coded], [len(codes) for codes in coded.values()])
    held_out = (
        HeldOutSamples(own, np.concatenate([apart_of[key] for key in coded])) if apart_of else None
    )
    samples = ScoredSamples(memory.geometry, Codes.concat(list(coded.values())), held_out)
    _, scales, near = made.domain_part(memory, domain)
    lowest, closest = join_scores(distances, scales, samples, near)
    made.scores[domain] = np.sort(lowest)
    if len(coded) > 1 and len(own) < ENOUGH * len(coded):
        others = distances.copy()
        others[np.arange(len(own)), own] = _ELSEWHERE
        unknown = np.sort(join_scores(others, scales, samples, near)[0])
        made.doubts[domain] = _doubt(made.scores[domain], unknown)
    centre = int(mean(lowest.sum(), len(lowest)))
    variance = int(mean(np.square(lowest - centre).sum(), len(lowest)))
    deviations, fresh = np.zeros((2, len(lowest)), dtype=np.int64)
    for place, key in enumerate(made.keys):
        if key[0] == domain:
            nearest_here = closest == within.index(key)
            reference = shrunk_reference(lowest[nearest_here], centre, variance)
            made.references[place] = reference
            above = (lowest[nearest_here] - reference[1]) * ONE // reference[2]
            deviations[nearest_here] = np.clip(above, -DEVIATION_MAX, DEVIATION_MAX)
            fresh[nearest_here] = held_out_deviations(lowest[nearest_here], centre, variance)
    made.skews[domain] = _skew(deviations)
    return fresh


def _aggregate_domain(
    made: Calibration,
    memory: Memory,
    coded: dict[Key, Codes],
    held: dict[Key, Ints],
    apart_of: dict[Key, Ints],
) -> None:
    """Fill in the scores of one domain's held-out samples, each number from all samples of a
    concept, or from at least eight of the domain."""
    domain = next(iter(coded))[0]
    sizes = [len(codes) for codes in coded.values()]
    within = memory.keys[memory.parts[domain]]
    own = np.repeat([within.index(key) for key in coded], sizes)
    held_out = (
        HeldOutSamples(own, np.concatenate([apart_of[key] for key in coded])) if apart_of else None
    )
    samples = ScoredSamples(memory.geometry, Codes.concat(list(coded.values())), held_out)
    _, scales, near = made.domain_part(memory, domain)
    distances = np.concatenate([held[key] for key in coded])
    lowest, _ = join_scores(distances, scales, samples, near)
    made.scores[domain] = smooth(np.sort(lowest))
    centre = int(mean(lowest.sum(), len(lowest)))
    variance = int(mean(np.square(lowest - centre).sum(), len(lowest)))
    deviations = []
    for key, scores in zip(coded, np.split(lowest, np.cumsum(sizes)[:-1]), strict=True):
        reference = shrunk_reference(scores, centre, variance)
        made.references[made.keys.index(key)] = reference
        above = (scores - reference[1]) * ONE // reference[2]
        deviations.append(np.clip(above, -DEVIATION_MAX, DEVIATION_MAX))
    made.skews[domain] = _skew(np.concatenate(deviations))


def _doubt(known: Ints, unknown: Ints) -> int:
    """Return the highest score that is known without doubt.

    known: sorted held-out scores.  unknown: sorted scores of the same samples without their own
    concept, as if its class were unknown.
    """
    most = int(DOUBT_UNKNOWN * len(unknown))
    below = int(unknown[most]) - 1
    return max(below, int(known[ceil(DOUBT_KNOWN * len(known)) - 1]))


def _skew(deviations: NDArray[np.int64]) -> int:
    """Return 1,024 x the third moment of deviations in units of 1,024, cut at `SKEW_CUT`."""
    cut = np.clip(deviations, -SKEW_CUT, SKEW_CUT)
    return int(mean((cut**3 // ONE**2).sum(), len(cut)))
