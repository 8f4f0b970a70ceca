"""The head of an adaptor: a linear classifier on top of a transform of the features, solved in
closed form from facts.

Facts of other domains take part with a lower weight, so that a few labels in a new domain are
enough (transfer learning); the weight is chosen by the leave-one-out error.  Constants and their
measurements: docs/decisions/0007.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import hdc
from nas import RECIPES, Blueprint

from ..errors import ModelMismatchError, StateCorruptError
from ..facts import FactBatch
from ..structs import FrozenStruct
from .gram import Gram
from .kinds import KINDS
from .losses import can_be_better, grade_scores, is_better
from .record import AdaptorRecord
from .retrieval import Evidence, better_evidence
from .standardisation import LEVELS, Spans, Standardisation, block_slices
from .weighting import (
    OTHER_FACTS,
    OWN_WEIGHT_FACTS,
    PENALTY_MIN,
    RIDGE_DEFAULT,
    RIDGES,
    WEIGHT_DEFAULT,
    choose_ridge,
    choose_weight,
    class_weights,
    exact_residuals,
    has_choice,
    lowest_hashes,
    sampling_step,
)

Floats = NDArray[np.float32]

DUAL_MAX: Final = 0.75
"""Facts per column up to which the dual is solved: at that ratio in half the time and twice the
memory of the primal."""

PLAIN: Final = "none"
"""The kind that leaves the standardised columns as they are."""

WEIGHTS_APART: Final = 0.1
"""Least range of class weights worth a choice.  Chosen by hand; effect not measured."""

Arrays = Mapping[str, NDArray[Any]]


class Transform(FrozenStruct, frozen=True, kw_only=True, eq=False):
    """phi(features) = kind((root(features[columns]) - centre) * factor).

    columns: intp [read], the features of the blueprint's taps side by side.  centre, factor:
    float32 [read] in `arrays`, mean and inverse deviation of a column in the domain.  sizes:
    columns of each tap.  encoded: width of the features.  whole: it reads all columns in order.
    """

    blueprint: Blueprint
    arrays: Arrays
    columns: NDArray[np.intp]
    sizes: tuple[int, ...]
    encoded: int
    whole: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of parameters: those of the kind, and two numbers per column."""
        return int(sum(array.nbytes for array in self.arrays.values()))

    @property
    def operations(self) -> int:
        """Multiply-adds per sample: those of the kind, and one per column."""
        return KINDS[self.blueprint.kind].operations(self.blueprint, self.sizes) + sum(self.sizes)

    @property
    def out(self) -> int:
        """Columns of the result."""
        return self.blueprint.width or sum(self.sizes)

    def __call__(self, features: NDArray[np.uint8], centre: Floats | None = None) -> Floats:
        """Transform uint8 [..., width] features to float32 [..., out].

        centre: [..., read], the column means of the features' domain; by default those of the
        adaptor's domain.  Raises ModelMismatchError for another width or dtype.
        """
        rows = self.levels(features)
        rows -= self.arrays["centre"] if centre is None else centre
        rows *= self.arrays["factor"]
        return KINDS[self.blueprint.kind].apply(self.blueprint, self.arrays, self.sizes, rows)

    def levels(self, features: NDArray[np.uint8]) -> Floats:
        """Return root(features[columns]), float32 [..., read], of uint8 [..., width].  Raises
        ModelMismatchError for another width or dtype."""
        return LEVELS.take(self.read(features))

    def read(self, features: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the columns that it reads, uint8 [..., read].  Errors: as `levels`."""
        if features.dtype != np.uint8 or features.shape[-1:] != (self.encoded,):
            raise ModelMismatchError(
                f"adapting features: expected uint8 [..., {self.encoded}], "
                f"found {features.dtype} {list(features.shape)}",
                "use the encoder whose features the adaptor was trained on",
            )
        return features if self.whole else features[..., self.columns]


def build_transform(source: AdaptorRecord | tuple[Blueprint, Arrays], spans: Spans) -> Transform:
    """Make the transform of a record, or of a blueprint and arrays, for an encoder's taps.

    Raises StateCorruptError where kind, taps and arrays do not fit together.
    """
    blueprint, arrays = (
        (source.blueprint, source.arrays) if isinstance(source, AdaptorRecord) else source
    )
    expected = transform_shapes(blueprint, spans)
    found = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    if found != {name: ("<f4", shape) for name, shape in expected.items()}:
        raise StateCorruptError(
            f"building an adaptor of kind {blueprint.kind}: expected float32 {expected}, "
            f"found {found}",
            "roll back to the previous version, or train it again",
        )
    chosen = [spans[tap] for tap in blueprint.taps]
    columns = np.concatenate([np.arange(start, stop) for start, stop in chosen])
    sizes = tuple(stop - start for start, stop in chosen)
    encoded = max(stop for _, stop in spans)
    whole = np.array_equal(columns, np.arange(encoded))
    return Transform(
        blueprint=blueprint,
        arrays=dict(arrays),
        columns=columns,
        sizes=sizes,
        encoded=encoded,
        whole=whole,
    )


def transform_shapes(blueprint: Blueprint, spans: Spans) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all arrays of a blueprint's transform, float32, by name.

    Raises StateCorruptError for a kind, a tap or a recipe that does not exist.
    """
    known = blueprint.kind in KINDS and blueprint.taps
    if not known or not all(0 <= tap < len(spans) for tap in blueprint.taps):
        raise StateCorruptError(
            f"building an adaptor: expected a kind of {', '.join(KINDS)} on taps below "
            f"{len(spans)}, found {blueprint}",
            "use the program version and the encoder that it was trained with",
        )
    if blueprint.recipe not in RECIPES:
        raise StateCorruptError(
            f"building an adaptor: expected a recipe of {', '.join(RECIPES)}, "
            f"found {blueprint.recipe!r}",
            "use the program version that it was trained with",
        )
    sizes = tuple(stop - start for start, stop in (spans[tap] for tap in blueprint.taps))
    read = sum(sizes)
    return {"centre": (read,), "factor": (read,), **KINDS[blueprint.kind].shapes(blueprint, sizes)}


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A linear adaptor: scores = transform(features) @ weights + bias.

    weights: float32 [out, labels]; bias: [labels].  evidence: what unsure answers are revised by,
    where that does better.
    """

    labels: tuple[str, ...]
    transform: Transform
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    evidence: Evidence | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the transform, weights, bias and evidence."""
        held = self.evidence.nbytes if self.evidence is not None else 0
        return int(self.transform.nbytes + self.weights.nbytes + self.bias.nbytes + held)

    @property
    def operations(self) -> int:
        """Multiply-adds per sample, of an unsure answer where these are revised."""
        revised = self.evidence.operations if self.evidence is not None else 0
        return int(self.transform.operations + self.weights.size + revised)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a confident
        answer."""
        drafts = self.draft(features)
        if self.evidence is None:
            return drafts
        return self.evidence.revise(self.transform(features), drafts)

    def draft(self, features: NDArray[np.uint8]) -> Floats:
        """Score features as `answer` does, before any revision."""
        if self._folded is None:
            return np.asarray(self.transform(features) @ self.weights + self.bias)
        weights, bias = self._folded
        read = self.transform.read(features)
        if read.ndim == 1:
            return hdc.linear_scores(read, LEVELS, weights, bias)
        made = np.matmul(LEVELS.take(read), weights.T)
        made += bias
        return np.asarray(made)

    @cached_property
    def _folded(self) -> tuple[Floats, Floats] | None:
        """Weights [labels, read] and bias for columns that are not standardised, where the
        transform does nothing else."""
        if self.transform.blueprint.kind != PLAIN:
            return None
        arrays = self.transform.arrays
        weights = arrays["factor"].astype(np.float64)[:, None] * self.weights
        bias = self.bias - arrays["centre"].astype(np.float64) @ weights
        # Label by label, each sum runs through memory in order: half the time.
        return np.ascontiguousarray(weights.T, np.float32), bias.astype(np.float32)


class HeadTrainingSet:
    """The transformed facts that a head is solved from, those of its own domain first.

    labels: of all facts, sorted.  weight: of a fact of another domain, relative to an own fact.
    penalty: relative to the mean energy of a row.  centre, level: weighted means of the inputs and
    targets.
    Within both parts, facts of rare labels weigh more (`class_weights`) if that does better on own
    facts left out.
    """

    def __init__(
        self, transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
    ) -> None:
        self.labels = tuple(sorted({*own.labels, *others.labels}))
        self.transform, self._own, self._others = transform, own, others
        self._standard = standard
        self._centres = standard.centres[:, transform.columns]
        self.own_weights = np.ones(len(own), np.float32)
        self._other_weights = np.ones(len(others), np.float32)
        self._judges = lowest_hashes(own)
        self._residuals: NDArray[np.floating] | None = None
        self.weight, self.penalty = self._choose_weights()
        self._choose_class_weights()
        self.centre, self.level = self._weighted_means()

    def __len__(self) -> int:
        return len(self._own) + len(self._others)

    @property
    def row_weights(self) -> Floats:
        """The weights of all rows [n], in the order of `all_rows`."""
        return np.concatenate([self.own_weights, self._other_weights * np.float32(self.weight)])

    @property
    def ridge(self) -> float:
        """The penalty relative to the energy of all weighted rows."""
        return self.penalty / (len(self._own) + self.weight * len(self._others))

    def solve(self) -> FittedHead:
        """Solve the head; see `solve_head`."""
        solve = _solve_dual if len(self) <= DUAL_MAX * self.transform.out else _solve_primal
        weights = solve(self)
        bias = self.level - self.centre @ weights
        return FittedHead(self.labels, self.transform, weights, bias)

    def revised(self) -> FittedHead:
        """Solve the head, with evidence where that does better on own facts left out; see
        `better_evidence`."""
        solved = self.solve()
        if {*self._own.labels} != {*self.labels}:
            return solved
        rows = np.concatenate([self._own_rows(at)[0] for at in block_slices(len(self._own))])
        return replace(
            solved, evidence=better_evidence(self._own, rows, self.left_out_scores(), self.labels)
        )

    def chunks(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield inputs float32 [n, out] and targets [n, labels] in parts, centred on their weighted
        means and multiplied by the roots of their weights."""
        for rows, targets, weights in self._parts():
            scale = np.sqrt(weights)[:, None]
            yield (rows - self.centre) * scale, (targets - self.level) * scale

    def all_rows(self) -> tuple[Floats, Floats]:
        """Return the inputs and targets of all chunks."""
        inputs = np.empty((len(self), len(self.centre)), np.float32)
        targets = np.empty((len(self), len(self.labels)), np.float32)
        at = 0
        for rows, row_targets in self.chunks():
            inputs[at : at + len(rows)] = rows
            targets[at : at + len(rows)] = row_targets
            at += len(rows)
        return inputs, targets

    def _parts(self) -> Iterator[tuple[Floats, Floats, Floats]]:
        for part in block_slices(len(self._own)):
            yield *self._own_rows(part), self.own_weights[part]
        for part in block_slices(len(self._others)):
            weights = self._other_weights[part] * np.float32(self.weight)
            yield *self._other_rows(part), weights

    def _own_rows(self, part: slice | NDArray[np.intp]) -> tuple[Floats, Floats]:
        labels = self._own.labels
        chosen = labels[part] if isinstance(part, slice) else [labels[row] for row in part.tolist()]
        return self.transform(self._own.features[part]), self._targets(chosen)

    def _other_rows(self, part: slice) -> tuple[Floats, Floats]:
        centres = self._centres[self._standard.numbers[part]]
        rows = self.transform(self._others.features[part], centres)
        return rows, self._targets(self._others.labels[part])

    def _targets(self, labels: Sequence[str]) -> Floats:
        at = {label: column for column, label in enumerate(self.labels)}
        return np.eye(len(at), dtype=np.float32)[[at[label] for label in labels]]

    def _weighted_means(self) -> tuple[Floats, Floats]:
        """Return the weighted means of inputs and targets."""
        total, mean, level = 0.0, np.zeros(self.transform.out), np.zeros(len(self.labels))
        for rows, targets, weights in self._parts():
            total += float(weights.sum(dtype=np.float64))
            mean += weights.astype(np.float64) @ rows
            level += weights.astype(np.float64) @ targets
        return (mean / total).astype(np.float32), (level / total).astype(np.float32)

    def left_out_scores(self) -> Floats:
        """Return scores [n, labels] of the own facts that the penalty was chosen on, left out:
        `lowest_hashes`."""
        if self._residuals is None:
            self._choose_ridge(self.weight, (RIDGE_DEFAULT,))
        errors = self._residuals / np.sqrt(self.own_weights[self._judges])[:, None]
        return np.asarray(self._targets(self.judging_labels) - errors, np.float32)

    def right_left_out(self) -> int:
        """Return how many of the own facts that judge (`lowest_hashes`), at least two, the head
        answers with their label when they are left out, with their share in the domain's mean."""
        inputs, targets, count, represented = self._sampled(self._judges)
        weights = self.own_weights[self._judges]
        share = weights / weights.sum()
        sample, weight = (inputs, targets, count), self.weight * represented
        errors = exact_residuals(sample, weight, self.penalty, share) / np.sqrt(weights)[:, None]
        scores = self._targets(self.judging_labels) - errors
        answered = scores.argmax(axis=1).tolist()
        labels = self.judging_labels
        return sum(self.labels[at] == label for at, label in zip(answered, labels, strict=True))

    @property
    def judging_labels(self) -> list[str]:
        """The labels of the own facts that judge: `lowest_hashes`."""
        return [self._own.labels[row] for row in self._judges.tolist()]

    def _choose_weights(self) -> tuple[float, float]:
        """Choose weight and penalty on a sample of the facts, each representing several."""
        if not has_choice(self._own.labels):
            return WEIGHT_DEFAULT, RIDGE_DEFAULT
        weight = WEIGHT_DEFAULT
        if len(self._others):
            weight = choose_weight(*self._sampled(lowest_hashes(self._own, OWN_WEIGHT_FACTS)))
        return weight, self._choose_ridge(weight, RIDGES)

    def _choose_class_weights(self) -> None:
        """Keep class weights if they do better on own facts left out, each counted by the root of
        its class weight."""
        weights = class_weights(self._own.labels)
        if self._residuals is None or np.ptp(weights) < WEIGHTS_APART:
            return
        at = {label: column for column, label in enumerate(self.labels)}
        targets = np.array([at[label] for label in self.judging_labels])
        plain = grade_scores(self.left_out_scores(), targets)
        counted = np.sqrt(weights[self._judges])
        if not can_be_better(plain, counted):
            return
        kept = self.own_weights, self._other_weights, self._residuals
        self.own_weights, self._other_weights = weights, class_weights(self._others.labels)
        self._choose_ridge(self.weight, (self.penalty,))
        weighted = grade_scores(self.left_out_scores(), targets)
        if not is_better(weighted, plain, weights=counted):
            self.own_weights, self._other_weights, self._residuals = kept

    def _choose_ridge(self, weight: float, ridges: Sequence[float]) -> float:
        inputs, targets, count, represented = self._sampled(self._judges)
        sample = inputs, targets, count
        ridge, self._residuals = choose_ridge(sample, weight * represented, ridges)
        return ridge

    def _sampled(self, rows: NDArray[np.intp]) -> tuple[Floats, Floats, int, float]:
        """Return centred inputs and targets of some own facts and of a sample of the others, the
        number of own facts, and the facts that one of the others represents, relative to an own
        one."""
        own = len(self._own) / len(rows)
        other = max(1, sampling_step(len(self._others), OTHER_FACTS))
        sets = [(*self._own_rows(rows), self.own_weights[rows])]
        if len(self._others):
            weights = self._other_weights[::other]
            sets.append((*self._other_rows(slice(None, None, other)), weights))
        inputs = np.concatenate([_centred(rows, weights) for rows, _, weights in sets])
        targets = np.concatenate([_centred(rows, weights) for _, rows, weights in sets])
        return inputs, targets, len(sets[0][0]), other / own


def _centred(rows: Floats, weights: Floats) -> Floats:
    """Return rows [n, k] about their weighted mean, times the roots of their weights [n]."""
    mean = weights @ rows / weights.sum()
    return np.asarray((rows - mean) * np.sqrt(weights)[:, None], np.float32)


def solve_head(
    transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
) -> FittedHead:
    """Solve the head of a domain on a transform.  own: its facts, at least one; others: the facts
    of all other domains.

    Weighted ridge regression on one-hot labels (Hoerl & Kennard 1970), in the dual with fewer facts
    than columns.  Rows are sorted by id, so that the result depends on the set of facts alone.
    Cost for n facts: O(n out min(n, out)) time, 2 min(n, out)^2 bytes in small pieces, and in the
    dual 4 n out bytes.
    """
    return HeadTrainingSet(transform, own, others, standard).solve()


def _solve_primal(training_set: HeadTrainingSet) -> Floats:
    """Solve for one number per column."""
    gram = Gram(len(training_set.centre))
    products = np.zeros((len(training_set.centre), len(training_set.labels)), np.float32)
    for inputs, targets in training_set.chunks():
        gram.add(inputs)
        products += inputs.T @ targets
    return gram.solve(training_set.ridge * gram.trace() + PENALTY_MIN, products)


def _solve_dual(training_set: HeadTrainingSet) -> Floats:
    """Solve for one number per fact instead of one per column."""
    inputs, targets = training_set.all_rows()
    gram = Gram(len(inputs))
    gram.fill(lambda rows, columns: inputs[rows] @ inputs[columns].T)
    return np.asarray(
        inputs.T @ gram.solve(training_set.ridge * gram.trace() + PENALTY_MIN, targets)
    )
