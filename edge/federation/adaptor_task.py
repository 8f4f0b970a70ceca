"""An adaptor trained over devices: what a device contributes, and how training starts.

The columns of all devices are standardised alike, with statistics from exact sums: per column the
sum of the levels and of their roots in fixed point, so that any order of devices gives the same
bits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import nas

from ..core import EdgeError, limits
from ..core.adaptors import LEVELS, SOLVED_KINDS, Spans, balance_weights, transform_shapes
from ..core.knowledge import Moments, shrink_sums
from .arrays import Arrays

if TYPE_CHECKING:
    from ..growth import AdaptorRows

TOP: Final = "top"
"""Name of the classifier on top of the adaptor while it is trained; it stays with the fleet's
model and is left out of the adaptor, whose head each device solves from its own facts."""
ROOT_SCALE: Final = 1 << 20
"""Fixed point of roots of levels: 24 bits for at most 16, so that 2^39 facts fit."""
STATISTICS: Final = frozenset({"count", "levels", "roots"})
"""Names of what a device says of its columns."""
LEVEL_MAX: Final = 255
"""Largest level of a quantised feature."""
STEP: Final = 0.1
"""Added to a column's deviation, as in the standardisation of adaptors on one device."""
ROOTS: Final = np.rint(LEVELS.astype(np.float64) * ROOT_SCALE).astype(np.int64)
"""The root of each level in fixed point."""

