"""Knowledge measured as an extract for a microcontroller would know it.

An extract has the first bits of the hypervectors and, where wanted, columns and plane; exemplars
and the norms of several taps stay behind.  What is usual and what is still known are therefore
measured anew, each fact against its concept without it.
"""

from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge
import hdc

from ..core.adaptors import LEVELS
from .measured_facts import MeasuredFacts
from .parts import LEVELS_WHOLE, columns_part, head_part, plane_part

Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ExtractShape:
    """What of the knowledge goes into an extract.  domains: those that are kept, sorted.
    head_bits: 8 or 4 a weight; shared: one head for all domains; rounds: of random features that
    this head takes too."""

    bits: int
    columns: bool
    plane: bool
    domains: tuple[str, ...]
    head_bits: int = 8
    shared: bool = False
    rounds: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredExtract:
    """An extract, what it costs and what it keeps, in fractions of 1.

    routed: facts, each held out, whose nearest concept is of their domain; labelled: and of their
    label.  answered: facts to which heads that have not seen them give their label, on the route of
    the extract.  agreed: facts to which the integer head of their domain gives the answer of the
    served adaptor.  detected: facts that are new to another domain alone, and would be told to be;
    None with one domain.  Facts of domains that are left out count as wrong.
    """

    shape: ExtractShape
    extract: bridge.Extract = field(repr=False)
    flash_bytes: int
    ram_bytes: int
    routed: float
    labelled: float
    answered: float
    agreed: float
    detected: float | None
    routes: NDArray[np.str_] = field(repr=False)

    @property
    def random_count(self) -> int:
        """How many random features the head takes."""
        return self.extract.random.weights.shape[1] if self.extract.random else 0


def full_shape(ground: MeasuredFacts) -> ExtractShape:
    """All that an extract can hold of the ground."""
    geometry = ground.geometry
    has_columns, has_plane = geometry.columns is not None, geometry.plane is not None
    return ExtractShape(geometry.bits, has_columns, has_plane, ground.domains)


def measure_extract(ground: MeasuredFacts, shape: ExtractShape, rate: float) -> MeasuredExtract:
    """Make the extract of a shape, with false alarms at `rate`, and measure it."""
    kept = [c for c, (domain, _) in enumerate(ground.concepts) if domain in shape.domains]
    blocks = _blocks(ground.geometry, shape)
    mine = np.isin(ground.own, kept)
    own = np.searchsorted(kept, ground.own[mine])
    held = _distances(ground, shape.bits)[mine][:, kept][..., blocks]
    names = np.array([ground.concepts[c][0] for c in kept])
    scales, common = _scales(ground, shape, held[np.arange(len(own)), own, 0], names[own], kept)
    votes = tuple(int(vote) for vote in ground.geometry.votes[blocks])
    scores = bridge.combine(held, scales, votes)
    routed = names[bridge.combine(held, common, votes).argmin(axis=1)]
    there = np.where(names[None] == routed[:, None], scores, np.iinfo(np.int64).max)
    limits, detected = _limits(ground, shape, scores, names, names[own], rate)
    extract = _assemble(ground, shape, kept, (scales, common), limits)
    routes = np.full(len(mine), "", names.dtype)
    routes[mine] = routed
    return MeasuredExtract(
        shape,
        extract,
        len(bridge.pack_extract(extract)) + bridge.code_bytes(extract),
        bridge.ram_bytes(extract),
        float((routed == names[own]).sum() / len(mine)),
        float((there.argmin(axis=1) == own).sum() / len(mine)),
        _answered(ground, extract, shape, routes),
        _agreement(ground, extract, mine, names[own]),
        detected,
        routes,
    )


def with_head(
    ground: MeasuredFacts,
    one: MeasuredExtract,
    head_bits: int = 8,
    *,
    shared: bool = True,
    rounds: int = 0,
) -> MeasuredExtract:
    """The same extract with heads of another size, measured again; with rounds of random features
    it is one for all domains."""
    shape = replace(one.shape, head_bits=head_bits, shared=shared, rounds=rounds)
    extract = _headed(ground, one.extract, shape, trial=False)
    kept = [domain in shape.domains for domain, _ in ground.concepts]
    mine = np.array(kept)[ground.own]
    names = np.array([domain for domain, _ in ground.concepts])[ground.own[mine]]
    flash_bytes = len(bridge.pack_extract(extract)) + bridge.code_bytes(extract)
    return replace(
        one,
        shape=shape,
        extract=extract,
        flash_bytes=flash_bytes,
        ram_bytes=bridge.ram_bytes(extract),
        answered=_answered(ground, extract, shape, one.routes),
        agreed=_agreement(ground, extract, mine, names),
    )


