"""Adaptation of an opening, in closed form: a class-aware shift, and pseudo-facts in a ridge.

A pure function of the facts' sums and the opening's unlabelled samples.  Nothing is carried over
from an earlier solution, so that dropping the samples undoes it exactly.
"""

from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ..structs import FrozenStruct
from .basis import Basis
from .centring import (
    PSEUDO_SHARPNESS,
    SHARPNESS,
    Shift,
    balance,
    find_shift,
    find_shift_of_all,
    may_show_one_class,
    softmax,
)
from .densities import class_densities, margin
from .groups import find_groups
from .ridge import RidgeSums

RIDGE_PENALTY: Final = 0.3
"""Ridge penalty, relative to the mean energy of a fact.  Chosen on the development streams of
docs/explanation/adaptation.md, like all below."""

PSEUDO_ROUNDS: Final = 5
"""Rounds of labelling pseudo-facts and solving, with one known domain."""

PSEUDO_ROUNDS_SEVERAL: Final = 1
"""The same with several: their heads agree on more than rounds of one ridge find."""

PSEUDO_SHARE: Final = 0.5
"""Share of each predicted class that become pseudo-facts: those answered most surely."""

PSEUDO_SAMPLES_MIN: Final = 16
"""Samples from which on there are pseudo-facts."""

DUPLICATE_SHARE: Final = 0.1
"""Squared distance of two samples, relative to that of a fact from its class mean, below which they
count as one: two facts of a class lie 20 times as far apart.  Chosen by hand."""

DISTINCT_MIN: Final = 8
"""Samples that are not near to another from which on there is an adaptation, as many as before the
first solution: a covered lens or a dark scene says nothing about the domain."""

SHARES_MOVED_MAX: Final = 0.15
"""Total variation between the labels' shares in the known heads' answers and in the facts, up to
which they agree.  With `LEAD_KEPT_MIN` chosen on spoken prompts, where centring cost up to 20
points; pictures and digits never meet both, at 64 to 512 samples in 216 streams."""

LEAD_KEPT_MIN: Final = 0.95
"""Lead of the known heads' answers once centred, relative to that before, below which centring
makes them less sure."""

SEPARATION_MIN: Final = 12.0
"""Separation of the known classes from which on unlabelled samples show them: pictures have 16 to
160, digits 25.  Prompts have 6 to 11, and lost 1.6 points on average, 10 at worst, once their heads
were adapted in runs of one label.  With 0.05 to 1.6, a water circuit gained up to 13 points in one
domain and lost up to 13 in another, by heads and by kernels, and no test told them apart."""

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


