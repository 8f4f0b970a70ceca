"""Facts measured once, for extracts of any shape."""

from collections.abc import Mapping
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
    Knowledge,
    Ledger,
    sample_facts,
)
from ..core.adaptors import FittedHead
from ..core.knowledge import Concept
from .holdout import HoldoutTrial, hold_out, make_trial
from .parts import linear_adaptor, shared_head
from .random_heads import RandomHeads

Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]

RANDOM_FACTS_MAX: Final = 8_192


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFacts:
    """Facts and their codes, measured once for extracts of any shape.

    concepts: sorted.  counts: int64 [c]; ones: int32 [c, bits], how often each bit is set; means:
    int64 [c, values]; scales: int64 [c, blocks, 2].  rows: uint8 [n, width], facts; own: [n], the
    concept of each; bits: bool [n, D]; held: int64 [n, c, blocks], distances with each fact held
    out.  heads, served: what answers for each domain, in a form that can be exported, and as it is.
    shared: one head for all domains; random: heads for all over random features.  trial: what
    answers without the facts that it is tried on.
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
    trial: HoldoutTrial = field(repr=False)

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains, sorted."""
        return tuple(sorted({domain for domain, _ in self.concepts}))

    def facts_in(self, domain: str) -> int:
        """Count the samples that the concepts of a domain sum."""
        mine = [name == domain for name, _ in self.concepts]
        return int(self.counts[mine].sum())


def measure_facts(knowledge: Knowledge, ledger: Ledger) -> MeasuredFacts:
    """Measure a sample of the facts of all domains; raises EdgeError where there are none.

    Cost: one projection and the distances to all concepts for each fact of the sample.
    """
    memory, geometry = knowledge.memory, knowledge.geometry
    if not memory.keys:
        raise EdgeError("exporting: the ledger has no facts", "learn something first")
    rows, own, ids = _sampled(knowledge, ledger)
    codes = geometry.project(rows)
    held = np.concatenate(
        [
            memory.distances_held_out(*memory.keys[int(concept)], codes[own == concept])
            for concept in np.unique(own)
        ]
    )
    places, unseen = hold_out(ids)
    facts = sample_facts(ledger.batches(), RANDOM_FACTS_MAX)
    packed, calibration = memory.pack(), knowledge.calibration()
    counts, sums = packed["counts"].astype(np.int64), packed["sums"].astype(np.int64)
    return MeasuredFacts(
        geometry,
        calibration,
        memory.keys,
        counts,
        packed["ones"].astype(np.int32),
        (2 * sums + counts[:, None]) // (2 * counts[:, None]),
        calibration.scales_for(memory),
        rows,
        own,
        _unpacked(codes.bits),
        held,
        {domain: linear_adaptor(knowledge, domain) for domain in knowledge.domains},
        {domain: knowledge.adaptor(domain) for domain in knowledge.domains},
        shared_head(knowledge, sample_facts(ledger.batches(), HEAD_FACTS_MAX)),
        RandomHeads(facts, unseen, geometry.seed),
        make_trial(knowledge, facts, places, unseen),
    )


def _sampled(
    knowledge: Knowledge, ledger: Ledger
) -> tuple[NDArray[np.uint8], NDArray[np.intp], tuple[str, ...]]:
    """Facts, the concept of each, in the order of concepts, and their ids."""
    rows, own = [], []
    ids: list[str] = []
    for domain in knowledge.domains:
        batch = sample_facts(ledger.batches(domain), CALIBRATION_FACTS_MAX)
        rows.append(batch.features)
        ids += batch.ids
        own += [knowledge.memory.keys.index((domain, label)) for label in batch.labels]
    order = np.argsort(own, kind="stable")
    named = tuple(ids[place] for place in order)
    return np.concatenate(rows)[order], np.array(own, np.intp)[order], named


def _unpacked(words: NDArray[np.uint64]) -> Bits:
    octets = np.ascontiguousarray(words, "<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little").view(np.bool_)
