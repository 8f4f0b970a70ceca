"""Policies that descend a loss without labels on a scale and a shift of the columns, which stand
for the affine parameters of normalisation layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .policy import BATCH, NUMBER_BYTES, TINY, BatchPolicy, entropy
from .source_model import Doubles, Floats, softmax

RATE = 1e-3
"""Step of Adam: that of the published codes for small models."""
ADAM = (0.9, 0.999, 1e-8)
"""Decays of the moments, and what keeps the division finite: the defaults of Adam."""
CORE_ALPHA = 0.75
"""Share of the stream's mean in Core: as in alpha-BN."""
FISHER_WEIGHT = 2_000.0
"""Weight of EATA's anchor: that of the authors' code."""
ENTROPY_MARGIN = 0.4
"""Share of the largest entropy up to which EATA takes a sample: its authors' value."""
REDUNDANCY_MARGIN = 0.4
"""Cosine with the mean answer up to which EATA takes a sample: that of the authors' code for
few classes."""
ANSWER_MEMORY = 0.9
"""Memory of the mean answer: EATA's, by its code."""
DIVERSITY_MEMORY = 0.875
"""Memory of the mean answer in SHOT's diversity: 128 samples in batches of 16."""
WITHIN_SHARE = 0.05
"""Share of the mean variance added to each column's in CAFA's distance.  Chosen by hand."""


class Adam:
    """Steps of Adam for one array."""

    def __init__(self, shape: int | tuple[int, ...], rate: float = RATE) -> None:
        self.mean, self.square = np.zeros(shape), np.zeros(shape)
        self.steps, self.rate = 0, rate

    def __call__(self, gradient: NDArray[np.floating]) -> Doubles:
        """Return what to subtract."""
        first, second, tiny = ADAM
        self.steps += 1
        self.mean = first * self.mean + (1 - first) * gradient
        self.square = second * self.square + (1 - second) * gradient**2
        mean = self.mean / (1 - first**self.steps)
        root = np.sqrt(self.square / (1 - second**self.steps))
        return np.asarray(self.rate * mean / (root + tiny))


