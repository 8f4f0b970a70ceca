"""Shadow models: the same learning on random halves of the facts, to know what membership does to
an answer.

After the official code of Carlini et al. 2022 ("Membership inference attacks from first
principles", section IV; github.com/tensorflow/privacy, research/mi_lira_2021): every fact is in
exactly half of the models.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch, hash_rank, select_rows
from ..core.adaptors import (
    SOLVED_KINDS,
    Adaptor,
    AdaptorRecord,
    Spans,
    Transform,
    build_transform,
    fit_adaptor,
    fit_head,
    solve_adaptor,
    solve_arrays,
    standardise,
)
from .answers import model_of

Floats = NDArray[np.float64]

SHADOWS: Final = 16
"""Shadow models: with a shared variance, the authors' attack gains little beyond 16 (section VI),
and 16 take 8 s at 1,000 facts of 2,064 columns."""

POOL_FACTS: Final = 1_000
"""Facts that shadow models are drawn from: bounds their time."""

FORGOTTEN_FACTS: Final = 200
"""Forgotten facts that are attacked: an area is then known to 0.03 or so."""

REFERENCES: Final = 4
"""Models whose answers on facts that they never learned stand for those on new data."""

UNSEEN_SHARE: Final = 0.2
"""Share of the retained facts that one of these models does not learn: each lacks a twentieth, so
that it stays like the home.  Chosen by hand; effect not measured."""

UNSEEN_FACTS: Final = 200
"""Most of these: as many as forgotten facts that are attacked."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pool:
    """The facts that shadow models learn from: some forgotten ones first, then retained ones.

    forgotten: how many are forgotten.  unseen: the rows that one
    of the reference models never learns.
    """

    rows: FactBatch
    forgotten: int
    unseen: NDArray[np.intp] = field(repr=False)

    @property
    def forgotten_rows(self) -> FactBatch:
        """The forgotten facts of the pool."""
        return select_rows(self.rows, np.arange(self.forgotten))

    @property
    def retained_rows(self) -> FactBatch:
        """The retained facts of the pool."""
        return select_rows(self.rows, np.arange(self.forgotten, len(self.rows)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shadows:
    """What shadow models answer.  keep: bool [models, n], the facts that each has learned.
    margins: float64 [models, n], of all facts of the pool under each."""

    keep: NDArray[np.bool_] = field(repr=False)
    margins: Floats = field(repr=False)

    def centres(self, at: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the median margins of facts where they were learned, and where they were not."""
        inside = np.where(self.keep[:, at], self.margins[:, at], np.nan)
        outside = np.where(self.keep[:, at], np.nan, self.margins[:, at])
        return np.nanmedian(inside, axis=0), np.nanmedian(outside, axis=0)

    @property
    def deviation(self) -> float:
        """The standard deviation of the learned facts' margins over all facts and models."""
        return float(self.margins[self.keep].std()) + 1e-30


def make_pool(forgotten: FactBatch, retained: FactBatch) -> Pool:
    """Choose the facts of the shadow models, by hashes of their ids.

    The unseen facts resemble the forgotten ones: they are of the same concepts while these last.
    """
    members = _lowest(forgotten, FORGOTTEN_FACTS)
    others = _lowest(retained, POOL_FACTS - len(members))
    concepts = set(zip(members.domains, members.labels, strict=True))
    alike = [pair not in concepts for pair in zip(others.domains, others.labels, strict=True)]
    ranks = [hash_rank(f"unseen {one}") for one in others.ids]
    order = sorted(range(len(others)), key=lambda row: (alike[row], ranks[row]))
    count = min(UNSEEN_FACTS, int(UNSEEN_SHARE * len(others)))
    unseen = np.sort(np.array(order[:count], np.intp)) + len(members)
    return Pool(rows=join(members, others), forgotten=len(members), unseen=unseen)


def train_shadows(
    pool: Pool,
    solve: Callable[[FactBatch, FactBatch], Adaptor],
    seed: int,
    tick: Callable[[int, int], None],
) -> Shadows:
    """Train the shadow models.  solve: an adaptor, as the home does it.  tick: called with the
    models trained so far, and their number."""
    random = np.random.default_rng(seed)
    order = random.uniform(size=(SHADOWS, len(pool.rows))).argsort(axis=0)
    keep = order < SHADOWS // 2
    margins = np.empty(keep.shape)
    for number, chosen in enumerate(keep):
        model = model_of(select_rows(pool.rows, np.flatnonzero(chosen)), solve)
        margins[number] = model.margins(pool.rows)
        tick(number + 1, SHADOWS)
    return Shadows(keep=keep, margins=margins)


def margins_unseen(pool: Pool, solve: Callable[[FactBatch, FactBatch], Adaptor]) -> Floats:
    """Return the margins of the pool's unseen facts under models that never learned them, float64
    [unseen]: each model learns all retained facts but a quarter of these, so that it has nearly as
    many facts as the home."""
    found = np.empty(len(pool.unseen))
    retained = np.arange(pool.forgotten, len(pool.rows))
    for part in range(min(REFERENCES, len(pool.unseen))):
        held = slice(part, None, REFERENCES)
        kept = np.setdiff1d(retained, pool.unseen[held])
        model = model_of(select_rows(pool.rows, kept), solve)
        found[held] = model.margins(select_rows(pool.rows, pool.unseen[held]))
    return found


class LikeHome:
    """Solves adaptors as the home under audit does: on the blueprint that serves in the domain,
    trained again, or else the default.

    records: the serving records by domain.  heads: domains without a record whose default is known
    to be a head: no kernel is tried there.  Trained kinds need torch; without it the default stands
    for them, and `substituted` names their domains.
    """

    def __init__(
        self,
        records: Mapping[str, AdaptorRecord],
        spans: Spans,
        heads: AbstractSet[str] = frozenset(),
    ) -> None:
        self._records, self._spans, self._heads = records, spans, heads
        self.substituted: tuple[str, ...] = ()
        if find_spec("torch") is None:
            trained = (
                name for name, one in records.items() if one.blueprint.kind not in SOLVED_KINDS
            )
            self.substituted = tuple(sorted(trained))

    def __call__(self, own: FactBatch, others: FactBatch) -> Adaptor:
        """Return the adaptor of the domain of some facts."""
        domain = own.domains[0]
        record = None if domain in self.substituted else self._records.get(domain)
        if record is None and domain in self._heads:
            return fit_head(own, others, self._spans)
        if record is None:
            return fit_adaptor(own, others, None, self._spans)
        transform = train_again(record, own, others, self._spans)
        return solve_adaptor(transform, own, others, standardise(own, others, self._spans))


def train_again(
    record: AdaptorRecord, own: FactBatch, others: FactBatch, spans: Spans
) -> Transform:
    """Return the transform that a record's blueprint and seed give on these facts.  Trained kinds
    load torch; raises ImportError without it."""
    blueprint = record.blueprint
    if blueprint.kind in SOLVED_KINDS:
        arrays = solve_arrays(blueprint, own, others, spans)
    else:
        from ..growth import train_adaptor

        arrays = train_adaptor(blueprint, own, others, spans, record.seed)
    return build_transform((blueprint, arrays), spans)


def join(first: FactBatch, second: FactBatch) -> FactBatch:
    """Return two batches one after the other."""
    if not len(first) or not len(second):
        return second if len(second) else first
    return FactBatch(
        ids=first.ids + second.ids,
        domains=first.domains + second.domains,
        labels=first.labels + second.labels,
        features=np.concatenate([first.features, second.features]),
        captured_at_ns=np.concatenate([first.captured_at_ns, second.captured_at_ns]),
        recordings=first.recordings + second.recordings,
        subjects=first.subjects + second.subjects,
    )


def _lowest(rows: FactBatch, count: int) -> FactBatch:
    """Return the facts whose ids hash lowest, at most `count`, in their order."""
    ranks = [hash_rank(one) for one in rows.ids]
    chosen = sorted(range(len(rows)), key=lambda row: ranks[row])[:count]
    return select_rows(rows, np.sort(np.array(chosen, np.intp)))
