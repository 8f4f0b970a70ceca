"""Policies that align the statistics of a stream with those of the source; no step of gradient."""

import numpy as np
from numpy.typing import NDArray

from .policy import (
    MEAN_SAMPLES,
    NUMBER_BYTES,
    TINY,
    WINDOW,
    BatchPolicy,
    HeadPolicy,
    StreamMean,
    unit_rows,
)
from .source_model import Doubles, Floats, seeded, softmax

ALPHA = 0.75
"""Share of the stream's statistics in alpha-BN: chosen on the development streams."""
VARIANCE_MIN = 1e-4
"""Smallest variance of a stream's column: constant columns are left alone."""
CLASS_SAMPLES = 20
"""Samples that make half of a class's weight in CAFA's closed form.  From the prototype."""
COMPONENTS = 4
"""Components of UnMix-TNS: its authors take 16 for streams of thousands; 4 did better on the
development streams of the prototype."""
MOMENTUM = 0.026
"""Step of a component for each batch: the value of the authors' code for one component among
many."""
TEMPERATURE = 0.07
"""Temperature of the assignment to components: that of the authors' code."""


class Unadapted(HeadPolicy):
    """The source's head as it is: no adaptation."""


class MeanAlignment(HeadPolicy):
    """The running mean of the stream is subtracted, in place of the source's."""

    aligned = True


class AlphaNormalisation(HeadPolicy):
    """alpha-BN (You, Li and Zhao 2021, Test-time Batch Statistics Calibration for Covariate Shift,
    its general formulation): the source's mean and variance are mixed with those of the stream.

    Pooled features stand for the channels of a layer.  Statistics run over the stream, since
    those of a batch of 16 lose 55 points where labels come in runs.
    """

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.first = StreamMean(self.source.columns)
        self.second = StreamMean(self.source.columns)

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`."""
        del shares
        means, believed = self.first(rows)
        squares, _ = self.second(np.square(rows))
        # Both are shrunk towards zero: undo it, and mix as the paper does.
        weight = believed[:, None]
        stream_mean = means / weight
        stream_variance = np.maximum(squares / weight - stream_mean**2, VARIANCE_MIN)
        share = ALPHA * weight
        variance = (1 - share) * self.source.variance + share * stream_variance
        scaled = (rows - share * stream_mean) * np.sqrt(self.source.variance / variance)
        return self.source.logits(scaled.astype(np.float32), ALPHA * believed)

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return 2 * NUMBER_BYTES * (self.source.columns + 1)


class ClassBalancedMean:
    """The shift of a stream's classes, each weighted by how often it was seen, at most alike."""

    def __init__(self, labels: int, columns: int) -> None:
        self.count = 0
        self.class_counts = np.zeros(labels)
        self.class_totals = np.zeros((labels, columns))
        self.shift = np.zeros(columns, np.float32)
        self.share = 0.0

    def add(self, row: Floats, shares: Doubles, class_means: Floats) -> None:
        """Take in a row [columns] with the probabilities of its labels."""
        if self.count == WINDOW:
            self.class_counts *= 1 - 1 / WINDOW
            self.class_totals *= 1 - 1 / WINDOW
        else:
            self.count += 1
        self.class_counts += shares
        self.class_totals += shares[:, None] * row
        weights = self.class_counts / (self.class_counts + CLASS_SAMPLES)
        weights /= weights.sum()
        believed = self.count / (self.count + MEAN_SAMPLES)
        totals = (weights / (self.class_counts + TINY)) @ self.class_totals
        self.shift = (believed * (totals - weights @ class_means)).astype(np.float32)
        self.share = believed


class ClosedCafa(HeadPolicy):
    """CAFA (Jung, Lee, Kim, Shaban, Boots and Choo 2023, its class-aware feature alignment) in
    closed form: the shift that brings the means of the pseudo-classes onto those of the source.

    Its authors descend a class-aware distance under Gaussians of one covariance; with a shift
    alone the least squares have this solution.  Classes weigh alike once they were seen often.
    """

    passes = 2

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.classes = ClassBalancedMean(len(self.source.labels), self.source.columns)

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`."""
        del shares
        return np.concatenate([self._answer_row(row[None]) for row in rows])

    def _answer_row(self, row: Floats) -> NDArray[np.floating]:
        self.classes.add(row[0], softmax(self._logits(row))[0], self.source.class_means)
        return self._logits(row)

    def _logits(self, row: Floats) -> Floats:
        return self.source.logits(
            row - self.classes.shift, np.array([self.classes.share], np.float32)
        )

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        labels, columns = len(self.source.labels), self.source.columns
        return NUMBER_BYTES * ((labels + 1) * (columns + 1) + 2)


class UnMixing(BatchPolicy):
    """UnMix-TNS (Tomar, Vray, Thiran and Bozorgtabar 2024, Un-Mixing Test-Time Normalization
    Statistics, its layer): several components of statistics, of which a sample is normalised by
    those that it resembles, and which move on by the part of the sample that is theirs.

    Pooled features have no spatial variance; the scatter about the component stands for it.
    """

    def begin(self) -> None:
        """See `HeadPolicy`."""
        source = self.source
        random = seeded("unmix", self.seed)
        spread = np.sqrt(source.variance) / source.factor
        noise = np.sqrt(0.5 * COMPONENTS / (COMPONENTS - 1)) * spread
        drawn = random.normal(size=(COMPONENTS, source.columns))
        self.means = (source.centre + noise * drawn).astype(np.float32)
        self.variances = np.repeat(0.5 * spread[None] ** 2, COMPONENTS, 0).astype(np.float32)

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `BatchPolicy`."""
        del shares
        normal = np.empty_like(rows)
        for tap in self._taps():
            share, off, values = self._assign(rows, tap)
            weight = share[:, :, None]
            moved = self.means[:, tap] + weight * off
            mean = moved.mean(1)
            inside = (1 - weight) * self.variances[:, tap] + weight * off**2
            variance = inside.mean(1) + (moved**2).mean(1) - mean**2
            scale = np.sqrt(self.source.variance[tap] / (variance + VARIANCE_MIN))
            normal[:, tap] = (values - mean) * scale
        return self.source.logits(normal, np.ones(len(rows), np.float32))

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        del shares
        for tap in self._taps():
            share, off, _ = self._assign(rows, tap)
            weight = share[:, :, None]
            change = (weight * (off**2 - self.variances[:, tap])).mean(0)
            self.means[:, tap] += MOMENTUM * (weight * off).mean(0)
            self.variances[:, tap] += MOMENTUM * change

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return 2 * COMPONENTS * 4 * self.source.columns

    def _taps(self) -> tuple[slice, ...]:
        return tuple(slice(*span) for span in self.source.spans)

    def _assign(self, rows: Floats, tap: slice) -> tuple[Floats, Floats, Floats]:
        """Return shares of the components [n, components], differences from them, and the values
        of the columns."""
        values = rows[:, tap] / self.source.factor[tap] + self.source.centre[tap]
        likeness = unit_rows(values) @ unit_rows(self.means[:, tap]).T
        share = softmax(likeness / TEMPERATURE).astype(np.float32)
        return share, values[:, None] - self.means[:, tap], values
