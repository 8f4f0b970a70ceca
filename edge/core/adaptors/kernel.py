"""Kernel ridge regression on the facts of a domain, which are kept as bytes.

A Gaussian kernel (Saunders, Gammerman & Vovk 1998).  Only the proportions of the columns, the
bandwidth and the penalty are tuned (`tune_kernel`); the rest is solved again from the facts, so
that a new fact becomes a landmark and a forgotten one leaves no trace.  With more facts than
landmarks, the landmarks are the facts whose ids have the lowest hashes, and all facts are learned
through them (the Nystroem approximation: Williams & Seeger 2001).  Measurements:
docs/decisions/0011 and 0024.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import hdc
from nas import Blueprint

from ..facts import FactBatch, Rank, SampleScope, scope_of, select_rows
from ..structs import FrozenStruct
from .gram import Gram, inverse_root
from .head import Transform
from .losses import tempered_losses
from .standardisation import LEVELS, Spans, Standardisation, block_slices, standardise
from .weighting import OWN_PENALTY_FACTS, class_weights, lowest_hashes

Floats = NDArray[np.float32]
Tuned = tuple[dict[str, Floats], Floats]

KIND: Final = "kernel"
STEPS: Final = 16
"""Codes per unit of a root: sixteenths of a root up to 15.97 fit into a byte."""
CODES: Final = np.rint(LEVELS * STEPS).astype(np.uint8)
"""The code of a landmark's column: its root in sixteenths, finer than one level up to level 64."""
BLOCK: Final = 64
"""Landmarks compared at a time: as floats they fit into the cache."""
JITTER: Final = 1e-3
"""Added to the diagonal of the landmarks' kernel, which is near singular where they lie close
together."""
BANDWIDTHS: Final = (0.5, 1.0, 2.0)
"""Candidates: the squared distance at which facts are similar, as the median one over this.  A
factor of two in each direction.  Chosen by hand; effect not measured."""
PENALTIES: Final = (0.03, 0.1, 0.3)
"""Candidates for the ridge penalty: a factor of three in each direction.  Chosen by hand; effect
not measured."""
EQUALITIES: Final = (1.0, 0.5, 0.0)
"""Candidates for the power of a column's inverse deviation: with 1 all columns count alike, as in a
head, with 0 in proportion to their deviation.  The first one is the default: docs/decisions/0024.
"""
TUNED_GAIN_MIN: Final = 0.02
"""Relative gain in cross-entropy that another candidate needs: docs/decisions/0024."""
DEFAULT_CHOICE: Final = (1.0, 0.1)
"""Bandwidth and penalty unless others are clearly better.  Chosen by hand; decision 0015."""
EQUAL_SHARE: Final = 0.1
"""Least median squared distance, as a share of the mean: of discrete features half of the pairs may
be equal, and a distance near 0 as a unit makes the kernel singular."""
TUNED_MAX: Final = 64
"""Domains whose tuned kernels are kept: 3 KiB for each label of each.  Chosen by hand; effect not
measured."""
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
DISTANCE_MIN: Final = 1e-6
"""Least median squared distance: facts may be equal, and it is a divisor."""


