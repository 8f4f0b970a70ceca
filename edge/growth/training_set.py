"""The facts that parameters are trained on, as tensors."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import nas

from ..core import FactBatch
from ..core.adaptors import LEVELS, Spans, Standardisation

SUPPORT_FACTS: Final = 512
"""Most facts of other domains in a training: they bound its time.  Chosen by hand; effect not
measured."""
SUPPORT_WEIGHT: Final = 0.3
"""Weight of another domain's fact while own facts are as many.  Chosen by hand; effect not
measured."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AdaptorTrainingSet:
    """Standardised rows float32 [n, read] of all facts, with label numbers int64 [n] and weights
    float32 [n].

    slices: number of the slice of each fact, int64 [n], of a `sliced` blueprint.  domains: int64
    [n], 0 for own facts, 1 and up for other domains by name.  ages: int64 [n], rank of each fact by
    time of capture, 0 for the oldest; facts of the same or unknown time by the hash of their id.
    factor: float32 [read], the scaling of the columns that the rows have.
    """

    rows: Tensor
    targets: Tensor
    weights: Tensor
    slices: Tensor
    domains: Tensor
    ages: Tensor
    factor: Tensor
    labels: int

    @property
    def own(self) -> Tensor:
        """Which facts are of the domain itself: bool [n]."""
        return self.domains == 0

    def part(self, chosen: Tensor) -> "AdaptorTrainingSet":
        """Return the chosen facts, bool [n]; labels keep their numbers."""
        return replace(
            self,
            rows=self.rows[chosen],
            targets=self.targets[chosen],
            weights=self.weights[chosen],
            slices=self.slices[chosen],
            domains=self.domains[chosen],
            ages=self.ages[chosen],
        )


def make_adaptor_training_set(
    blueprint: nas.Blueprint,
    own: FactBatch,
    others: FactBatch,
    standard: Standardisation,
    spans: Spans,
) -> AdaptorTrainingSet:
    """Standardise the own facts and at most SUPPORT_FACTS of the others, as the adaptor reads
    them."""
    columns = np.concatenate([np.arange(*spans[tap]) for tap in blueprint.taps])
    few = np.linspace(0, len(others) - 1, min(len(others), SUPPORT_FACTS)).astype(np.intp)
    rows = LEVELS[own.features[:, columns]] - standard.centre[columns]
    if len(few):
        centres = standard.centres[standard.numbers[few]][:, columns]
        rows = np.concatenate([rows, LEVELS[others.features[few][:, columns]] - centres])
    rows *= standard.factor[columns]
    names = [*own.labels, *(others.labels[row] for row in few)]
    labels, targets = np.unique(np.array(names), return_inverse=True)
    weights = np.ones(len(names), np.float32)
    weights[len(own) :] = SUPPORT_WEIGHT * min(1.0, len(own) / max(1, len(few)))
    ids = [*own.ids, *(others.ids[row] for row in few)]
    times = np.concatenate([own.captured_at_ns, others.captured_at_ns[few]])
    domains = np.concatenate([np.zeros(len(own), np.int64), standard.numbers[few] + 1])
    return AdaptorTrainingSet(
        rows=torch.from_numpy(rows),
        targets=torch.from_numpy(targets.astype(np.int64)),
        weights=torch.from_numpy(weights),
        slices=torch.tensor([_slice_of(one, blueprint.depth) for one in ids]),
        domains=torch.from_numpy(domains.astype(np.int64)),
        ages=torch.from_numpy(_ages(times, ids)),
        factor=torch.from_numpy(standard.factor[columns]),
        labels=len(labels),
    )


def _slice_of(fact_id: str, slices: int) -> int:
    """Return a fact's slice, which depends on its id alone: no fact moves when another goes."""
    return hashlib.sha256(fact_id.encode()).digest()[0] % slices


def _ages(times: NDArray[np.int64], ids: list[str]) -> NDArray[np.int64]:
    hashes = np.array([hashlib.sha256(one.encode()).hexdigest() for one in ids])
    ranks = np.empty(len(ids), np.int64)
    ranks[np.lexsort((hashes, times))] = np.arange(len(ids))
    return ranks
