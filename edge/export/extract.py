"""Build the extract of the knowledge that a microcontroller holds, and measure its accuracy.

An extract has the first bits of the hypervectors and optionally the columns and plane blocks;
exemplars and the norms of several taps are left out.  Scales and novelty thresholds are therefore
calibrated again for each extract, on leave-one-out distances.
"""

from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge
import hdc

from ..core.adaptors import LEVELS
from .fact_statistics import FactStatistics
from .quantised_parts import LEVELS_WHOLE, columns_block, plane_block, quantise_head

Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractShape:
    """The parts of the knowledge that an extract holds.

    bits: of a hypervector.  columns, plane: whether these blocks are included.  domains: included
    ones, sorted.  head_bits: 8 or 4 for each weight; shared: one head for all domains; rounds: of
    random features that the shared head takes, 0 for none.
    """

    bits: int
    columns: bool
    plane: bool
    domains: tuple[str, ...]
    head_bits: int = 8
    shared: bool = False
    rounds: int = 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeasuredExtract:
    """An extract with its cost in bytes and its quality in fractions of 1.

    routed: share of held-out facts whose nearest concept is in their domain; labelled: share whose
    nearest concept in that domain also has their label.  answered: accuracy of heads that have not
    seen the facts, on the domains that the extract routes to.  agreed: share of facts to which the
    integer head of their domain gives the answer of the served adaptor.  detected: share of facts
    of other domains that a domain reports as new; None with one domain.  routes: the domain that
    each fact is routed to, "" for facts of excluded domains, which count as wrong.
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
        """Number of random features that the head takes."""
        return self.extract.random.weights.shape[1] if self.extract.random else 0


def full_shape(stats: FactStatistics) -> ExtractShape:
    """Return the largest shape that the knowledge allows."""
    geometry = stats.geometry
    return ExtractShape(
        bits=geometry.bits,
        columns=geometry.columns is not None,
        plane=geometry.plane is not None,
        domains=stats.domains,
    )


def measure_extract(stats: FactStatistics, shape: ExtractShape, rate: float) -> MeasuredExtract:
    """Build the extract of a shape and measure it.  rate: of false alarms among known samples."""
    kept = [c for c, (domain, _) in enumerate(stats.concepts) if domain in shape.domains]
    blocks = _blocks(stats.geometry, shape)
    mine = np.isin(stats.own, kept)
    own = np.searchsorted(kept, stats.own[mine])
    held = _distances(stats, shape.bits)[mine][:, kept][..., blocks]
    names = np.array([stats.concepts[c][0] for c in kept])
    scales, common = _scales(stats, shape, held[np.arange(len(own)), own, 0], names[own], kept)
    votes = tuple(int(vote) for vote in stats.geometry.votes[blocks])
    scores = bridge.combine(held, scales, votes)
    routed = names[bridge.combine(held, common, votes).argmin(axis=1)]
    there = np.where(names[None] == routed[:, None], scores, np.iinfo(np.int64).max)
    lowest = {name: scores[:, names == name].min(axis=1) for name in shape.domains}
    limits = _novelty_limits(stats, shape, lowest, names[own], rate)
    extract = _assemble(stats, shape, kept, (scales, common), limits)
    routes = np.full(len(mine), "", names.dtype)
    routes[mine] = routed
    return MeasuredExtract(
        shape=shape,
        extract=extract,
        flash_bytes=len(bridge.pack_extract(extract)) + bridge.code_bytes(extract),
        ram_bytes=bridge.ram_bytes(extract),
        routed=float((routed == names[own]).sum() / len(mine)),
        labelled=float((there.argmin(axis=1) == own).sum() / len(mine)),
        answered=_accuracy(stats, extract, shape, routes),
        agreed=_agreement(stats, extract, mine, names[own]),
        detected=_detected(limits, lowest, names[own]),
        routes=routes,
    )


def with_head(
    stats: FactStatistics,
    one: MeasuredExtract,
    head_bits: int = 8,
    *,
    shared: bool = True,
    rounds: int = 0,
) -> MeasuredExtract:
    """Return the extract with heads of another size, measured again.  With rounds of random
    features all domains share one head."""
    shape = replace(one.shape, head_bits=head_bits, shared=shared, rounds=rounds)
    extract = _replace_heads(stats, one.extract, shape, holdout=False)
    kept = [domain in shape.domains for domain, _ in stats.concepts]
    mine = np.array(kept)[stats.own]
    names = np.array([domain for domain, _ in stats.concepts])[stats.own[mine]]
    flash_bytes = len(bridge.pack_extract(extract)) + bridge.code_bytes(extract)
    return replace(
        one,
        shape=shape,
        extract=extract,
        flash_bytes=flash_bytes,
        ram_bytes=bridge.ram_bytes(extract),
        answered=_accuracy(stats, extract, shape, one.routes),
        agreed=_agreement(stats, extract, mine, names),
    )


def _replace_heads(
    stats: FactStatistics, extract: bridge.Extract, shape: ExtractShape, *, holdout: bool
) -> bridge.Extract:
    """Return the extract with the heads of a shape, or with its hold-out heads."""
    labels = list(extract.labels)
    if shape.rounds:
        head, random = stats.random.quantised(shape.rounds, labels, holdout=holdout)
        return replace(extract, heads=(head,) * len(shape.domains), random=random)
    heads = _quantised_heads(stats, shape, labels, holdout=holdout)
    return replace(extract, heads=heads, random=None)


def _accuracy(
    stats: FactStatistics, extract: bridge.Extract, shape: ExtractShape, routes: NDArray[np.str_]
) -> float:
    """Return the accuracy of the hold-out heads on the held-out facts.  routes: the domain of each
    fact by the detector, "" for facts of excluded domains."""
    trial = _replace_heads(stats, extract, shape, holdout=True)
    places, right = stats.holdout.places, 0
    for number, name in enumerate(shape.domains):
        part = places[routes[places] == name]
        labels = [stats.concepts[concept][1] for concept in stats.own[part]]
        right += int((_answers(stats, trial, number, part, holdout=True) == labels).sum())
    return right / max(1, len(places))


def _answers(
    stats: FactStatistics, extract: bridge.Extract, number: int, part: Ints, *, holdout: bool
) -> NDArray[np.str_]:
    """Return the label that the head of domain `number` gives each fact of `part`, by place.

    Heads over random features are the same in all extracts, so their answers are cached.
    """
    head, names = extract.heads[number], np.array(extract.labels)
    assert head is not None, "an extract of gathered knowledge has a head a domain"
    numbers = np.array(head.names)
    if extract.random is None:
        scores = bridge.head_scores(extract, head, stats.rows[part])
        return np.asarray(names[numbers[scores.argmax(axis=1)]])
    known, key = stats.random.answers, (extract.random.rounds, holdout)
    if key not in known:
        scores = bridge.head_scores(extract, head, stats.rows)
        known[key] = names[numbers[scores.argmax(axis=1)]]
    return np.asarray(known[key][part])


def _novelty_limits(
    stats: FactStatistics,
    shape: ExtractShape,
    lowest: dict[str, Ints],
    domains: NDArray[np.str_],
    rate: float,
) -> Ints:
    """Return the highest score of each domain that counts as known.  lowest: each fact's lowest
    score in a domain; domains: of the facts."""
    whole = _is_whole(stats, shape)
    limits = [
        _limit(stats.calibration.scores[name] if whole else np.sort(scores[domains == name]), rate)
        for name, scores in lowest.items()
    ]
    return np.array(limits, np.int64)


def _detected(limits: Ints, lowest: dict[str, Ints], domains: NDArray[np.str_]) -> float | None:
    """Return the share of the facts of other domains whose score exceeds a domain's limit."""
    seen = [
        scores[domains != name] > limit
        for limit, (name, scores) in zip(limits.tolist(), lowest.items(), strict=True)
        if limit != bridge.UNDECIDED
    ]
    others = np.concatenate(seen) if seen else np.empty(0)
    return float(others.mean()) if len(others) else None


