"""From scores to a choice: everything that fits the budget, scored at once and ranked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blueprint import AdaptorBudget, Blueprint, NoFit
from .cost import Cost, DeviceSpeed, budget_excess, count_cost
from .errors import NasError
from .proxies import PROXIES, BuildNetwork
from .sketch import TaskSketch
from .space import enumerate_space
from .tangent import look_closer

LABELS_MIN: Final = 2

OURS: Final[Mapping[str, float]] = {"tangent": 1.0, "parameters": 0.25}
"""Proxies with their weights: among blueprints that promise alike, the larger one."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchChoice:
    """What a search found.  ranking: blueprints that fit, best first.  scores: from 0 to 1, one a
    place of the ranking, falling, also where a second look put others in front; comparable within
    one search only.  considered: size of the space."""

    ranking: tuple[Blueprint, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    considered: int

    @property
    def blueprint(self) -> Blueprint:
        """The best."""
        return self.ranking[0]

    def shortlist(self, count: int) -> tuple[Blueprint, ...]:
        """Return so many at most: the best of each kind first, then the next best of all."""
        firsts = {one.kind: one for one in reversed(self.ranking)}
        heads = [one for one in self.ranking if firsts[one.kind] == one]
        rest = [one for one in self.ranking[:count] if one not in heads]
        return tuple([*heads, *rest][:count])


def search(
    sketch: TaskSketch,
    budget: AdaptorBudget,
    device: DeviceSpeed,
    seed: int = 0,
    proxies: Mapping[str, float] = OURS,
    build: BuildNetwork | None = None,
) -> SearchChoice | NoFit:
    """Rank the whole space for a task without training; blueprints over the budget are left out.

    proxies: names of PROXIES with weights.  Where `tangent` is among them, the best are looked at
    once more, with more facts.  build: makes networks for the proxies that need one.  The same
    arguments give the same choice.  Raises NasError for unknown proxies.  Cost: ours ranks the
    space of eight taps in about 1.6 s of one thread; the others build every network.
    """
    if not proxies or not set(proxies) <= set(PROXIES):
        raise NasError(
            f"searching: expected one or more of {', '.join(PROXIES)}, found {list(proxies)}",
            "name proxies of the table",
        )
    labels = len(np.unique(sketch.targets[sketch.own]))
    if labels < LABELS_MIN:
        return NoFit(f"expected {LABELS_MIN} labels or more in the domain, found {labels}")
    space = list(enumerate_space(len(sketch.spans)))
    costs = [count_cost(blueprint, sketch.shape) for blueprint in space]
    limits = [budget_excess(cost, budget, device) for cost in costs]
    fitting = [one for one, limit in zip(space, limits, strict=True) if limit is None]
    if not fitting:
        return NoFit(_misfit(costs, limits, budget, device))
    found = {name: PROXIES[name](fitting, sketch, build, seed) for name in proxies}
    scores = combine(found, proxies)
    ranking = [fitting[place] for place in np.argsort(-scores, kind="stable")]
    if "tangent" in proxies:
        ranking = look_closer(ranking, sketch, seed)
    return SearchChoice(tuple(ranking), tuple(np.sort(scores)[::-1].tolist()), len(space))


def combine(
    scores: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Combine proxies' scores, higher is better, to float64 [n] from 0 to 1: the weighted mean of
    their ranks (Borda 1781), where ties share a rank and what is not a number is last."""
    total = sum(weights.values())
    ranks = [weights[name] / total * _ranks(each) for name, each in scores.items()]
    return np.asarray(np.sum(ranks, axis=0))


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0 to 1."""
    known = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    _, places, counts = np.unique(known, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(middles[places] / max(1, len(scores) - 1))


def _misfit(
    costs: Sequence[Cost], limits: Sequence[str | None], budget: AdaptorBudget, device: DeviceSpeed
) -> str:
    """Say which limits shut everything out, and what the least demanding would need."""
    needs = {
        "bytes": (min(cost.nbytes for cost in costs), budget.nbytes),
        "operations": (min(cost.operations for cost in costs), budget.operations),
        "milliseconds": (min(device.latency_ms(cost) for cost in costs), budget.latency_ms),
    }
    told = [
        f"{count} exceed the limit of {needs[name][1]:g} {name} (least: {needs[name][0]:g})"
        for name, count in Counter(limit for limit in limits if limit).most_common()
    ]
    return f"of {len(costs)} adaptors none fits: {'; '.join(told)}"