def _headed(
    ground: MeasuredFacts, extract: bridge.Extract, shape: ExtractShape, *, trial: bool
) -> bridge.Extract:
    """The extract with the heads of a shape, or with those for trial."""
    labels = list(extract.labels)
    if shape.rounds:
        head, random = ground.random.parts(shape.rounds, labels, trial=trial)
        return replace(extract, heads=(head,) * len(shape.domains), random=random)
    heads = _heads(ground, shape, labels, trial=trial)
    return replace(extract, heads=heads, random=None)


def _answered(
    ground: MeasuredFacts, extract: bridge.Extract, shape: ExtractShape, routes: NDArray[np.str_]
) -> float:
    """The share of facts to which heads for trial give their label.  routes: domain of each fact of
    the ground, "" where its own is left out."""
    tried, places = _headed(ground, extract, shape, trial=True), ground.trial.places
    right = 0
    for number, name in enumerate(shape.domains):
        part = places[routes[places] == name]
        wanted = [ground.concepts[concept][1] for concept in ground.own[part]]
        right += int((_answers(ground, tried, number, part, trial=True) == wanted).sum())
    return right / max(1, len(places))


def _answers(
    ground: MeasuredFacts, extract: bridge.Extract, number: int, part: Ints, *, trial: bool
) -> NDArray[np.str_]:
    """The label that a domain's head gives each fact of a part of the ground, by place.  Those over
    random features are the same for all extracts, and kept."""
    head, names = extract.heads[number], np.array(extract.labels)
    assert head is not None, "an extract of gathered knowledge has a head a domain"
    numbers = np.array(head.names)
    if extract.random is None:
        scores = bridge.head_scores(extract, head, ground.rows[part])
        return np.asarray(names[numbers[scores.argmax(axis=1)]])
    known, key = ground.random.answers, (extract.random.rounds, trial)
    if key not in known:
        scores = bridge.head_scores(extract, head, ground.rows)
        known[key] = names[numbers[scores.argmax(axis=1)]]
    return np.asarray(known[key][part])


def _limits(
    ground: MeasuredFacts,
    shape: ExtractShape,
    scores: Ints,
    names: NDArray[np.str_],
    domains: NDArray[np.str_],
    rate: float,
) -> tuple[Ints, float | None]:
    """The limit of each domain, and how many facts of all others lie above it."""
    limits, seen = [], []
    for name in shape.domains:
        lowest = scores[:, names == name].min(axis=1)
        held = np.sort(lowest[domains == name])
        served = _is_whole(ground, shape)
        limits.append(_limit(ground.calibration.scores[name] if served else held, rate))
        if limits[-1] != bridge.UNDECIDED:
            seen.append(lowest[domains != name] > limits[-1])
    others = np.concatenate(seen) if seen else np.empty(0)
    return np.array(limits, np.int64), float(others.mean()) if len(others) else None


def _blocks(geometry: hdc.Geometry, shape: ExtractShape) -> list[int]:
    """Which blocks of a code are kept, in their order: the bits are 0."""
    kept = [0]
    kept += [1] if shape.columns and geometry.columns is not None else []
    return kept + ([2] if shape.plane and geometry.plane is not None else [])


def _is_whole(ground: MeasuredFacts, shape: ExtractShape) -> bool:
    """Say whether an extract leaves nothing of the detector out."""
    return not ground.geometry.blocks and shape.bits == ground.geometry.bits


def _distances(ground: MeasuredFacts, bits: int) -> Ints:
    """The held-out distances with the first `bits` bits in place of all."""
    made, part = ground.held.copy(), ground.bits[:, :bits]
    if bits == ground.geometry.bits:
        return made
    for concept, (ones, count) in enumerate(zip(ground.ones[:, :bits], ground.counts, strict=True)):
        mine = ground.own == concept
        made[~mine, concept, 0] = (part[~mine] != (2 * ones > count)).sum(axis=1)
        # A concept of one fact is nothing without it: its distance stays the usual one.
        usual = int(ground.geometry.scales[0, 0]) * bits // ground.geometry.bits
        without = 2 * (ones - part[mine]) > count - 1
        made[mine, concept, 0] = (without != part[mine]).sum(axis=1) if count > 1 else usual
    return made


