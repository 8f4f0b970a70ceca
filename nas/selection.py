"""The search: scores and ranks every blueprint within the budget."""

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
from .search_kinds import SEARCH_KINDS
from .sketch import TaskSketch
from .space import enumerate_space
from .tangent import rank_scores

LABELS_MIN: Final = 2
"""Fewest labels of a domain: with one there is nothing to predict."""

DEFAULT_PROXIES: Final[Mapping[str, float]] = {"smoothed": 1.0}
"""Default proxies with their weights (docs/decisions/0022)."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchChoice:
    """The result of a search.

    ranking: blueprints within the budget, best first.  scores: 0 to 1, one per place of the
    ranking, descending; comparable within one search only.  considered: size of the space.
    """

    ranking: tuple[Blueprint, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    considered: int

    @property
    def blueprint(self) -> Blueprint:
        """The best blueprint."""
        return self.ranking[0]

    def shortlist(self, count: int) -> tuple[Blueprint, ...]:
        """Return at most `count`: the best of each family of kinds first, then the next best
        overall."""
        family = {one: SEARCH_KINDS[one.kind].family for one in self.ranking}
        firsts = {family[one]: one for one in reversed(self.ranking)}
        heads = [one for one in self.ranking if firsts[family[one]] == one]
        rest = [one for one in self.ranking[:count] if one not in heads]
        return tuple([*heads, *rest][:count])


def search(
    sketch: TaskSketch,
    budget: AdaptorBudget,
    device: DeviceSpeed,
    seed: int = 0,
    *,
    proxies: Mapping[str, float] = DEFAULT_PROXIES,
    build: BuildNetwork | None = None,
) -> SearchChoice | NoFit:
    """Rank the whole space for a task without training; blueprints over the budget are left out.

    proxies: names of PROXIES with weights.  build: builds networks for the proxies that need them.
    The same arguments give the same choice.  Raises NasError for unknown proxies.  Cost: the
    default ranks the space of eight taps in about 3 s of one thread; other proxies build every
    network.
    """
    if not proxies or not set(proxies) <= set(PROXIES):
        raise NasError(
            f"searching: expected one or more of {', '.join(PROXIES)}, found {list(proxies)}",
            "use names of nas.PROXIES",
        )
    labels = len(np.unique(sketch.targets[sketch.own]))
    if labels < LABELS_MIN:
        return NoFit(f"expected {LABELS_MIN} labels or more in the domain, found {labels}")
    space = list(enumerate_space(len(sketch.spans)))
    costs = [count_cost(blueprint, sketch.shape) for blueprint in space]
    limits = [budget_excess(cost, budget, device) for cost in costs]
    fitting = [one for one, limit in zip(space, limits, strict=True) if limit is None]
    if not fitting:
        return NoFit(_no_fit_reason(costs, limits, budget, device))
    found = {name: PROXIES[name](fitting, sketch, build, seed) for name in proxies}
    scores = combine(found, proxies)
    ranking = [fitting[place] for place in np.argsort(-scores, kind="stable")]
    return SearchChoice(tuple(ranking), tuple(np.sort(scores)[::-1].tolist()), len(space))


def combine(
    scores: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Combine scores of proxies, higher is better, into float64 [n] from 0 to 1: the weighted mean
    of their ranks (Borda 1781).  Ties share a rank, and NaN ranks last."""
    total = sum(weights.values())
    ranks = [weights[name] / total * rank_scores(each) for name, each in scores.items()]
    return np.asarray(np.sum(ranks, axis=0))


def _no_fit_reason(
    costs: Sequence[Cost], limits: Sequence[str | None], budget: AdaptorBudget, device: DeviceSpeed
) -> str:
    """Return which limits exclude every blueprint, and the least that any of them needs."""
    needs = {
        "bytes": (min(cost.nbytes for cost in costs), budget.nbytes),
        "operations": (min(cost.operations for cost in costs), budget.operations),
        "milliseconds": (min(device.latency_ms(cost) for cost in costs), budget.latency_ms),
    }
    parts = [
        f"{count} exceed the limit of {needs[name][1]:g} {name} (least: {needs[name][0]:g})"
        for name, count in Counter(limit for limit in limits if limit).most_common()
    ]
    return f"of {len(costs)} adaptors none fits: {'; '.join(parts)}"
