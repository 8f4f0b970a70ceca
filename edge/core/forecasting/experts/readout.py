"""A linear readout of features, learned by all channels together: Huber least squares with
forgetting on one Gram matrix, solved every few steps."""

from typing import Final

import numpy as np

from ..delayed_targets import DelayedTargets, huber_weights
from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict

_KEPT = ("weights", "features", "gram", "moment", "scales", "steps")
_FORGET: Final = 0.999
_BOUND = 4.0
_SCALE = 0.01
_SPIKE = 10.0
_RIDGE: Final = 1e-3
_SOLVE_STEPS: Final = 4
_CHANNELS_A_STRIDE: Final = 8
"""So many channels tell enough of a sample to learn from every second sample only, and so on."""


class HuberReadout:
    """Weights float64 [H, F], on targets in units of sqrt(h) movements.

    start: weights to begin with, or None for zeros.  The Gram matrix knows features whose truth is
    still to come; such a pair counts as forecast well, so that weights move by
    Gram^-1 sum(features * error).  Cost: O(F^2 C + H F C) a step,
    and F^3 every fourth.
    """

    def __init__(
        self, channels: int, width: int, truth: DelayedTargets, start: Floats | None
    ) -> None:
        horizons = len(truth.horizons)
        self.weights = np.zeros((horizons, width)) if start is None else start.copy()
        self.features = np.zeros((truth.size, width, channels))
        self.gram = np.eye(width)
        self.moment = np.zeros((width, horizons))
        self.scales = np.ones((horizons, 1))
        self.steps = 0
        self._roots = np.tile(np.sqrt(truth.horizons)[:, None], channels)
        self._share = 1.0 / channels
        self._stride = min(1 + channels // _CHANNELS_A_STRIDE, 4)
        self._forget = _FORGET**self._stride

    def step(self, features: Floats, truth: DelayedTargets) -> Floats:
        """Learn what is due, take features [F, C], return forecasts in units, [H, C]."""
        self.steps += 1
        if self.steps % self._stride == 0:
            self._learn(truth)
            self.gram *= self._forget
            self.gram += (features @ features.T) * self._share
            if self.steps % (_SOLVE_STEPS * self._stride) == 0:
                self._solve()
        self.features[truth.now] = features
        told: Floats = self.weights @ features
        told *= self._roots
        return told

    def _learn(self, truth: DelayedTargets) -> None:
        past = self.features.take(truth.then, 0)
        errors = truth.target / self._roots
        errors -= (self.weights[:, None] @ past)[:, 0]
        certain = truth.certain
        if not certain:
            errors *= truth.due
        size = np.add.reduce(np.minimum(np.abs(errors), _SPIKE * self.scales), 1, keepdims=True)
        many = errors.shape[1] if certain else np.add.reduce(truth.due, axis=1, keepdims=True)
        mean = size / (many if certain else np.maximum(many, 1))
        self.scales += _SCALE * (mean - self.scales) * (1.0 if certain else many > 0)
        errors = huber_weights(errors, _BOUND * self.scales)
        errors *= self._share
        self.moment += np.matvec(past, errors).T

    def _solve(self) -> None:
        gram = self.gram.copy()
        gram.flat[:: len(gram) + 1] += _RIDGE
        self.weights += np.linalg.solve(gram, self.moment).T
        self.moment[:] = 0.0

    def state(self) -> State:
        """Return weights, sums and what waits for its truth."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)
