"""The model under audit: what a home answers at one moment, frozen."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..core import FactBatch, Router, select_rows
from ..core.adaptors import Adaptor
from ..core.knowledge import Knowledge

Floats = NDArray[np.float64]
Features = NDArray[np.uint8]

UNKNOWN_MARGIN: Final = -1.0
"""Margin of a label where no domain answers: that of a sample which surely has another label."""

DOMAINS_MAX: Final = 8
"""Domains whose adaptors are compared: solving one of 1,000 facts and 2,064 columns takes half a
second."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AuditedModel:
    """The answers of a home: adaptors by domain, the router, and the concepts' sums.

    router: None for a model without one; features of a domain that it lacks are then unknown.
    memory: None for a model without concepts.
    """

    adaptors: Mapping[str, Adaptor]
    router: Router | None = None
    memory: hdc.Memory | None = field(default=None, repr=False)

    def groups(
        self, domains: Sequence[str], features: Features
    ) -> Iterator[tuple[NDArray[np.intp], Adaptor]]:
        """Yield which rows each adaptor answers: that of their own domain, or of the domain that
        the router finds.  Rows that nothing answers are left out."""
        named = np.array(domains, np.object_)
        lacking = [row for row, domain in enumerate(domains) if domain not in self.adaptors]
        if lacking and self.router is not None:
            routed = np.array(self.router.domains, np.object_)
            named[lacking] = routed[self.router.scores(features[lacking]).argmax(axis=1)]
        for domain in sorted(set(named) & set(self.adaptors)):
            yield np.flatnonzero(named == domain), self.adaptors[domain]

    def margins(self, rows: FactBatch, features: Features | None = None) -> Floats:
        """Return the margin float64 [n] of each fact's label: its score less the highest other one.

        features: in place of the facts' own, in the same order.
        """
        given = rows.features if features is None else features
        found = np.full(len(rows), UNKNOWN_MARGIN)
        for at, adaptor in self.groups(rows.domains, given):
            labels = [rows.labels[row] for row in at]
            found[at] = label_margins(adaptor.answer(given[at]), adaptor.labels, labels)
        return found

    def answers(self, rows: FactBatch) -> tuple[str, ...]:
        """Return the likeliest label of each fact, "" where nothing answers."""
        found = [""] * len(rows)
        for at, adaptor in self.groups(rows.domains, rows.features):
            for row, best in zip(at, adaptor.answer(rows.features[at]).argmax(1), strict=True):
                found[row] = adaptor.labels[best]
        return tuple(found)

    def accuracy(self, rows: FactBatch) -> float:
        """Return the share of facts that are answered with their label, NaN without facts."""
        right = [one == label for one, label in zip(self.answers(rows), rows.labels, strict=True)]
        return float(np.mean(right)) if right else float("nan")

    def closeness(self, rows: FactBatch) -> Floats:
        """Return how near each fact is to its own concept, float64 [n], or to the nearest concept
        where the model has lost its own."""
        if self.memory is None or not self.memory.keys:
            return np.full(len(rows), UNKNOWN_MARGIN)
        novelty = self.memory.score(self.memory.geometry.project(rows.features))
        columns = {key: column for column, key in enumerate(self.memory.keys)}
        own = [columns.get(key, -1) for key in zip(rows.domains, rows.labels, strict=True)]
        found = novelty.min(axis=1).astype(np.float64)
        known = np.array([column >= 0 for column in own], bool)
        found[known] = novelty[known, np.array(own)[known]]
        return np.asarray(-found / hdc.ONE)


def label_margins(
    scores: NDArray[np.float32], labels: Sequence[str], wanted: Sequence[str]
) -> Floats:
    """Return, for scores [n, labels], each wanted label's score less the highest other one.

    The hinge statistic of Carlini et al. 2022 (section VI.A) for scores that are no probabilities.
    A label that the model lacks scores 0, as a label without facts does in a regression on one-hot
    targets.
    """
    columns = {label: column for column, label in enumerate(labels)}
    at = np.array([columns.get(label, len(labels)) for label in wanted])
    padded = np.concatenate([scores, np.zeros((len(scores), 1), scores.dtype)], axis=1)
    rows = np.arange(len(scores))
    own = padded[rows, at].astype(np.float64)
    padded[rows, at] = -np.inf
    if len(labels) > 1:
        padded[at < len(labels), -1] = -np.inf
    return np.asarray(own - padded.max(axis=1))


def freeze(knowledge: Knowledge, domains: Iterable[str]) -> AuditedModel:
    """Return what knowledge answers now.  domains: those whose adaptors are solved, as far as the
    knowledge has them, at most `DOMAINS_MAX`.  Cost: half a second a domain."""
    chosen = [one for one in domains if one in knowledge.domains][:DOMAINS_MAX]
    return AuditedModel(
        adaptors={domain: knowledge.adaptor(domain) for domain in chosen},
        router=knowledge.router() if knowledge.learned else None,
        memory=knowledge.memory.copy(),
    )


def model_of(rows: FactBatch, solve: Callable[[FactBatch, FactBatch], Adaptor]) -> AuditedModel:
    """Return a model learned from some facts alone.  solve: an adaptor, from a domain's facts and
    those of all other domains."""
    named = np.array(rows.domains, np.str_)
    made = {}
    for domain in sorted(set(rows.domains)):
        own, others = np.flatnonzero(named == domain), np.flatnonzero(named != domain)
        made[domain] = solve(select_rows(rows, own), select_rows(rows, others))
    return AuditedModel(adaptors=made)