Floats = NDArray[np.float32]
Concept = tuple[str, str]
"""A domain and a label."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeviceFacts:
    """Facts as columns: uint8 [n, width] with a label and a domain each."""

    features: NDArray[np.uint8] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    domains: tuple[str, ...] = field(repr=False)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The concept of each fact."""
        return tuple(zip(self.domains, self.labels, strict=True))

    def statistics(self) -> dict[str, NDArray[np.int64]]:
        """Return the exact sums that the standardisation follows from: count [1], levels and roots
        [width]."""
        roots = np.zeros(self.features.shape[1], np.int64)
        for row in self.features:
            roots += ROOTS[row]
        return {
            "count": np.array([len(self.features)], np.int64),
            "levels": self.features.sum(axis=0, dtype=np.int64),
            "roots": roots,
        }


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AdaptorCourse:
    """What devices agree on: the blueprint, the taps, the concepts of the fleet, sorted, and the
    standardisation, float32 [read]."""

    blueprint: nas.Blueprint
    spans: Spans
    concepts: tuple[Concept, ...]
    centre: Floats = field(repr=False)
    factor: Floats = field(repr=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the fleet, sorted."""
        return tuple(sorted({label for _, label in self.concepts}))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Columns of each tap."""
        return tuple(self.spans[tap][1] - self.spans[tap][0] for tap in self.blueprint.taps)

    @property
    def columns(self) -> NDArray[np.intp]:
        """The columns that the blueprint reads."""
        return np.concatenate([np.arange(*self.spans[tap]) for tap in self.blueprint.taps])

    def start(self, seed: int) -> dict[str, NDArray[Any]]:
        """Return the initial model: variance-preserving, residual branches and gates at zero, as in
        training on one device; the classifier on top at zero."""
        random = np.random.default_rng(seed)
        made: dict[str, NDArray[Any]] = {}
        for name, shape in sorted(transform_shapes(self.blueprint, self.spans).items()):
            if name not in {"centre", "factor"}:
                drawn = random.standard_normal(shape) / np.sqrt(shape[0])
                made[name] = (drawn * (0.0 if name[0] in "VgF" else 1.0)).astype(np.float32)
        out = self.blueprint.width or sum(self.sizes)
        made[TOP] = np.zeros((out, len(self.labels)), np.float32)
        return made

    def standardised(self, features: NDArray[np.uint8]) -> Floats:
        """Return float32 [n, read] of uint8 [n, width] features."""
        rows = LEVELS[features[:, self.columns]] - self.centre
        return np.asarray(rows * self.factor, np.float32)

    def transform(self, model: Arrays) -> dict[str, NDArray[Any]]:
        """Return the arrays of the adaptor that serves: the model without its top, with the
        standardisation."""
        own = {name: value for name, value in model.items() if name != TOP}
        return {"centre": self.centre, "factor": self.factor, **own}


def plan_adaptor(
    blueprint: nas.Blueprint,
    spans: Spans,
    concepts: Iterable[Concept],
    statistics: Mapping[str, Arrays],
) -> AdaptorCourse:
    """Return what all devices agree on.

    statistics: by device, as `DeviceFacts.statistics`.  Raises EdgeError for a blueprint that
    is not trained, and without facts or a second label.
    """
    if blueprint.kind in SOLVED_KINDS:
        raise EdgeError(
            f"training over devices: an adaptor of kind {blueprint.kind} is solved, not trained",
            "choose a kind that is trained, such as lowrank",
        )
    known = tuple(sorted(set(concepts)))
    labels = {label for _, label in known}
    count = sum(int(one["count"][0]) for one in statistics.values())
    if not count or len(labels) < 2:
        raise EdgeError(
            f"training over devices: expected facts with 2 labels or more, found {count} facts "
            f"with {len(labels)}",
            "choose a domain that the devices have learned",
        )
    levels, roots = (
        np.sum([one[name] for one in statistics.values()], axis=0) for name in ("levels", "roots")
    )
    mean = roots / ROOT_SCALE / count
    variance = np.maximum(levels / count - mean**2, 0)
    factor = balance_weights(spans, len(mean)) / (np.sqrt(variance) + STEP)
    columns = np.concatenate([np.arange(*spans[tap]) for tap in blueprint.taps])
    return AdaptorCourse(
        blueprint=blueprint,
        spans=spans,
        concepts=known,
        centre=mean[columns].astype(np.float32),
        factor=factor[columns].astype(np.float32),
    )


def find_impossible_statistics(statistics: Arrays) -> str:
    """Return which of a device's sums no facts sum up to; empty if all can be meant.

    So what one device says of its columns is bounded by its number of facts, and nothing overflows.
    """
    if any(one.dtype.kind not in "iu" or one.dtype.itemsize > 8 for one in statistics.values()):
        return "they are not whole numbers"
    shapes = {name: value.shape for name, value in statistics.items()}
    if shapes.keys() != STATISTICS or shapes["levels"] != shapes["roots"]:
        return f"they are not {', '.join(sorted(STATISTICS))} of the same columns"
    count = int(statistics["count"].sum())
    if not 0 < count <= limits.CONTRIBUTED_SAMPLES_MAX:
        return f"{count} facts, expected 1 to {limits.CONTRIBUTED_SAMPLES_MAX}"
    levels, roots = (statistics[name].astype(np.float64) for name in ("levels", "roots"))
    if (levels < 0).any() or (levels > LEVEL_MAX * count).any():
        return f"levels outside 0 to {LEVEL_MAX} for each fact"
    # The square of a mean is at most the mean of the squares.
    if (roots < 0).any() or ((roots / ROOT_SCALE / count) ** 2 > levels / count + STEP).any():
        return "roots of other levels"
    return ""


class AdaptorTask:
    """The part of one device in training an adaptor."""

    def __init__(self, facts: DeviceFacts, course: AdaptorCourse) -> None:
        self._facts, self._course = facts, course
        numbers = {label: at for at, label in enumerate(course.labels)}
        self._targets = np.array([numbers[label] for label in facts.labels], np.int64)

    @property
    def examples(self) -> int:
        """Number of facts."""
        return len(self._targets)

    @cached_property
    def rows(self) -> "AdaptorRows":
        """The standardised facts; loads torch."""
        from ..growth import AdaptorRows

        return AdaptorRows(
            blueprint=self._course.blueprint,
            sizes=self._course.sizes,
            rows=self._course.standardised(self._facts.features),
            targets=self._targets,
        )

    def gradient(
        self, arrays: Arrays, batch: int, random: np.random.Generator
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        """Return the cross-entropy and its gradient on a batch drawn without repetition."""
        at = random.permutation(self.examples)[:batch]
        loss, found = self.rows.gradient(arrays, at)
        return loss, dict(found)

    def sums(self) -> dict[str, NDArray[Any]]:
        """Return counts and sums by concept and the Gram matrix, of the first tap's columns, in the
        narrowest types, as contributions travel."""
        start, stop = self._course.spans[0]
        moments = Moments(stop - start)
        first, concepts = self._facts.features[:, start:stop], self._facts.concepts
        for concept in sorted(set(concepts)):
            moments.change(concept, first[[one == concept for one in concepts]], 1)
        zero = np.zeros(moments.columns, np.int64)
        counts = [moments.counts.get(one, 0) for one in self._course.concepts]
        features = [moments.sums.get(one, zero) for one in self._course.concepts]
        made = {
            "counts": np.array(counts, np.int64),
            "features": np.array(features),
            "gram": moments.gram[np.tril_indices(len(moments.gram))],
        }
        return {name: shrink_sums(array) for name, array in made.items()}


def label_accuracy(model: Arrays, facts: DeviceFacts, course: AdaptorCourse) -> float:
    """Return the share of facts whose label a fleet's model answers: one that was trained, or one
    solved from sums, which answers the label of the nearest
    concept of any domain."""
    if TOP in model:
        scores, names = AdaptorTask(facts, course).rows.score(model), course.labels
    else:
        start, stop = course.spans[0]
        rows = facts.features[:, start:stop] * model["factor"]
        scores = np.asarray(rows @ model["weights"] + model["bias"], np.float32)
        names = tuple(label for _, label in course.concepts)
    answers = np.array(names)[scores.argmax(axis=1)]
    return float((answers == np.array(facts.labels)).mean())