def _blocks(geometry: hdc.Geometry, shape: ExtractShape) -> list[int]:
    """Return the numbers of the blocks that an extract includes, in order; the bits are block 0."""
    kept = [0]
    kept += [1] if shape.columns and geometry.columns is not None else []
    return kept + ([2] if shape.plane and geometry.plane is not None else [])


def _is_whole(stats: FactStatistics, shape: ExtractShape) -> bool:
    """Return whether an extract contains the whole detector."""
    return not stats.geometry.blocks and shape.bits == stats.geometry.bits


def _distances(stats: FactStatistics, bits: int) -> Ints:
    """Return the held-out distances over the first `bits` bits instead of all."""
    made, part = stats.held.copy(), stats.bits[:, :bits]
    if bits == stats.geometry.bits:
        return made
    for concept, (ones, count) in enumerate(zip(stats.ones[:, :bits], stats.counts, strict=True)):
        mine = stats.own == concept
        made[~mine, concept, 0] = (part[~mine] != (2 * ones > count)).sum(axis=1)
        # A concept of one fact is empty without it: its distance is the mean of the geometry.
        mean = int(stats.geometry.scales[0, 0]) * bits // stats.geometry.bits
        without = 2 * (ones - part[mine]) > count - 1
        made[mine, concept, 0] = (without != part[mine]).sum(axis=1) if count > 1 else mean
    return made


