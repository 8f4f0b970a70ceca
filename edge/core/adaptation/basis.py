"""What adaptation needs of the facts: principal directions, sums, class means and head scores.

All of it follows from the ledger's facts.  It is computed once for a state of knowledge and shared
by all openings, so that an opening keeps few numbers of each sample.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..adaptors import FittedHead, KernelMachine
from ..adaptors.principal import principal_directions
from ..adaptors.standardisation import LEVELS, block_slices
from ..adaptors.weighting import lowest_hashes
from ..facts import FactBatch
from ..structs import FrozenStruct
from .ridge import RidgeSums

DIRECTIONS_MAX: Final = 128
"""Principal directions kept of a sample: 64 lose 0.3 points over the streams of
docs/explanation/adaptation.md."""

BASIS_FACTS_MAX: Final = 4_096
"""Facts whose sums and directions are taken: as many as a head is solved from."""

PRECISION_RIDGE: Final = 0.1
"""Added to the covariance within classes, relative to the mean variance of a direction: few facts
say little about the small ones.  Chosen by hand; effect not measured."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class KnownDomain(msgspec.Struct, frozen=True, eq=False):
    """A domain with facts.  head: solved from them; facts: of this domain alone, at least one.
    machine: the kernel that serves it in place of the head, if one does."""

    head: FittedHead
    facts: FactBatch
    machine: KernelMachine | None = None


class CentredMachine(FrozenStruct, frozen=True, eq=False):
    """A kernel that scores inputs of a basis of narrow features.

    ratio: float32 [width], of the kernel's scale to that of the inputs.  offset: float64 [width],
    the basis's centre from that of the kernel's domain, in the inputs' scale.  places: columns of
    the kernel's labels among `labels`.
    """

    machine: KernelMachine
    ratio: Floats
    offset: Doubles
    places: tuple[int, ...]
    labels: int

    def scores(self, inputs: NDArray[np.floating]) -> Doubles:
        """Score inputs [..., width]: float64 [..., labels]."""
        rows = (inputs + self.offset) * self.ratio
        made = np.zeros((*rows.shape[:-1], self.labels))
        made[..., self.places] = self.machine.score(rows.astype(np.float32))
        return made