def _scales(
    ground: MeasuredFacts,
    shape: ExtractShape,
    seen: Ints,
    domains: NDArray[np.str_],
    kept: list[int],
) -> tuple[Ints, Ints]:
    """What is usual for each concept, and on one scale for all.  seen: each fact's distance to its
    own concept in the bits kept; domains: of the facts."""
    blocks = _blocks(ground.geometry, shape)
    scales, common = ground.scales[kept][:, blocks].copy(), ground.geometry.scales[blocks].copy()
    if shape.bits == ground.geometry.bits:
        return scales, common
    own = ground.own[np.isin(ground.own, kept)]
    for place, concept in enumerate(kept):
        same = seen[domains == ground.concepts[concept][0]]
        scales[place, 0] = _usual(seen[own == concept], same)
    common[0] = _usual(seen, seen)
    if not ground.geometry.blocks:
        part = ground.geometry.scales[0] * shape.bits // ground.geometry.bits
        common[0] = np.maximum(part, [0, 1])
    return scales, common


def _usual(group: Ints, all_of_domain: Ints) -> tuple[int, int]:
    """Mean and spread of a group of distances, leaning on those of its domain."""
    centre, variance = float(all_of_domain.mean()), float(all_of_domain.var())
    mean = centre + float((group - centre).sum()) / (len(group) + hdc.CENTRE_PRIOR)
    squares = float(np.square(group - mean).sum()) + hdc.SPREAD_PRIOR * variance
    return round(mean), max(1, int(np.sqrt(squares / (len(group) + hdc.SPREAD_PRIOR))))


def _limit(held: Ints, rate: float) -> int:
    """The highest score that is known at a rate of false alarms: its conformal p-value, the rank
    among the held-out scores, exceeds the rate.  -1 where those are too few to tell."""
    count = len(held)
    if count < ceil(1 / rate) - 1:
        return bridge.UNDECIDED
    at_least = next(m for m in range(count + 1) if (1 + m) / (1 + count) > rate)
    return int(held[count - at_least]) if at_least else bridge.SCORE_MAX


def _assemble(
    ground: MeasuredFacts,
    shape: ExtractShape,
    kept: list[int],
    scales: tuple[Ints, Ints],
    limits: Ints,
) -> bridge.Extract:
    geometry, blocks = ground.geometry, _blocks(ground.geometry, shape)
    solved = (ground.shared, *(ground.heads[name] for name in shape.domains))
    concepts = [ground.concepts[c] for c in kept]
    labels = sorted({name for _, name in concepts} | {n for head in solved for n in head.labels})
    majority = 2 * ground.ones[kept, : shape.bits] > ground.counts[kept, None]
    octets = np.packbits(majority, axis=1, bitorder="little")
    return bridge.Extract(
        width=geometry.width,
        tap=geometry.slices[0],
        seed=geometry.seed,
        bits=shape.bits,
        domains=shape.domains,
        labels=tuple(labels),
        concepts=tuple((shape.domains.index(d), labels.index(name)) for d, name in concepts),
        majorities=octets.view("<u4").astype(np.uint32),
        votes=tuple(int(vote) for vote in geometry.votes[blocks]),
        scales=scales[0],
        common=scales[1],
        limits=limits,
        heads=_heads(ground, shape, labels, trial=False),
        levels=LEVELS_WHOLE,
        columns=columns_part(geometry, ground.means[kept]) if 1 in blocks else None,
        plane=plane_part(geometry, ground.means[kept]) if 2 in blocks else None,
    )


def _heads(
    ground: MeasuredFacts, shape: ExtractShape, labels: list[str], *, trial: bool
) -> tuple[bridge.HeadPart, ...]:
    solved = ground.trial if trial else ground
    if shape.shared:
        usual = LEVELS[ground.rows].mean(axis=0, dtype=np.float64)
        return (head_part(solved.shared, labels, usual, shape.head_bits),) * len(shape.domains)
    made = []
    for name in shape.domains:
        mine = [ground.concepts[c][0] == name for c in ground.own]
        usual = LEVELS[ground.rows[mine]].mean(axis=0, dtype=np.float64)
        made.append(head_part(solved.heads[name], labels, usual, shape.head_bits))
    return tuple(made)


def _agreement(
    ground: MeasuredFacts, extract: bridge.Extract, mine: Bits, domains: NDArray[np.str_]
) -> float:
    """The share of all facts to which the integer head gives the served answer."""
    places, same = np.flatnonzero(mine), 0
    for number, name in enumerate(extract.domains):
        part, served = places[domains == name], ground.served[name]
        theirs = np.array(served.labels)[served.answer(ground.rows[part]).argmax(axis=1)]
        same += int((_answers(ground, extract, number, part, trial=False) == theirs).sum())
    return same / len(mine)
