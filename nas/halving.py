"""The honest rival: train many a little, keep the better ones, train those more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .blueprint import Blueprint, NoFit
from .errors import NasError

Train = Callable[[Blueprint, int], float]
"""Trains a blueprint on so many facts and returns its accuracy on held-out ones, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class HalvingRound:
    """One round: the blueprints trained, on so many facts each, and their held-out accuracies."""

    facts: int
    blueprints: tuple[Blueprint, ...] = field(repr=False)
    accuracies: tuple[float, ...] = field(repr=False)


def successive_halving(
    blueprints: Sequence[Blueprint], train: Train, facts: int, fewest: int, keep: int = 4
) -> tuple[Blueprint, tuple[HalvingRound, ...]] | NoFit:
    """Choose by successive halving (Jamieson & Talwalkar 2016, algorithm 1); NoFit for none.

    facts: there are to train on; fewest: in the first round.  Each round keeps one in `keep` and
    trains them on `keep` times as many facts, the last on all.  Ties go to the earlier blueprint;
    what comes back not finite is last.  Raises NasError for a fewest, facts or keep that make no
    round.  Cost: that of `train`, for len(blueprints) * keep / (keep - 1) blueprints.
    """
    if not 1 <= fewest <= facts or keep < 2:
        raise NasError(
            f"halving: expected 1 <= fewest <= facts and keep of 2 or more, "
            f"found fewest {fewest}, facts {facts}, keep {keep}",
            "start with fewer facts than there are",
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