def _scales(
    stats: FactStatistics,
    shape: ExtractShape,
    seen: Ints,
    domains: NDArray[np.str_],
    kept: list[int],
) -> tuple[Ints, Ints]:
    """Return mean and standard deviation of the distances, of each concept and common to all.
    seen: each fact's distance to its own concept over the included bits; domains: of the facts."""
    blocks = _blocks(stats.geometry, shape)
    scales, common = stats.scales[kept][:, blocks].copy(), stats.geometry.scales[blocks].copy()
    if shape.bits == stats.geometry.bits:
        return scales, common
    own = stats.own[np.isin(stats.own, kept)]
    for place, concept in enumerate(kept):
        same = seen[domains == stats.concepts[concept][0]]
        scales[place, 0] = _scale(seen[own == concept], same)
    common[0] = _scale(seen, seen)
    if not stats.geometry.blocks:
        part = stats.geometry.scales[0] * shape.bits // stats.geometry.bits
        common[0] = np.maximum(part, [0, 1])
    return scales, common


def _scale(group: Ints, all_of_domain: Ints) -> tuple[int, int]:
    """Return mean and standard deviation of a group of distances, shrunk towards its domain's."""
    centre, variance = float(all_of_domain.mean()), float(all_of_domain.var())
    mean = centre + float((group - centre).sum()) / (len(group) + hdc.CENTRE_PRIOR)
    squares = float(np.square(group - mean).sum()) + hdc.SPREAD_PRIOR * variance
    return round(mean), max(1, int(np.sqrt(squares / (len(group) + hdc.SPREAD_PRIOR))))


def _limit(held: Ints, rate: float) -> int:
    """Return the highest score that counts as known at a false-alarm rate: its conformal p-value,
    from its rank among the held-out scores, exceeds the rate.  -1 for too few scores."""
    count = len(held)
    if count < ceil(1 / rate) - 1:
        return bridge.UNDECIDED
    at_least = next(m for m in range(count + 1) if (1 + m) / (1 + count) > rate)
    return int(held[count - at_least]) if at_least else bridge.SCORE_MAX


def _assemble(
    stats: FactStatistics,
    shape: ExtractShape,
    kept: list[int],
    scales: tuple[Ints, Ints],
    limits: Ints,
) -> bridge.Extract:
    geometry, blocks = stats.geometry, _blocks(stats.geometry, shape)
    solved = (stats.shared, *(stats.heads[name] for name in shape.domains))
    concepts = [stats.concepts[c] for c in kept]
    labels = sorted({name for _, name in concepts} | {n for head in solved for n in head.labels})
    majority = 2 * stats.ones[kept, : shape.bits] > stats.counts[kept, None]
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
        heads=_quantised_heads(stats, shape, labels, holdout=False),
        levels=LEVELS_WHOLE,
        columns=columns_block(geometry, stats.means[kept]) if 1 in blocks else None,
        plane=plane_block(geometry, stats.means[kept]) if 2 in blocks else None,
    )


def _quantised_heads(
    stats: FactStatistics, shape: ExtractShape, labels: list[str], *, holdout: bool
) -> tuple[bridge.HeadPart, ...]:
    solved = stats.holdout if holdout else stats
    if shape.shared:
        mean = LEVELS[stats.rows].mean(axis=0, dtype=np.float64)
        return (quantise_head(solved.shared, labels, mean, shape.head_bits),) * len(shape.domains)
    heads = []
    for name in shape.domains:
        mine = [stats.concepts[c][0] == name for c in stats.own]
        mean = LEVELS[stats.rows[mine]].mean(axis=0, dtype=np.float64)
        heads.append(quantise_head(solved.heads[name], labels, mean, shape.head_bits))
    return tuple(heads)


def _agreement(
    stats: FactStatistics, extract: bridge.Extract, mine: Bits, domains: NDArray[np.str_]
) -> float:
    """Return the share of all facts to which the integer head gives the served answer."""
    places, same = np.flatnonzero(mine), 0
    for number, name in enumerate(extract.domains):
        part, served = places[domains == name], stats.served[name]
        theirs = np.array(served.labels)[served.answer(stats.rows[part]).argmax(axis=1)]
        same += int((_answers(stats, extract, number, part, holdout=False) == theirs).sum())
    return same / len(mine)
