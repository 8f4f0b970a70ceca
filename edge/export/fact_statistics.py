"""Statistics of the ledger's facts, computed once and shared by extracts of every shape.

They hold the integer sums of each concept, a sample of facts with their leave-one-out distances,
and the heads: those that serve, and those solved without a hold-out set, on which extracts with
different heads are compared.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..core import (
    CALIBRATION_FACTS_MAX,
    HEAD_FACTS_MAX,
    Adaptor,
    EdgeError,
    FactBatch,
    Knowledge,
    Ledger,
    hash_rank,
    sample_facts,
    select_rows,
)
from ..core.adaptors import FittedHead, fit_head, solve_adaptor, standardise
from ..core.knowledge import Concept
from .quantised_parts import LINEAR, exportable_head, solve_shared_head
from .random_heads import RandomHeads

Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]

RANDOM_FACTS_MAX: Final = 8_192
"""Facts from which heads over random features are solved: the cost is linear in them.  Chosen by
hand; effect not measured."""

HOLDOUT_ONE_IN: Final = 3
"""One fact in three is held out: enough for a few percent of accuracy at some hundred facts.
Chosen by hand; effect not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutHeads:
    """Heads solved without the held-out facts.

    places: int [n], rows of the statistics that are held out.  heads: one for each domain; shared:
    one for all domains.
    """

    places: NDArray[np.intp] = field(repr=False)
    heads: Mapping[str, FittedHead] = field(repr=False)
    shared: FittedHead = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FactStatistics:
    """Everything about the facts that extracts are built from and measured against.

    Of each concept (sorted): counts int64 [c]; ones int32 [c, bits], how often each bit is set;
    means int64 [c, values]; scales int64 [c, blocks, 2].  Of a sample of n facts: rows uint8
    [n, width]; own [n], the number of its concept; bits bool [n, bits]; held int64 [n, c, blocks],
    distances with the fact itself left out of its concept.  heads: for each domain the head that
    an extract can hold; served: the adaptor that serves.  shared: one head for all domains;
    random: the same over random features.  holdout: heads solved without the held-out facts.
    """

    geometry: hdc.Geometry
    calibration: hdc.Calibration
    concepts: tuple[Concept, ...]
    counts: Ints = field(repr=False)
    ones: NDArray[np.int32] = field(repr=False)
    means: Ints = field(repr=False)
    scales: Ints = field(repr=False)
    rows: NDArray[np.uint8] = field(repr=False)
    own: NDArray[np.intp] = field(repr=False)
    bits: Bits = field(repr=False)
    held: Ints = field(repr=False)
    heads: Mapping[str, FittedHead] = field(repr=False)
    served: Mapping[str, Adaptor] = field(repr=False)
    shared: FittedHead = field(repr=False)
    random: RandomHeads = field(repr=False)
    holdout: HoldoutHeads = field(repr=False)

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains, sorted."""
        return tuple(sorted({domain for domain, _ in self.concepts}))

    def facts_in(self, domain: str) -> int:
        """Count the facts that the concepts of a domain sum."""
        mine = [name == domain for name, _ in self.concepts]
        return int(self.counts[mine].sum())


def collect_statistics(knowledge: Knowledge, ledger: Ledger) -> FactStatistics:
    """Compute the statistics from a sample of each domain's facts.

    Raises EdgeError for an empty ledger.  Cost: one projection and the distances to all concepts
    for each fact of the sample, and one solve for each head.
    """
    memory, geometry = knowledge.memory, knowledge.geometry
    if not memory.keys:
        raise EdgeError("exporting: the ledger has no facts", "learn something first")
    rows, own, ids = _sample(knowledge, ledger)
    codes = geometry.project(rows)
    held = [
        memory.distances_held_out(*memory.keys[int(concept)], codes[own == concept])
        for concept in np.unique(own)
    ]
    places, unseen = _hold_out(ids)
    facts = sample_facts(ledger.batches(), RANDOM_FACTS_MAX)
    packed, calibration = memory.pack(), knowledge.calibration()
    counts, sums = packed["counts"].astype(np.int64), packed["sums"].astype(np.int64)
    return FactStatistics(
        geometry=geometry,
        calibration=calibration,
        concepts=memory.keys,
        counts=counts,
        ones=packed["ones"].astype(np.int32),
        means=(2 * sums + counts[:, None]) // (2 * counts[:, None]),
        scales=calibration.scales_for(memory),
        rows=rows,
        own=own,
        bits=_unpack_bits(codes.bits),
        held=np.concatenate(held),
        heads={domain: exportable_head(knowledge, domain) for domain in knowledge.domains},
        served={domain: knowledge.adaptor(domain) for domain in knowledge.domains},
        shared=solve_shared_head(knowledge, sample_facts(ledger.batches(), HEAD_FACTS_MAX)),
        random=RandomHeads(facts, unseen, geometry.seed),
        holdout=_solve_holdout_heads(knowledge, facts, places, unseen),
    )


def _sample(
    knowledge: Knowledge, ledger: Ledger
) -> tuple[NDArray[np.uint8], NDArray[np.intp], tuple[str, ...]]:
    """Return facts ordered by concept, the number of each one's concept, and their ids."""
    rows, own = [], []
    ids: list[str] = []
    for domain in knowledge.domains:
        batch = sample_facts(ledger.batches(domain), CALIBRATION_FACTS_MAX)
        rows.append(batch.features)
        ids += batch.ids
        own += [knowledge.memory.keys.index((domain, label)) for label in batch.labels]
    order = np.argsort(own, kind="stable")
    ordered_ids = tuple(ids[place] for place in order)
    return np.concatenate(rows)[order], np.array(own, np.intp)[order], ordered_ids


def _unpack_bits(words: NDArray[np.uint64]) -> Bits:
    octets = np.ascontiguousarray(words, "<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little").view(np.bool_)


def _hold_out(ids: tuple[str, ...]) -> tuple[NDArray[np.intp], frozenset[str]]:
    """Choose the held-out facts by their ids alone; return their places and their ids."""
    places = [p for p, name in enumerate(ids) if hash_rank(name)[0][-1] % HOLDOUT_ONE_IN == 0]
    return np.array(places, np.intp), frozenset(ids[place] for place in places)


def _solve_holdout_heads(
    knowledge: Knowledge, facts: FactBatch, places: NDArray[np.intp], unseen: AbstractSet[str]
) -> HoldoutHeads:
    """Solve heads without the held-out facts; transforms stay those that serve."""
    heads = {}
    for domain in knowledge.domains:
        own, others = (_without(part, unseen) for part in knowledge.training_facts(domain))
        heads[domain] = _solve_head(knowledge, domain, own, others)
    return HoldoutHeads(places, heads, solve_shared_head(knowledge, _without(facts, unseen)))


def _solve_head(knowledge: Knowledge, domain: str, own: FactBatch, others: FactBatch) -> FittedHead:
    served, spans = knowledge.adaptor(domain), knowledge.geometry.slices
    if isinstance(served, FittedHead) and served.transform.blueprint.kind in LINEAR:
        solved = solve_adaptor(served.transform, own, others, standardise(own, others, spans))
    else:
        solved = fit_head(own, others, spans)
    assert isinstance(solved, FittedHead), "all but kernels have a linear head"
    return solved


def _without(facts: FactBatch, unseen: AbstractSet[str]) -> FactBatch:
    """Return facts without the held-out ones, or all of them if none would remain."""
    kept = [place for place, name in enumerate(facts.ids) if name not in unseen]
    return select_rows(facts, np.array(kept, np.intp)) if kept else facts
