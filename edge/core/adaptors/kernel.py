"""The kernel: an answer that compares a sample with facts of its domain, which are kept as bytes.

Kernel ridge regression (Saunders, Gammerman & Vovk 1998) with a Gaussian kernel.  Nothing is
trained but the columns' scale and the penalty (`reach.py`); all else is solved again from the
facts, so a new fact is a new landmark, and a forgotten one is gone.  Where there are more facts
than landmarks, all of them are learned through those whose ids hash lowest (Nystroem's
approximation: Williams & Seeger 2001).  Measurements: docs/decisions/0011.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import FactBatch
from .gram import Gram
from .standardisation import block_slices
from .transform import LEVELS, Transform

Floats = NDArray[np.float32]

KIND: Final = "kernel"
STEPS: Final = 16
CODES: Final = np.rint(LEVELS * STEPS).astype(np.uint8)
"""A landmark's column: its root in sixteenths, finer than one level up to level 64."""
BLOCK: Final = 64
"""Landmarks compared at a time: as floats they stay in the cache."""
JITTER: Final = 1e-3
"""Added to the kernel of the landmarks, which may lie close together."""


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Facts to compare samples with: codes uint8 [m, read], lengths float32 [m] once scaled.

    step, shift: float32 [read], a sixteenth of each column's factor, and its scaled centre.
    """

    transform: Transform
    codes: NDArray[np.uint8] = field(repr=False)
    lengths: Floats = field(repr=False)
    step: Floats = field(repr=False)
    shift: Floats = field(repr=False)

    def rows(self, span: slice) -> Floats:
        """Return some landmarks as samples are seen: float32 [k, read]."""
        return _rows(self.transform, self.codes[span])

    def near(self, rows: Floats, span: slice = slice(None)) -> Floats:
        """Return exp(-squared distance) of rows float32 [..., read] to landmarks [..., k]."""
        codes = self.codes[span]
        scaled = rows * self.step
        apart = np.empty((*rows.shape[:-1], len(codes)), np.float32)
        buffer = np.empty((BLOCK, codes.shape[1]), np.float32)
        for at in range(0, len(codes), BLOCK):
            block = buffer[: len(codes[at : at + BLOCK])]
            block[...] = codes[at : at + BLOCK]
            apart[..., at : at + BLOCK] = scaled @ block.T
        shared = rows @ self.shift + np.float32(0.5) * np.square(rows).sum(-1)
        apart -= shared[..., None]
        apart *= 2
        apart -= self.lengths[span]
        return np.asarray(np.exp(np.minimum(apart, 0, out=apart), out=apart))


@dataclass(frozen=True, slots=True, eq=False)
class KernelMachine:
    """An adaptor that compares: scores = near(transform(features)) @ weights + bias.

    weights: float32 [landmarks, labels]; bias: [labels].
    """

    labels: tuple[str, ...]
    landmarks: Landmarks
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of landmarks, scales, weights and bias."""
        marks = self.landmarks
        numbers = marks.lengths.nbytes + self.weights.nbytes + self.bias.nbytes
        return int(marks.transform.nbytes + marks.codes.nbytes + numbers)

    @property
    def operations(self) -> int:
        """Multiply-adds a sample."""
        marks = self.landmarks
        return int(marks.transform.operations + marks.codes.size + self.weights.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a sure answer."""
        near = self.landmarks.near(self.landmarks.transform(features))
        return np.asarray(near @ self.weights + self.bias)


def solve_kernel(transform: Transform, own: FactBatch) -> KernelMachine:
    """Solve the kernel machine of a domain from its facts, at least one.

    It knows the labels of these facts and no others.  Depends on the set of facts alone.  Cost, n
    facts, m landmarks: n m read and, where all facts are landmarks, m^3 / 6 multiply-adds, and 2
    m^2 bytes in small pieces; else n m^2 + m^3, and 8 m^2 bytes.
    """
    labels = tuple(sorted(set(own.labels)))
    at = {label: column for column, label in enumerate(labels)}
    targets = np.eye(len(labels), dtype=np.float32)[[at[label] for label in own.labels]]
    level = targets.mean(axis=0)
    places = lowest_hashes(own.ids, transform.blueprint.width)
    marks = choose_landmarks(transform, own.features[places])
    penalty = float(transform.arrays["penalty"][0])
    targets -= level
    if len(places) == len(own):
        weights = _solve_all(marks, targets, penalty)
    else:
        weights = _solve_through(marks, own, targets, penalty)
    return KernelMachine(labels, marks, weights, level)


def choose_landmarks(transform: Transform, features: NDArray[np.uint8]) -> Landmarks:
    """Make landmarks of uint8 features [m, width]."""
    codes = np.ascontiguousarray(CODES[features[:, transform.columns]])
    lengths = [
        np.square(_rows(transform, codes[part])).sum(axis=1) for part in block_slices(len(codes))
    ]
    factor, centre = transform.arrays["factor"], transform.arrays["centre"]
    step = np.asarray(factor / np.float32(STEPS), np.float32)
    shift = np.asarray(factor * centre, np.float32)
    return Landmarks(transform, codes, np.concatenate(lengths), step, shift)


def lowest_hashes(ids: tuple[str, ...], count: int) -> NDArray[np.intp]:
    """Return the places, ascending, of so many ids at most: those that hash lowest."""
    hashes = [hashlib.blake2b(one.encode(), digest_size=8).hexdigest() for one in ids]
    return np.sort(np.argsort(np.array(hashes), kind="stable")[:count])


def _solve_all(marks: Landmarks, targets: Floats, penalty: float) -> Floats:
    """Solve where every fact is a landmark: one system of the kernel itself."""
    gram = Gram(len(targets))
    gram.fill(lambda row, column: marks.near(marks.rows(row), column))
    return gram.solve(penalty, targets)


def _solve_through(marks: Landmarks, own: FactBatch, targets: Floats, penalty: float) -> Floats:
    """Solve for the landmarks' weights with which all facts are answered best."""
    inner = np.concatenate(
        [marks.near(marks.rows(part)) for part in block_slices(len(marks.codes))]
    )
    inner.flat[:: len(inner) + 1] += np.float32(JITTER)
    inverse = np.asarray(np.linalg.inv(np.linalg.cholesky(inner)), np.float32)
    del inner
    gram = Gram(len(inverse))
    sought = np.zeros((len(inverse), targets.shape[1]), np.float32)
    for part in block_slices(len(own)):
        columns = marks.near(marks.transform(own.features[part])) @ inverse.T
        gram.add(columns)
        sought += columns.T @ targets[part]
    return np.asarray(inverse.T @ gram.solve(penalty, sought))


def _rows(transform: Transform, codes: NDArray[np.uint8]) -> Floats:
    rows = codes * np.float32(1 / STEPS)
    rows -= transform.arrays["centre"]
    rows *= transform.arrays["factor"]
    return np.asarray(rows)