class AffinePolicy(BatchPolicy):
    """Base: rows * scale + shift under the source's head, one step of Adam a batch."""

    aligned = True
    passes = 2

    def reset(self) -> None:
        """See `AdaptationPolicy`."""
        columns = self.source.columns
        super().reset()
        self.scale, self.shift = np.ones(columns), np.zeros(columns)
        self.scale_step, self.shift_step = Adam(columns), Adam(columns)

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `BatchPolicy`."""
        return self.logits_with(self.scale, self.shift, rows, shares)

    def logits_with(
        self, scale: Doubles, shift: Doubles, rows: Floats, shares: Floats
    ) -> NDArray[np.floating]:
        """Return logits under other parameters."""
        return self.source.logits((rows * scale + shift).astype(np.float32), shares)

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`: a step along what `slope` returns."""
        slope = self.slope(rows, shares)
        if slope is not None:
            self.step(*self.backward(slope, rows))

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """Return the gradient of the loss by the logits [n, labels], None for no step: policies
        whose loss is none of the logits alone override `learn`."""
        del rows, shares
        return None

    def backward(self, slope: Doubles, rows: Floats) -> tuple[Doubles, Doubles]:
        """Return the gradients by scale and shift."""
        by_rows = self.source.sharpness * (slope @ self.source.weights.T)
        return np.asarray((by_rows * rows).sum(0)), np.asarray(by_rows.sum(0))

    def step(self, by_scale: Doubles, by_shift: Doubles) -> None:
        """Take a step."""
        self.scale = self.scale - self.scale_step(by_scale)
        self.shift = self.shift - self.shift_step(by_shift)

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`: both parameters with their moments."""
        return NUMBER_BYTES * (6 * self.source.columns + 4)


def entropy_slope(shares: Doubles, weights: Doubles) -> Doubles:
    """Return the gradient of the weighted entropy by the logits."""
    logs = np.log(shares + TINY)
    mean = (shares * logs).sum(1, keepdims=True)
    return np.asarray(-shares * (logs - mean) * weights[:, None])


class Tent(AffinePolicy):
    """TENT (Wang, Shelhamer, Liu, Olshausen and Darrell 2021, section 3): the entropy of the
    answers is descended on the affine parameters alone."""

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """See `AffinePolicy`."""
        found = softmax(self.predict(rows, shares))
        return entropy_slope(found, np.full(len(found), 1 / len(found)))


class OpenSetFilter(AffinePolicy):
    """Wisdom of crowds (Lee, Das, Choo and Choi 2023, Towards Open-Set Test-Time Adaptation, its
    sample selection) over TENT: samples whose confidence fell against the source's are left out."""

    passes = 3

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """See `AffinePolicy`."""
        found = softmax(self.predict(rows, shares))
        before = softmax(self.source.logits(rows, shares))
        at, best = np.arange(len(found)), found.argmax(1)
        kept = found[at, best] >= before[at, best] - TINY
        return entropy_slope(found, kept / kept.sum()) if kept.any() else None


class Eata(AffinePolicy):
    """EATA (Niu, Wu, Zhang, Chen, Zheng, Zhao and Tan 2022, both its parts): entropy of reliable
    samples that are not redundant, weighted by how sure they are, with a Fisher anchor at the
    source's parameters."""

    def prepare(self) -> Mapping[str, Any]:
        """Return the Fisher information of both parameters from batches of facts."""
        source = self.source
        found = softmax(source.logits(source.facts, np.ones(len(source.facts), np.float32)))
        errors = found - np.eye(len(source.labels))[found.argmax(1)]
        by_rows = source.sharpness * (errors @ source.weights.T)
        whole = len(by_rows) // BATCH * BATCH
        parts = {"scale": by_rows[:whole] * source.facts[:whole], "shift": by_rows[:whole]}
        return {
            name: np.square(part.reshape(-1, BATCH, source.columns).mean(1)).mean(0)
            for name, part in parts.items()
        }

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.answer_mean = np.zeros(len(self.source.labels))

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        found = softmax(self.predict(rows, shares))
        unsure, limit = entropy(found), ENTROPY_MARGIN * np.log(len(self.source.labels))
        kept = unsure < limit
        known = np.linalg.norm(self.answer_mean)
        if known > 0:
            likeness = found @ self.answer_mean / (np.linalg.norm(found, axis=1) * known)
            kept &= np.abs(likeness) < REDUNDANCY_MARGIN
        if not kept.any():
            return
        newest = found[kept].mean(0)
        old = self.answer_mean
        self.answer_mean = (
            ANSWER_MEMORY * old + (1 - ANSWER_MEMORY) * newest if known > 0 else newest
        )
        slope = entropy_slope(found, kept * np.exp(limit - unsure) / kept.sum())
        by_scale, by_shift = self.backward(slope, rows)
        anchor = 2 * FISHER_WEIGHT
        self.step(
            by_scale + anchor * self.fixed["scale"] * (self.scale - 1),
            by_shift + anchor * self.fixed["shift"] * self.shift,
        )

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return super().own_bytes_max() + NUMBER_BYTES * len(self.source.labels)


class InformationMaximisation(AffinePolicy):
    """SHOT-IM (Liang, Hu and Feng 2020, section 3.2): each answer sure, all answers together
    diverse; here on the affine parameters, and with the diversity of a running mean."""

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.answer_mean = self.source.prior.copy()

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """See `AffinePolicy`."""
        found = softmax(self.predict(rows, shares))
        kept = DIVERSITY_MEMORY * self.answer_mean
        self.answer_mean = kept + (1 - DIVERSITY_MEMORY) * found.mean(0)
        logs = np.log(self.answer_mean + TINY)
        diverse = found * (logs - (found * logs).sum(1, keepdims=True)) / len(found)
        sure = entropy_slope(found, np.full(len(found), 1 / len(found)))
        return np.asarray(sure + diverse, np.float64)

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return super().own_bytes_max() + NUMBER_BYTES * len(self.source.labels)


class ClassCorrelation(AffinePolicy):
    """Core (You, Li and Zhao 2021, its loss): the correlation between labels in the answers is
    minimised, on top of alpha-BN's mix of means."""

    def answer_rows(self, rows: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`."""
        shifts, shares = self.mean(rows)
        share = np.float32(CORE_ALPHA)
        return self.answer_aligned(rows - share * shifts, share * shares)

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """See `AffinePolicy`: of the mass outside the diagonal of p p', which is 1 - |p|^2."""
        found = softmax(self.predict(rows, shares))
        by_shares = -2 * found / len(found)
        return np.asarray(found * (by_shares - (by_shares * found).sum(1, keepdims=True)))


class GradientCafa(AffinePolicy):
    """CAFA (Jung, Lee, Kim, Shaban, Boots and Choo 2023, its loss): the Mahalanobis distance to
    the own pseudo-class as a share of those to all classes is descended, with one diagonal
    covariance."""

    def prepare(self) -> Mapping[str, Any]:
        """Return the inverse variances of the distance."""
        within = self.source.within
        return {"inverse": 1 / (within + WITHIN_SHARE * within.mean()) / len(within)}

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        best = self.predict(rows, shares).argmax(1)
        changed = rows * self.scale + self.shift
        off = changed[:, None] - self.source.class_means
        inverse = self.fixed["inverse"]
        distances = (off * off * inverse).sum(2)
        at = np.arange(len(best))
        own = 2 * inverse * off[at, best] / distances[at, best].sum()
        by_rows = own - 2 * inverse * off.sum(1) / distances.sum()
        self.step((by_rows * rows).sum(0), by_rows.sum(0))
