"""Predicted against measured gain of the next ten labels of a domain.

So many labels of a set are drawn, and the gain predicted from these alone, as "Have I labelled
enough?" does.  The measured gain is the mean over draws of ten more labels of the rise in accuracy
of the product's adaptor on the same test rows: what a user with exactly these labels can expect.
`fit_powers` chooses the constants of the prediction, on development sets only.  Two bounds say what
no prediction can exceed: measuring again, with other draws of the ten labels, and the one number
for each set and count of labels that is within a point most often, chosen afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.analysis import GAIN_LABELS, Domain, expected_gain, left_out_errors
from edge.core.adaptors import fit_adaptor

from .reach import OWN, batch_of
from .sets import LabelSet, Levels, Names

COUNTS: Final = (20, 50, 100, 200)
"""Labels that are given."""
TESTED: Final = 1_000
"""Rows that are tested: a standard error of a difference of about half a point."""
NEXT_DRAWS: Final = 12
"""Draws of the next ten labels."""
TRIVIAL: Final = 0.005
"""Measured gain below which a prediction of none is right: such cases are reported apart."""
TOLERANCE: Final = 0.01
"""One point."""
ROUNDS: Final = 40
"""Rounds of reweighting in `fit_powers`: more change nothing."""
FLOOR: Final = 0.003
"""Residual below which all count alike in `fit_powers`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainCase:
    """One draw of labels.  labels: how many.  error: share answered wrong when left out; single:
    share of facts whose label was given once.  again: measured with other draws of the next ten."""

    name: str
    labels: int
    error: float
    single: float
    predicted: float
    low: float
    high: float
    measured: float
    again: float

    @property
    def right(self) -> bool:
        """Whether the prediction is within a point."""
        return abs(self.predicted - self.measured) <= TOLERANCE

    @property
    def trivial(self) -> bool:
        """Whether there is next to nothing to gain."""
        return abs(self.measured) < TRIVIAL


def gain_cases(known: LabelSet, draws: int) -> Iterator[GainCase]:
    """Yield the cases of a set, for each count that it has rows for."""
    for labels in COUNTS:
        if len(known.label) < 2 * labels + TESTED // 10:
            continue
        for draw in range(draws):
            yield _case(known, labels, np.random.default_rng([draw, labels]))


def _case(known: LabelSet, labels: int, random: np.random.Generator) -> GainCase:
    order = random.permutation(len(known.label))
    if known.apart is None:
        tested = min(TESTED, (len(order) - labels) * 2 // 3)
        test, own = order[:tested], order[tested:]
    else:
        apart = known.apart[order]
        test, own = order[apart][:TESTED], order[~apart]
    given, rest = own[:labels], own[labels:]
    before = _accuracy(known, given, test)
    gains = []
    for _ in range(2 * NEXT_DRAWS):
        following = random.permutation(rest)[:GAIN_LABELS]
        gains.append(_accuracy(known, np.concatenate([given, following]), test) - before)
    domain = _domain(OWN, known.levels[given], known.label[given])
    wrong = left_out_errors(domain, _others(known))
    gain = expected_gain(domain, wrong)
    low, high = gain.range(GAIN_LABELS)
    return GainCase(
        name=known.name,
        labels=labels,
        error=float(wrong.mean()),
        single=float((np.bincount(domain.given) == 1).sum() / labels),
        predicted=gain.after(GAIN_LABELS),
        low=low,
        high=high,
        measured=float(np.mean(gains[:NEXT_DRAWS])),
        again=float(np.mean(gains[NEXT_DRAWS:])),
    )


def _accuracy(known: LabelSet, rows: NDArray[np.intp], test: NDArray[np.intp]) -> float:
    rows = np.sort(rows)
    own = batch_of(known.levels[rows], known.label[rows], np.full(len(rows), OWN), rows)
    if known.support is None:
        others = batch_of(known.levels[:0], known.label[:0], known.label[:0], rows[:0])
    else:
        others = batch_of(*known.support, np.arange(len(known.support[1])))
    adaptor = fit_adaptor(own, others)
    answers = np.array(adaptor.labels)[adaptor.answer(known.levels[test]).argmax(axis=1)]
    return float((answers == known.label[test]).mean())


def _others(known: LabelSet) -> tuple[Domain, ...]:
    if known.support is None:
        return ()
    levels, label, domain = known.support
    return tuple(
        _domain(str(one), levels[domain == one], label[domain == one]) for one in np.unique(domain)
    )


def _domain(name: str, levels: Levels, label: Names) -> Domain:
    labels, given = np.unique(label, return_inverse=True)
    return Domain(
        name=name,
        ids=tuple(map(str, range(len(label)))),
        features=levels,
        labels=tuple(map(str, labels)),
        given=given,
        groups=np.arange(len(label)),
    )


def remeasured_share(cases: Sequence[GainCase]) -> float:
    """Return how often a second measurement is within a point of the first."""
    return fmean(abs(one.again - one.measured) <= TOLERANCE for one in cases)


def constant_share(cases: Sequence[GainCase]) -> float:
    """Return how often the best number of each set and count of labels is within a point."""
    right = 0
    for key in dict.fromkeys((one.name, one.labels) for one in cases):
        found = np.array([one.measured for one in cases if (one.name, one.labels) == key])
        # A best interval of two points starts at one of the gains.
        above = found - found[:, None]
        right += int(((above >= 0) & (above <= 2 * TOLERANCE)).sum(axis=1).max())
    return right / len(cases)


def fit_powers(cases: Sequence[GainCase]) -> tuple[float, float]:
    """Return the powers of error and single labels with the least absolute error of the gain, each
    set counted alike: the constants of `edge.analysis.enough`."""
    names = [one.name for one in cases]
    share = np.array([1 / names.count(name) for name in names])
    growth = np.log1p(GAIN_LABELS / np.array([one.labels for one in cases]))
    inputs = np.array([(one.error, one.single) for one in cases]) * growth[:, None]
    measured = np.array([one.measured for one in cases])
    weights, found = share, np.zeros(2)
    for _ in range(ROUNDS):
        weighted = inputs * weights[:, None]
        found = np.linalg.lstsq(weighted.T @ inputs, weighted.T @ measured, rcond=None)[0]
        weights = share / np.maximum(np.abs(inputs @ found - measured), FLOOR)
    return float(found[0]), float(found[1])