class Landmarks(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """Facts that samples are compared with.

    codes: uint8 [m, read].  sums: int32 [m], of each landmark's codes.  lengths: float32 [m],
    squared lengths of the scaled landmarks.  step, shift: float32 [read], a sixteenth of each
    column's factor, and its scaled centre.
    """

    transform: Transform
    codes: NDArray[np.uint8]
    sums: NDArray[np.int32]
    lengths: Floats
    step: Floats
    shift: Floats

    def rows(self, span: slice) -> Floats:
        """Return some landmarks transformed like samples: float32 [k, read]."""
        return _decode(self.transform, self.codes[span])

    def similarity(self, rows: Floats, span: slice = slice(None)) -> Floats:
        """Return exp(-squared distance) of rows float32 [..., read] to landmarks [..., k]."""
        if rows.ndim == 1 and hdc.is_native() and rows.shape[-1] <= hdc.PRODUCT_WIDTH_MAX:
            columns = (self.step, self.shift)
            held = (self.codes[span], self.sums[span], self.lengths[span])
            distances = hdc.landmark_distances(*held, rows, columns)
        else:
            distances = self._distances(rows, span)
        return np.asarray(np.exp(distances, out=distances))

    def _distances(self, rows: Floats, span: slice) -> Floats:
        """Return squared distances float32 [..., k], negative."""
        distances = self._products(rows * self.step, span)
        shared = rows @ self.shift + np.float32(0.5) * np.square(rows).sum(-1)
        distances -= shared[..., None]
        distances *= 2
        distances -= self.lengths[span]
        return np.asarray(np.minimum(distances, 0, out=distances))

    def _products(self, scaled: Floats, span: slice) -> Floats:
        """Return the products float32 [..., k] of scaled rows with landmarks."""
        codes = self.codes[span]
        made = np.empty((*scaled.shape[:-1], len(codes)), np.float32)
        buffer = np.empty((BLOCK, codes.shape[1]), np.float32)
        for at in range(0, len(codes), BLOCK):
            block = buffer[: len(codes[at : at + BLOCK])]
            block[...] = codes[at : at + BLOCK]
            made[..., at : at + BLOCK] = scaled @ block.T
        return made


class KernelMachine(FrozenStruct, frozen=True, eq=False):
    """A kernel adaptor: scores = similarity(transform(features)) @ weights + bias.

    weights: float32 [landmarks, labels]; bias: [labels].
    """

    labels: tuple[str, ...]
    landmarks: Landmarks
    weights: Floats
    bias: Floats

    @property
    def nbytes(self) -> int:
        """Bytes of landmarks, scales, weights and bias."""
        landmarks = self.landmarks
        numbers = landmarks.lengths.nbytes + landmarks.sums.nbytes
        numbers += self.weights.nbytes + self.bias.nbytes
        return int(landmarks.transform.nbytes + landmarks.codes.nbytes + numbers)

    @property
    def operations(self) -> int:
        """Multiply-adds per sample."""
        landmarks = self.landmarks
        return int(landmarks.transform.operations + landmarks.codes.size + self.weights.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a confident
        answer."""
        return self.score(self.landmarks.transform(features))

    def score(self, rows: Floats) -> Floats:
        """Score transformed rows float32 [..., read]: float32 [..., labels]."""
        return np.asarray(self.landmarks.similarity(rows) @ self.weights + self.bias)


def solve_kernel(transform: Transform, own: FactBatch) -> KernelMachine:
    """Solve the kernel machine of a domain from its facts, at least one.

    Its labels are those of these facts.  The result depends on the set of facts alone.  Cost for n
    facts and m landmarks: n m read multiply-adds and, if all facts are landmarks, m^3 / 6 more and
    2 m^2 bytes in small pieces; else n m^2 + m^3 more and 8 m^2 bytes.
    """
    labels = tuple(sorted(set(own.labels)))
    at = {label: column for column, label in enumerate(labels)}
    targets = np.eye(len(labels), dtype=np.float32)[[at[label] for label in own.labels]]
    weights = class_weights(own.labels)
    level = weights @ targets / weights.sum()
    places = lowest_hashes(own, transform.blueprint.width)
    landmarks = choose_landmarks(transform, own.features[places])
    penalty = float(transform.arrays["penalty"][0])
    roots = np.sqrt(weights)[:, None]
    targets = (targets - level) * roots
    if len(places) == len(own):
        solved = _solve_all(landmarks, targets, roots, penalty)
    else:
        solved = _solve_nystroem(landmarks, own, (targets, roots), penalty)
    return KernelMachine(labels, landmarks, solved, level)


class TunedKernel(NamedTuple):
    """A result of `tune_kernel`.  key: digest of its inputs.  arrays, scores: the result.  scope:
    which facts of the domain, removed, change it.  alone: whether no other domain's facts do; they
    have a part in the standardisation of a domain with few facts."""

    key: bytes
    arrays: Mapping[str, Floats]
    scores: Floats
    scope: SampleScope
    alone: bool

    def stays(self, domain: str, gone: Mapping[str, Rank]) -> bool:
        """Return whether it shows nothing of removed facts.  domain: that it was tuned for.  gone:
        as in `TunedKernels.without`."""
        lowest = gone.get(domain)
        if lowest is not None and self.scope.changes(lowest):
            return False
        return self.alone or gone.keys() <= {domain}


class TunedKernels:
    """The last result of `tune_kernel` for each domain; it serves again while the facts that are
    tuned on are the same."""

    def __init__(self, kept: Mapping[str, TunedKernel] = NOTHING) -> None:
        self._kept = dict(kept)

    def without(self, domains: Collection[str], gone: Mapping[str, Rank]) -> "TunedKernels":
        """Return a copy for these domains alone, without what was tuned on facts that are removed.
        gone: the lowest rank of those of each domain.  A fit at work goes on with this one, so that
        nothing of its facts comes into the copy."""
        held = tuple(self._kept.items())
        return TunedKernels(
            {name: one for name, one in held if name in domains and one.stays(name, gone)}
        )

    def kept(self, domain: str) -> TunedKernel | None:
        """Return what is kept of a domain."""
        return self._kept.get(domain)

    def put(self, domain: str, one: TunedKernel) -> None:
        """Keep an earlier result; `get` returns it for the inputs that its key names alone."""
        self._kept.pop(domain, None)
        self._kept[domain] = one
        for oldest in list(self._kept)[:-TUNED_MAX]:
            # Another thread may put one at the same time.
            self._kept.pop(oldest, None)

    def get(
        self,
        taps: tuple[int, ...],
        rows: FactBatch,
        standard: Standardisation,
        spans: Spans,
        *,
        alone: bool,
    ) -> Tuned:
        """Return what `_tune` does, computed now unless it is kept.  alone: see `TunedKernel`."""
        inputs = repr((taps, spans, rows.labels, standard.centre.tobytes()))
        state = hashlib.sha256(inputs.encode())
        state.update(standard.factor.tobytes())
        state.update(rows.features.tobytes())
        key, domain = state.digest(), rows.domains[0]
        found = self._kept.get(domain)
        if found is not None and found.key == key:
            made = dict(found.arrays), found.scores
        else:
            made = _tune(taps, rows, standard, spans)
        # Also of one that is kept: facts of other ids may have the same features.
        scope = scope_of(rows, OWN_PENALTY_FACTS)
        self.put(domain, TunedKernel(key, *made, scope, alone))
        return made


def tune_kernel(
    blueprint: Blueprint,
    own: FactBatch,
    standard: Standardisation,
    spans: Spans,
    tuned: TunedKernels | None = None,
) -> Tuned:
    """Return the arrays of a kernel's transform for a domain with these facts, at least one, and
    leave-one-out scores [n, labels] of the facts that it is tuned on, `lowest_hashes`.

    The factor scales the distance at which facts are similar to 1: by default their median
    distance.  First the proportions of the columns within each tap, then the bandwidth, then the
    penalty is chosen by the cross-entropy of these scores at the best temperature, in closed form
    (Allen 1974).  Where not all own facts are tuned on, they alone decide, so that other facts
    change nothing.  tuned: earlier results.  Cost: seven factorisations of up to 768 rows, and
    three times their distances.
    """
    places = lowest_hashes(own)
    alone = len(places) < len(own)
    if alone:
        own, nothing = select_rows(own, places), select_rows(own, places[:0])
        standard = standardise(own, nothing, spans)
    return (tuned or TunedKernels()).get(blueprint.taps, own, standard, spans, alone=alone)


def _tune(taps: tuple[int, ...], rows: FactBatch, standard: Standardisation, spans: Spans) -> Tuned:
    columns = np.concatenate([np.arange(*spans[tap]) for tap in taps])
    widths = [spans[tap][1] - spans[tap][0] for tap in taps]
    centre, factor = standard.centre[columns], standard.factor[columns]
    centred = LEVELS[rows.features[:, columns]] - centre
    best = _choose_kernel([_space(centred, factor, widths, one) for one in EQUALITIES], rows.labels)
    scaled = best.space.factor * np.float32(np.sqrt(best.bandwidth / best.space.median))
    arrays = {"centre": centre, "factor": scaled, "penalty": np.array([best.penalty], np.float32)}
    return arrays, best.scores


def choose_landmarks(transform: Transform, features: NDArray[np.uint8]) -> Landmarks:
    """Make landmarks of uint8 features [m, width]."""
    codes = np.ascontiguousarray(CODES[features[:, transform.columns]])
    lengths = [
        np.square(_decode(transform, codes[part])).sum(axis=1) for part in block_slices(len(codes))
    ]
    factor, centre = transform.arrays["factor"], transform.arrays["centre"]
    step = np.asarray(factor / np.float32(STEPS), np.float32)
    shift = np.asarray(factor * centre, np.float32)
    return Landmarks(
        transform=transform,
        codes=codes,
        sums=codes.sum(axis=1, dtype=np.int32),
        lengths=np.concatenate(lengths),
        step=step,
        shift=shift,
    )


def _solve_all(landmarks: Landmarks, targets: Floats, roots: Floats, penalty: float) -> Floats:
    """Solve if every fact is a landmark: one system of the kernel itself.

    targets: [n, labels], times roots: [n, 1], of the facts' weights.
    """
    gram = Gram(len(targets))

    def weighted(row: slice, column: slice) -> Floats:
        similarity = landmarks.similarity(landmarks.rows(row), column)
        return similarity * (roots[row] * roots[column].T)

    gram.fill(weighted)
    return roots * gram.solve(penalty, targets)


def _solve_nystroem(
    landmarks: Landmarks, own: FactBatch, weighted: tuple[Floats, Floats], penalty: float
) -> Floats:
    """Solve for the weights of the landmarks that fit all facts best.  weighted: targets and roots
    as in `_solve_all`."""
    targets, roots = weighted
    inner = np.concatenate(
        [landmarks.similarity(landmarks.rows(part)) for part in block_slices(len(landmarks.codes))]
    )
    inner.flat[:: len(inner) + 1] += np.float32(JITTER)
    inverse = np.asarray(np.linalg.inv(np.linalg.cholesky(inner)), np.float32)
    del inner
    gram = Gram(len(inverse))
    products = np.zeros((len(inverse), targets.shape[1]), np.float32)
    for part in block_slices(len(own)):
        columns = landmarks.similarity(landmarks.transform(own.features[part])) @ inverse.T
        columns *= roots[part]
        gram.add(columns)
        products += columns.T @ targets[part]
    return np.asarray(inverse.T @ gram.solve(penalty, products))


def _decode(transform: Transform, codes: NDArray[np.uint8]) -> Floats:
    rows = codes * np.float32(1 / STEPS)
    rows -= transform.arrays["centre"]
    rows *= transform.arrays["factor"]
    return np.asarray(rows)


class _Space(NamedTuple):
    """A scale of the columns.  factor: float32 [read].  median: of the squared distances between
    facts.  distances: float32 [n, n], the squared distances over the median."""

    factor: Floats
    median: float
    distances: Floats


def _space(centred: Floats, factor: Floats, widths: Sequence[int], equality: float) -> _Space:
    """Scale rows [n, read] by a power of each column's factor.  Every tap, of these widths, keeps
    its energy."""
    variance = np.square(centred).mean(axis=0)
    parts = np.split(np.arange(len(factor)), np.cumsum(widths)[:-1])
    scaled = factor**equality
    for part in parts:
        energy = float(np.square(scaled[part]) @ variance[part])
        if energy > 0:
            scaled[part] *= np.sqrt(float(np.square(factor[part]) @ variance[part]) / energy)
    distances = _squared_distances(centred * scaled)
    between = distances[~np.tri(len(centred), dtype=np.bool_)]
    median = _typical(between) if len(between) else 1.0
    distances /= np.float32(median)
    return _Space(scaled, median, distances)


def _choose_kernel(spaces: Sequence[_Space], labels: tuple[str, ...]) -> "_Tried":
    """Choose space, bandwidth and penalty by the cross-entropy of leave-one-out scores.  Facts of
    labels with a single fact do not judge: no other could answer them.
    """
    names, numbers, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    targets, weights = np.eye(len(names), dtype=np.float32)[numbers], class_weights(labels)
    judge = np.where(counts[numbers] > 1, weights, 0)

    def tried(space: _Space, bandwidth: float, penalty: float) -> _Tried:
        kernel = np.exp(-np.float32(bandwidth) * space.distances)
        scores = _left_out_scores(kernel, targets, weights, penalty)
        losses = tempered_losses(scores.astype(np.float64), numbers) @ judge
        return _Tried(float(losses.min()), space, bandwidth, penalty, scores)

    best = tried(spaces[0], *DEFAULT_CHOICE)
    best = best.or_better([tried(one, *DEFAULT_CHOICE) for one in spaces[1:]])
    space, bandwidth, penalty = best.space, best.bandwidth, best.penalty
    best = best.or_better([tried(space, one, penalty) for one in BANDWIDTHS if one != bandwidth])
    bandwidth = best.bandwidth
    return best.or_better([tried(space, bandwidth, one) for one in PENALTIES if one != penalty])


class _Tried(NamedTuple):
    """The loss of a choice, and the scores [n, labels]."""

    loss: float
    space: _Space
    bandwidth: float
    penalty: float
    scores: Floats

    def or_better(self, others: "Sequence[_Tried]") -> "_Tried":
        """Return the one of least loss, or this one if that is hardly better."""
        least = min(others, key=lambda one: one.loss, default=self)
        return least if least.loss < (1 - TUNED_GAIN_MIN) * self.loss else self


def _left_out_scores(kernel: Floats, targets: Floats, weights: Floats, penalty: float) -> Floats:
    """Return the score of each fact with the fact left out: [n, labels]."""
    system = kernel.astype(np.float64)
    system.flat[:: len(system) + 1] += np.float32(penalty) / weights
    root = inverse_root(system)
    solved = root.T @ (root @ (targets - weights @ targets / weights.sum()))
    return np.asarray(targets - solved / np.square(root).sum(axis=0)[:, None], np.float32)


def _typical(distances: Floats) -> float:
    """Return the median of squared distances, or a share of their mean if that is larger."""
    return max(float(np.median(distances)), EQUAL_SHARE * float(distances.mean()), DISTANCE_MIN)


def _squared_distances(rows: Floats) -> Floats:
    """Return the squared distances between rows: [n, n]."""
    lengths = np.square(rows).sum(axis=1)
    distances = lengths[:, None] + lengths - 2 * (rows @ rows.T)
    return np.asarray(np.maximum(distances, 0))
