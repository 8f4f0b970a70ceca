"""Heads that are tried on facts they have not seen, so that extracts of different heads compare."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch, Knowledge, hash_rank, select_rows
from ..core.adaptors import FittedHead, fit_adaptor, solve_adaptor, standardise
from .parts import LINEAR, shared_head

ONE_IN: Final = 3
"""Of so many facts one is held out."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutTrial:
    """places: int [n], which facts of the ground are held out.  heads: of each domain; shared: one
    for all; both solved without them."""

    places: NDArray[np.intp] = field(repr=False)
    heads: Mapping[str, FittedHead] = field(repr=False)
    shared: FittedHead = field(repr=False)


def hold_out(ids: tuple[str, ...]) -> tuple[NDArray[np.intp], frozenset[str]]:
    """Which facts are held out, by place and by id: the choice depends on the ids alone."""
    places = [place for place, name in enumerate(ids) if hash_rank(name)[0][-1] % ONE_IN == 0]
    return np.array(places, np.intp), frozenset(ids[place] for place in places)


def make_trial(
    knowledge: Knowledge, facts: FactBatch, places: NDArray[np.intp], unseen: AbstractSet[str]
) -> HoldoutTrial:
    """Solve heads without the facts that are held out, on the transforms that serve."""
    heads = {}
    for domain in knowledge.domains:
        own, others = (_seen(part, unseen) for part in knowledge.training_facts(domain))
        heads[domain] = _solved(knowledge, domain, own, others)
    return HoldoutTrial(places, heads, shared_head(knowledge, _seen(facts, unseen)))


def _solved(knowledge: Knowledge, domain: str, own: FactBatch, others: FactBatch) -> FittedHead:
    served, spans = knowledge.adaptor(domain), knowledge.geometry.slices
    if isinstance(served, FittedHead) and served.transform.blueprint.kind in LINEAR:
        made = solve_adaptor(served.transform, own, others, standardise(own, others, spans))
    else:
        made = fit_adaptor(own, others, None, spans)
    assert isinstance(made, FittedHead), "all but kernels have a linear head"
    return made


def _seen(facts: FactBatch, unseen: AbstractSet[str]) -> FactBatch:
    """Facts without those held out; all where none would be left."""
    kept = [place for place, name in enumerate(facts.ids) if name not in unseen]
    return select_rows(facts, np.array(kept, np.intp)) if kept else facts
