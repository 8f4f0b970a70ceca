"""Policies that mix the heads of several known domains."""

import numpy as np
from numpy.typing import NDArray

from .policy import NUMBER_BYTES, TINY
from .source_model import Doubles, Floats, softmax
from .steps import AffinePolicy

STYLE_WINDOW = 64
"""Newest samples from which the style of the stream is taken.  From the prototype."""
STYLE_WEIGHT = 3.0
"""How strongly the distance in style weighs.  From the prototype."""


class DistilledMixture(AffinePolicy):
    """Meta-DMoE (Zhong, Chi, Gu, Wang, Yu and Tang 2022, its distillation): the heads of the source
    domains are mixed into a teacher for the unlabelled batch, and the student is distilled from it.

    Its authors learn the mixing by meta-learning; here the weights are a softmax over the
    distance of the stream's mean style from each domain's.
    """

    passes = 2

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.recent = np.zeros((0, self.source.columns), np.float32)

    def answer_rows(self, rows: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`: keeps the rows as they come."""
        answers = [self._answer_row(row[None]) for row in rows]
        return np.concatenate(answers)

    def _answer_row(self, row: Floats) -> NDArray[np.floating]:
        self.recent = np.concatenate([self.recent, row])[-STYLE_WINDOW:].copy()
        return super().answer_rows(row)

    def slope(self, rows: Floats, shares: Floats) -> Doubles | None:
        """See `AffinePolicy`."""
        if len(self.source.experts) == 1:
            return None
        student = softmax(self.predict(rows, shares))
        return np.asarray((student - self._teach(rows, shares)) / len(rows))

    def _teach(self, rows: Floats, shares: Floats) -> Doubles:
        source = self.source
        answers = np.zeros((len(rows), len(source.labels)))
        for weight, expert in zip(self._weights(), source.experts, strict=True):
            # The part of the mean that is not subtracted yet is that of the expert's own domain.
            off = (1 - shares)[:, None] * (source.centre - expert.centre)
            scores = (rows / source.factor + off) * expert.factor @ expert.weights + expert.bias
            answers += weight * softmax(source.sharpness * scores)
        return answers

    def _weights(self) -> Doubles:
        """Return the weights of the experts, from the columns that describe style: all taps but
        the first, or the only one."""
        source = self.source
        first = source.spans[0][1] if len(source.spans) > 1 else 0
        style = self.recent.mean(0)[first:]
        off = np.array(
            [
                np.square(style - ((e.centre - source.centre) * source.factor)[first:]).mean()
                for e in source.experts
            ]
        )
        near = -STYLE_WEIGHT * (off / (off.mean() + TINY))
        return np.asarray(softmax(near[None])[0], np.float64)

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return super().own_bytes_max() + STYLE_WINDOW * 4 * self.source.columns + NUMBER_BYTES
