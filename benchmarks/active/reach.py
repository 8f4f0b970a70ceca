"""Labels that each rule needs to reach nine tenths of the accuracy with all labels.

A pool of a domain has no labels; a rule picks one observation after the other, and the product's
adaptor is fitted after each label.  Each rule sees the same pools and test rows.  The mean learning
curve over the pools counts, relative to the accuracy with the whole pool labelled; between two
points of the curve the number of labels is interpolated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core import FactBatch, untimed_batch
from edge.core.adaptors import fit_adaptor
from edge.core.labelling import LABELLING_RULES, LabellingPool, PoolSpace, score_candidates

from .sets import LabelSet, Levels, Names

POOL: Final = 256
"""As many unlabelled observations as the runtime keeps of a novel domain."""
TESTED: Final = 600
"""Rows that are tested: a standard error of about 2 points."""
REACH: Final = 0.9
"""Share of the accuracy with all labels."""
LABELS_MAX: Final = 128
"""Labels at which a curve ends; a rule that does not reach the share counts as so many."""
RANDOM_ORDERS: Final = 5
"""Random orders of each pool, so that the ratio's denominator is no luck."""
OWN: Final = "new"
SAME: Final = {"answers": "typiclust"}
"""Rules that are another one where no domain is known."""

Floats = NDArray[np.float32]


def budgets(most: int) -> list[int]:
    """Return the numbers of labels at which accuracy is measured: each one to 24, then every
    second to 64, then every fourth."""
    every = [*range(1, 25), *range(26, 65, 2), *range(68, LABELS_MAX + 1, 4)]
    return [one for one in every if one <= most]


@dataclass(eq=False, kw_only=True)
class LabellingTrial:
    """One pool of a set, its test rows, and what the known domains answer."""

    pool: Levels = field(repr=False)
    label: Names = field(repr=False)
    tested: Levels = field(repr=False)
    truth: Names = field(repr=False)
    others: FactBatch = field(repr=False)
    features: PoolSpace = field(repr=False)
    described: PoolSpace = field(repr=False)
    first: Floats = field(repr=False)
    full: float = 0.0

    def curve(self, name: str, seed: int, *, batch: int = 1) -> list[float]:
        """Return the accuracy at each of `budgets` under a rule.  batch: labels chosen at once."""
        rule = LABELLING_RULES[name](seed)
        labelled: list[int] = []
        waiting: list[int] = []
        names: tuple[str, ...] = ()
        answers, found = self.first, []
        for size in budgets(len(self.label)):
            columns = {one: column for column, one in enumerate(names)}
            while len(labelled) < size:
                if not waiting:
                    state = LabellingPool(
                        features=self.features,
                        described=self.described,
                        answers=answers,
                        labelled=tuple(labelled),
                        given=tuple(columns.get(str(self.label[row]), -1) for row in labelled),
                    )
                    waiting = list(rule.choose(state, batch))
                labelled.append(waiting.pop(0))
            names, answers, accuracy = self.fitted(labelled)
            found.append(accuracy)
        return found

    def fitted(self, labelled: Sequence[int]) -> tuple[tuple[str, ...], Floats, float]:
        """Return labels, scores of the pool, and accuracy after these labels."""
        rows = np.sort(np.array(labelled, np.intp))
        own = batch_of(self.pool[rows], self.label[rows], np.full(len(rows), OWN), rows)
        adaptor = fit_adaptor(own, self.others)
        names = np.array(adaptor.labels)
        right = names[adaptor.answer(self.tested).argmax(axis=1)] == self.truth
        return adaptor.labels, np.asarray(adaptor.answer(self.pool)), float(right.mean())


def make_trial(known: LabelSet, seed: int) -> LabellingTrial:
    """Return a pool and test rows of a set, drawn from a seed."""
    own, test = known.split(np.random.default_rng(seed), POOL, TESTED)
    levels, label = known.levels[own], known.label[own]
    features = PoolSpace.of_levels(levels, ((0, levels.shape[1]),))
    described, first = features, np.zeros((len(own), 0), np.float32)
    others = batch_of(levels[:0], label[:0], label[:0], own[:0])
    if known.support is not None:
        values, names, domains = known.support
        others = batch_of(values, names, domains, np.arange(len(names)))
        answers = list(known_answers(others, levels))
        described, first = PoolSpace.of(score_candidates(answers)), answers[0]
    made = LabellingTrial(
        pool=levels,
        label=label,
        tested=known.levels[test],
        truth=known.label[test],
        others=others,
        features=features,
        described=described,
        first=first,
    )
    made.full = made.fitted(range(len(own)))[2]
    return made


def known_answers(others: FactBatch, levels: Levels) -> Iterator[Floats]:
    """Yield what each known domain answers, the largest first."""
    domains = np.array(others.domains)
    names, counts = np.unique(domains, return_counts=True)
    for name in names[np.argsort(-counts, kind="stable")]:
        own = np.flatnonzero(domains == name)
        rest = np.flatnonzero(domains != name)
        first, second = (
            batch_of(others.features[at], np.array(others.labels)[at], domains[at], at)
            for at in (own, rest)
        )
        yield np.asarray(fit_adaptor(first, second).answer(levels))


def batch_of(levels: Levels, label: Names, domain: Names, ids: NDArray[np.intp]) -> FactBatch:
    """Return facts with ids that sort as their numbers."""
    return untimed_batch(
        tuple(f"{row:06}" for row in ids.tolist()),
        tuple(map(str, domain)),
        tuple(map(str, label)),
        levels,
    )


def reached(curves: Sequence[Sequence[float]]) -> float:
    """Return the labels at which the mean of curves, relative to the full accuracy, reaches
    `REACH`; `LABELS_MAX` if it does not."""
    mean = np.mean(np.array(curves, np.float64), axis=0)
    counts = budgets(LABELS_MAX)[: len(mean)]
    at = np.flatnonzero(mean >= REACH)
    if not len(at):
        return float(counts[-1])
    first = int(at[0])
    if not first:
        return 1.0
    low, high = mean[first - 1], mean[first]
    share = (REACH - low) / (high - low)
    return float(counts[first - 1] + share * (counts[first] - counts[first - 1]))


def labels_needed(
    known: LabelSet, rules: Sequence[str], seeds: int, *, batch: int = 1
) -> Mapping[str, float]:
    """Return by rule how many labels it needs."""
    curves: dict[str, list[list[float]]] = {name: [] for name in rules}
    for seed in range(seeds):
        trial = make_trial(known, seed)
        for name in sorted(rules, reverse=True):
            if SAME.get(name) in rules and trial.described is trial.features:
                curves[name].append(curves[SAME[name]][-1])
                continue
            orders = RANDOM_ORDERS if name == "random" else 1
            for order in range(orders):
                found = trial.curve(name, 100 * seed + order, batch=batch)
                curves[name].append([one / trial.full for one in found])
    return {name: reached(found) for name, found in curves.items()}
