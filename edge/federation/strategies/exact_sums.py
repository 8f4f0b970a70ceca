"""Ours: one exact exchange of integer sums instead of rounds of training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.knowledge import Moments, PooledAnswers
from ..arrays import Arrays
from ..local_training import LocalPlan, LocalResult
from .strategy import FederatedSettings, PlannedStrategy


class ExactSums(PlannedStrategy):
    """Adds the devices' integer sums and solves a linear discriminant from them, as devices do with
    contributions (docs/howto/fleet.md).

    Sums, integers: counts [concepts], features [concepts, columns], gram, the lower half
    of the sums of products of columns.  The result is bit for bit that of one device with all
    facts, in any order; after one round nothing is left to do.
    """

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        self._done = False

    @property
    def done(self) -> bool:
        """True after the first round."""
        return self._done

    def plan(self, number: int, devices: int) -> LocalPlan:
        """Ask for sums."""
        return replace(super().plan(number, devices), work="sums")

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return factor, weights and bias of the discriminant, float32."""
        del current
        self._done = True
        return solve_sums(add_sums([one.arrays for one in results]))


def add_sums(several: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Return the sums over devices, int64."""
    return {
        name: np.sum([one[name].astype(np.int64) for one in several], axis=0) for name in several[0]
    }


def solve_sums(sums: Arrays) -> dict[str, NDArray[Any]]:
    """Return factor float32 [columns], weights [columns, concepts] and bias [concepts].  Concepts
    without facts get a bias that never wins.  Cost: about columns^3 multiply-adds."""
    columns = sums["features"].shape[1]
    moments = Moments(columns)
    names = [("", f"{at:04}") for at in range(len(sums["counts"]))]
    known = [at for at, count in enumerate(sums["counts"]) if count]
    moments.merge(
        {names[at]: int(sums["counts"][at]) for at in known},
        {"features": sums["features"][known], "gram": sums["gram"]},
    )
    solved = PooledAnswers(moments).discriminant("")
    weights = np.zeros((columns, len(names)), np.float32)
    bias = np.full(len(names), np.finfo(np.float32).min, np.float32)
    weights[:, known], bias[known] = solved.weights, solved.bias
    return {"factor": solved.factor, "weights": weights, "bias": bias}