class Adaptation(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """How an opening is answered: logits = sharpness * (known scores + inputs @ weights + bias).

    shifts: of each group of the samples, one where they are not several.  centres: float64 [groups,
    labels, directions], the means of the shifted classes; a sample belongs to the group of the
    nearest.  weights: float64 [directions, labels] and bias: [groups, labels], of what was learned
    from pseudo-facts and the classes' densities.  count: samples adapted to.  kernels: whether the
    known kernels answer, else the heads.  sharpness: what keeps the lead of an answer in logits as
    it is without densities.
    """

    shifts: tuple[Shift, ...]
    centres: Doubles
    weights: Doubles
    bias: Doubles
    count: int
    kernels: bool = False
    sharpness: float = SHARPNESS

    @property
    def strength(self) -> float:
        """Share of the measured shifts that is applied, from 0 to 1."""
        return float(np.mean([one.strength for one in self.shifts]))

    def group_of(self, inputs: NDArray[np.floating]) -> int:
        """Return the group of a sample's inputs [directions]."""
        if len(self.shifts) == 1:
            return 0
        distances = np.square(self.centres - inputs).sum(axis=2)
        return int(distances.min(axis=1).argmin())

    def logits(self, basis: Basis, projected: Floats) -> Doubles:
        """Return logits float64 [n, labels] of `Basis.project`ed samples [n, ...]."""
        made = np.empty((len(projected), len(basis.labels)))
        for at, row in enumerate(projected.astype(np.float64)):
            inputs, scores = row[: basis.directions], row[basis.directions :]
            group = self.group_of(inputs)
            shift = self.shifts[group]
            known = (
                basis.machine_scores(inputs) if self.kernels else known_scores(basis, scores, shift)
            )
            made[at] = self.sharpness * (known + inputs @ self.weights + self.bias[group])
        return made

    def as_map(self, basis: Basis) -> tuple[Floats, Floats] | None:
        """Return what turns a `Basis.project`ed sample into logits at once: a matrix float32
        [directions + labels, labels] and constants [groups, labels]; None where kernels answer."""
        if self.kernels:
            return None
        labels = len(basis.labels)
        both = np.concatenate([self.weights, np.eye(labels)])
        zero = np.zeros(labels)
        known = [known_scores(basis, zero, one) for one in self.shifts]
        constants = self.sharpness * (np.array(known) + self.bias)
        return (self.sharpness * both).astype(np.float32), constants.astype(np.float32)


def known_scores(basis: Basis, scores: Doubles, shift: Shift) -> Doubles:
    """Return the known heads' scores [..., labels] of samples less a shift."""
    strength = shift.strength
    return basis.head_scores(scores, strength * shift.scores, strength)


def unadapted(basis: Basis) -> Adaptation:
    """Return the adaptation to no samples: the known heads answer."""
    size, labels = basis.directions, len(basis.labels)
    none = Shift(np.zeros(size), np.zeros(labels), 0.0)
    return Adaptation(
        shifts=(none,),
        centres=basis.class_means[None],
        weights=np.zeros((size, labels)),
        bias=np.zeros((1, labels)),
        count=0,
        kernels=bool(basis.machines),
    )


def leaves_alone(basis: Basis) -> bool:
    """Return whether the known domains answer every opening as they are.

    Kernels do: in a changed domain they are right more often than adapted heads, and no test found
    the streams in which centring them gains (docs/explanation/adaptation.md).  So do heads whose
    classes overlap.
    """
    return bool(basis.machines) or basis.separation < SEPARATION_MIN


def adapt(basis: Basis, projected: Floats) -> Adaptation:
    """Adapt to an opening's `Basis.project`ed samples, float32 [n, directions + labels].

    Cost: the inner products of all pairs of samples, and some ten solutions of a system of
    `directions` equations: 26 to 44 ms with 768 samples on one core of a busy machine.
    """
    if not len(projected) or leaves_alone(basis):
        return replace(unadapted(basis), count=len(projected))
    distinct = projected[distinct_rows(projected[:, : basis.directions], basis.within)]
    if len(distinct) < DISTINCT_MIN:
        return replace(unadapted(basis), count=len(projected))
    inputs, scores = np.split(distinct.astype(np.float64), [basis.directions], axis=1)
    whole = find_shift(basis, inputs, scores)
    unsure = not whole.single and may_show_one_class(basis, inputs, scores)
    if unsure or _heads_fit(basis, scores, whole.shift):
        return replace(unadapted(basis), count=len(projected))
    groups = find_groups(inputs - whole.assigned @ basis.class_means, whole.assigned)
    shifts = [whole.shift]
    if groups.any():
        parts = [groups == number for number in range(int(groups.max()) + 1)]
        shifts = [find_shift_of_all(basis, inputs[at], scores[at]).shift for at in parts]
    learned = np.zeros((basis.directions, len(basis.labels)))
    bias = np.zeros((len(shifts), len(basis.labels)))
    sharpness = SHARPNESS
    if len(distinct) >= PSEUDO_SAMPLES_MIN:
        moved = np.array([one.strength * one.inputs for one in shifts])
        known = np.empty_like(scores)
        for number, shift in enumerate(shifts):
            at = groups == number
            known[at] = known_scores(basis, scores[at], shift)
        rounds = PSEUDO_ROUNDS_SEVERAL if basis.distance else PSEUDO_ROUNDS
        centred = inputs - moved[groups]
        learned, more = _pseudo_ridge(basis, centred, known, rounds)
        if not groups.any():
            answered = known + centred @ learned + more
            added, level = class_densities(basis, centred, answered)
            sharpness *= margin(answered) / (margin(answered + centred @ added + level) + 1e-9)
            learned, more = learned + added, more + level
        bias = more - moved @ learned
    return Adaptation(
        shifts=tuple(shifts),
        centres=np.array([basis.class_means + one.inputs for one in shifts]),
        weights=learned,
        bias=bias,
        count=len(projected),
        sharpness=sharpness,
    )


def _heads_fit(basis: Basis, scores: Doubles, shift: Shift) -> bool:
    """Return whether the known heads answer samples, scores [n, labels], well as they are: with the
    labels' shares of the facts, and more surely than once centred.

    Then the classes have moved in different ways, and no common shift exists.  A head that a shift
    misleads answers with few labels, however sure it is.
    """
    found = basis.head_scores(scores, np.zeros_like(shift.scores), 0.0)
    centred = known_scores(basis, scores, shift)
    counts = np.bincount(found.argmax(axis=1), minlength=len(basis.labels))
    moved = 0.5 * float(np.abs(counts / len(found) - basis.shares).sum())
    return moved <= SHARES_MOVED_MAX and margin(centred) < LEAD_KEPT_MIN * margin(found)


def distinct_rows(inputs: Floats, within: float) -> NDArray[np.bool_]:
    """Return which of samples [n, directions] no earlier one is near; see `DUPLICATE_SHARE`.

    So what a still camera repeats counts once.  Cost: the inner products of all pairs.
    """
    lengths = np.vecdot(inputs, inputs)
    squared = lengths[:, None] + lengths - 2 * (inputs @ inputs.T)
    return ~np.asarray(np.tril(squared <= DUPLICATE_SHARE * within, -1).any(axis=1))


def _pseudo_ridge(
    basis: Basis, inputs: Doubles, scores: Doubles, rounds: int
) -> tuple[Doubles, Doubles]:
    """Return what pseudo-facts change in a ridge regression on the facts: weights and intercepts.

    The surest samples of each predicted class take part as facts, with soft labels (self-training;
    Lee 2013).  What a ridge with them answers beyond the same ridge without is added to `scores`,
    which answer where nothing is learned.  Rounds of this tend to answer with fewer labels: where
    they do, the shares of the labels stay those of `scores`.
    """
    penalty = RIDGE_PENALTY * basis.sums.energy
    before, level = basis.sums.solve(penalty)
    answers = softmax(PSEUDO_SHARPNESS * scores)
    shares = answers.mean(axis=0)
    learned, more = np.zeros_like(before), np.zeros_like(level)
    for _ in range(rounds):
        kept = _surest(answers)
        sums = basis.sums + RidgeSums.of(inputs[kept], answers[kept])
        after, intercept = sums.solve(penalty)
        learned = after - before
        found = scores + inputs @ learned + intercept - level
        added = balance(found, shares)
        more = intercept - level + added
        answers = softmax(PSEUDO_SHARPNESS * (found + added))
    return learned, more


def _surest(answers: Doubles) -> NDArray[np.intp]:
    """Return the rows of the surest answers of each predicted class, `PSEUDO_SHARE` of it."""
    predicted, sure = answers.argmax(axis=1), answers.max(axis=1)
    kept = []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        kept.append(rows[: int(np.ceil(PSEUDO_SHARE * len(rows)))])
    return np.concatenate(kept)