class Basis(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """The part of knowledge that adaptation works with, for `labels` and features of `width`.

    projection: float32 [width, directions + labels], from roots of levels to principal directions
    and to the heads' scores; offset: what to subtract.  bias: float64 [labels] of the mean of the
    heads as they are; centred_bias: where a domain's own mean is removed.  sums: of all facts in
    the principal directions, each centred on its own domain.  class_means: float64 [labels,
    directions]; class_scores: float64 [labels, labels], mean score of each class.  spread: float32
    [directions], deviation of a direction.  shares: float64 [labels], of the facts.  precision:
    float64 [directions, directions], inverse of the covariance within classes.  distance: mean
    squared distance of the known domains' centres from their common centre, 0 for one domain.
    within: mean squared distance of a fact from the mean of its class.  machines: where features
    are narrow, so that the directions are the columns, and a kernel serves a domain: what answers
    for each domain with a kernel, instead of the projected scores.
    """

    labels: tuple[str, ...]
    width: int
    projection: Floats
    offset: Floats
    bias: Doubles
    centred_bias: Doubles
    sums: RidgeSums
    class_means: Doubles
    class_scores: Doubles
    spread: Floats
    shares: Doubles
    precision: Doubles
    within: float
    distance: float = 0.0
    machines: tuple[CentredMachine, ...] = ()

    @property
    def separation(self) -> float:
        """Mean squared distance of a class mean from the facts' mean, in the deviations within
        classes (Mahalanobis 1936)."""
        means = self.class_means - self.shares @ self.class_means
        return float(np.vecdot(means @ self.precision, means).mean())

    @property
    def directions(self) -> int:
        """Principal directions of a sample."""
        return len(self.spread)

    def head_scores(self, scores: Doubles, score_shift: Doubles, strength: float) -> Doubles:
        """Return the known heads' scores float64 [..., labels] of projected `scores` less a shift.

        strength: share of the known domains' own centres that the shift replaces.
        """
        bias = self.bias + strength * (self.centred_bias - self.bias)
        return np.asarray(scores - score_shift + bias)

    def machine_scores(self, inputs: Doubles) -> Doubles:
        """Return the mean of the kernels' scores float64 [..., labels] of inputs."""
        return np.asarray(np.mean([one.scores(inputs) for one in self.machines], axis=0))

    def project(self, rows: NDArray[np.uint8]) -> Floats:
        """Project uint8 [..., width] features to float32 [..., directions + labels]."""
        made = LEVELS.take(rows) @ self.projection
        made -= self.offset
        return np.asarray(made, np.float32)


def build_basis(domains: Sequence[KnownDomain]) -> Basis:
    """Build the basis of at least one domain.

    A label that a head does not know has score 0 there.  Cost: a few passes over at most
    `BASIS_FACTS_MAX` facts.
    """
    labels = tuple(sorted({label for one in domains for label in one.head.labels}))
    arrays = [one.head.transform.arrays for one in domains]
    centres = np.stack([one["centre"] for one in arrays]).astype(np.float64)
    factors = np.stack([one["factor"] for one in arrays]).astype(np.float64)
    centre, factor = centres.mean(axis=0), factors.mean(axis=0)
    aligned = [_aligned(one.head, labels) for one in domains]
    weights = np.mean([f[:, None] * w for f, (w, _) in zip(factors, aligned, strict=True)], axis=0)
    centred_bias = np.mean([bias for _, bias in aligned], axis=0)
    moved = [((centre - c) * f) @ w for c, f, (w, _) in zip(centres, factors, aligned, strict=True)]
    rows, owners = _centred_rows(domains, centres, factor, labels)
    directions = principal_directions(rows, DIRECTIONS_MAX)
    both = np.concatenate([factor[:, None] * directions, weights], axis=1)
    # By columns: a product with one row then takes 14 us in place of 20.
    projection = np.asfortranarray(both, np.float32)
    inputs = (rows @ directions).astype(np.float64)
    scores = rows @ (weights / factor[:, None]).astype(np.float32)
    targets = np.eye(len(labels))[owners]
    counts = np.maximum(targets.sum(axis=0), 1)[:, None]
    means = targets.T @ inputs / counts
    off = inputs - means[owners]
    covariance = off.T @ off / len(off)
    within = float(np.trace(covariance))
    covariance.flat[:: len(covariance) + 1] += PRECISION_RIDGE * within / len(covariance) + 1e-9
    apart = ((centres - centre) * factor) @ directions
    narrow = directions.shape[1] == rows.shape[1]
    return Basis(
        labels=labels,
        width=rows.shape[1],
        projection=projection,
        offset=(centre @ projection).astype(np.float32),
        bias=centred_bias + np.mean(moved, axis=0),
        centred_bias=centred_bias,
        sums=RidgeSums.of(inputs, targets),
        class_means=means,
        class_scores=targets.T @ scores / counts,
        spread=inputs.std(axis=0).astype(np.float32) + np.float32(1e-6),
        shares=targets.mean(axis=0),
        precision=np.linalg.inv(covariance),
        within=within,
        distance=float(np.square(apart).sum(axis=1).mean()) if len(domains) > 1 else 0.0,
        machines=_centred_machines(domains, centre, factor, labels) if narrow else (),
    )


def _centred_machines(
    domains: Sequence[KnownDomain], centre: Doubles, factor: Doubles, labels: tuple[str, ...]
) -> tuple[CentredMachine, ...]:
    """Return the domains' kernels for inputs of a common centre and scale."""
    made = []
    for machine in (one.machine for one in domains if one.machine is not None):
        arrays = machine.landmarks.transform.arrays
        places = tuple(labels.index(label) for label in machine.labels)
        ratio, offset = arrays["factor"] / factor, (centre - arrays["centre"]) * factor
        one = CentredMachine(machine, ratio.astype(np.float32), offset, places, len(labels))
        made.append(one)
    return tuple(made)


def _aligned(head: FittedHead, labels: tuple[str, ...]) -> tuple[Doubles, Doubles]:
    """Return a head's weights [width, labels] and bias [labels], 0 for labels it does not know."""
    at = [labels.index(label) for label in head.labels]
    weights, bias = np.zeros((len(head.weights), len(labels))), np.zeros(len(labels))
    weights[:, at], bias[at] = head.weights, head.bias
    return weights, bias


def _centred_rows(
    domains: Sequence[KnownDomain], centres: Doubles, factor: Doubles, labels: tuple[str, ...]
) -> tuple[Floats, NDArray[np.intp]]:
    """Return the facts of all domains, each centred on its own domain, and their labels' columns;
    of many facts an equal number of each domain, those whose ids come first in hash order."""
    share = max(1, BASIS_FACTS_MAX // len(domains))
    chosen = [lowest_hashes(one.facts, share) for one in domains]
    kept = [one.facts.features[rows] for one, rows in zip(domains, chosen, strict=True)]
    at = {label: column for column, label in enumerate(labels)}
    owners = [
        at[one.facts.labels[row]]
        for one, rows in zip(domains, chosen, strict=True)
        for row in rows.tolist()
    ]
    rows = np.empty((len(owners), len(factor)), np.float32)
    start = 0
    for features, centre in zip(kept, centres, strict=True):
        for part in block_slices(len(features)):
            block = LEVELS.take(features[part])
            rows[start : start + len(block)] = (block - centre) * factor
            start += len(block)
    return rows, np.array(owners, np.intp)
