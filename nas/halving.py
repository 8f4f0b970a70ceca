"""Successive halving, the baseline: train many a little, keep the better ones, train those more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .blueprint import Blueprint, NoFit
from .errors import NasError

Train = Callable[[Blueprint, int], float]
"""Trains a blueprint on so many facts and returns its accuracy on held-out ones, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class HalvingRound:
    """A round: the trained blueprints, the facts for each, and their held-out accuracies."""

    facts: int
    blueprints: tuple[Blueprint, ...] = field(repr=False)
    accuracies: tuple[float, ...] = field(repr=False)


def successive_halving(
    blueprints: Sequence[Blueprint], train: Train, facts: int, fewest: int, keep: int = 4
) -> tuple[Blueprint, tuple[HalvingRound, ...]] | NoFit:
    """Choose by successive halving (Jamieson & Talwalkar 2016, algorithm 1); NoFit for no
    blueprints.

    facts: available for training; fewest: facts of the first round.  Each round keeps one in `keep`
    and trains those on `keep` times as many facts, the last round on all.  Ties go to the earlier
    blueprint; accuracies that are not finite rank last.  Raises NasError for values of fewest,
    facts or keep that allow no round.  Cost: that of `train`, for len(blueprints) * keep / (keep -
    1) blueprints.
    """
    if not 1 <= fewest <= facts or keep < 2:
        raise NasError(
            f"halving: expected 1 <= fewest <= facts and keep of 2 or more, "
            f"found fewest {fewest}, facts {facts}, keep {keep}",
            "start with at least one and at most all facts, and keep one in two or fewer",
        )
    left, spent, rounds = list(blueprints), fewest, []
    if not left:
        return NoFit("no blueprints to halve")
    while True:
        spent = facts if len(left) <= keep else min(spent, facts)
        found = np.asarray([train(one, spent) for one in left], dtype=np.float64)
        found[~np.isfinite(found)] = -np.inf
        rounds.append(HalvingRound(spent, tuple(left), tuple(found.tolist())))
        best = np.argsort(-found, kind="stable")
        if len(left) <= keep:
            return left[best[0]], tuple(rounds)
        left = [left[place] for place in np.sort(best[: max(keep, len(left) // keep)])]
        spent *= keep
