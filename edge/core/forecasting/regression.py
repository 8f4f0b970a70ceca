"""Recursive least squares of each channel on its own, for all horizons at once.

One covariance a channel serves all horizons, since it depends on the inputs alone: the gain that a
sample had when it came is kept until its truths are due (Haykin, Adaptive Filter Theory, 2002,
chapter 9).  Errors count by Huber's influence, so that a spike does not turn the weights.
"""

from typing import Final

import numpy as np

from .forecaster import Floats, State
from .keeping import put, take
from .truth import Truth, soften

_KEPT = ("weights", "inputs", "gains", "covariance", "factor", "scales", "steps")
_TIDY_STEPS: Final = 32
_SCALE = 0.01
_SPIKE = 10.0


class Regression:
    """Weights float64 [H, V, C, F] of V variants that differ in what error counts as a spike.

    forget: factor a step.  bounds: V of them, in mean absolute errors.  ridge: of the start.
    Cost: O(C F (F + H V)) a step; memory: the inputs and gains of the longest horizon.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        truth: Truth,
        bounds: tuple[float, ...],
        forget: float = 0.999,
        ridge: float = 1.0,
    ) -> None:
        horizons, variants = len(truth.horizons), len(bounds)
        self._bounds = np.array(bounds)[None, :, None]
        self._forget, self._ridge = forget, ridge
        self.weights = np.zeros((horizons, variants, channels, width))
        self.inputs = np.zeros((truth.size, channels, width))
        self.gains = np.zeros((truth.size, channels, width))
        self.covariance = np.tile(np.eye(width) / ridge, (channels, 1, 1))
        self._outer = np.empty_like(self.covariance)
        self._change = np.empty_like(self.weights)
        self.factor = 1.0
        self.scales = np.ones((horizons, variants, channels))
        self.steps = 0

    def step(self, inputs: Floats, truth: Truth) -> Floats:
        """Learn what is due, take inputs [C, F], return forecasts in units, [V, H, C]."""
        self._learn(truth)
        self._gain(inputs, truth.now)
        told: Floats = np.vecdot(self.weights, inputs)
        return told.transpose(1, 0, 2)

    def _learn(self, truth: Truth) -> None:
        past = self.inputs.take(truth.then, 0)[:, None]
        errors = truth.target[:, None] - np.vecdot(self.weights, past)
        errors *= truth.due[:, None]
        size = np.minimum(np.abs(errors), _SPIKE * self.scales)
        size -= self.scales
        size *= _SCALE
        size *= truth.due[:, None]
        self.scales += size
        errors = soften(errors, self._bounds * self.scales)
        gains = self.gains.take(truth.then, 0)[:, None]
        np.multiply(errors[..., None], gains, out=self._change)
        self.weights += self._change

    def _gain(self, inputs: Floats, now: int) -> None:
        """Update the covariance `factor * covariance`; what one step forgets goes to the factor."""
        spread = (self.covariance @ inputs[:, :, None])[:, :, 0]
        spread *= self.factor
        bottom = self._forget + np.vecdot(inputs, spread)
        gain = spread / bottom[:, None]
        np.multiply(gain[:, :, None], (spread / self.factor)[:, None, :], out=self._outer)
        self.covariance -= self._outer
        self.factor /= self._forget
        self.inputs[now], self.gains[now] = inputs, gain
        self.steps += 1
        if self.steps % _TIDY_STEPS == 0:
            self._tidy()

    def _tidy(self) -> None:
        """Keep the covariance symmetric, and bounded where nothing excites it: too large a trace
        takes P to P - P P / (2 trace P), which halves the largest part and spares the small."""
        whole = (self.covariance + self.covariance.transpose(0, 2, 1)) * (self.factor / 2)
        trace = np.trace(whole, axis1=1, axis2=2)
        wound = trace > whole.shape[1] / self._ridge
        if wound.any():
            part = whole[wound]
            whole[wound] = part - part @ part * (0.5 / trace[wound])[:, None, None]
        spoilt = ~(trace > 0)
        if spoilt.any():
            whole[spoilt] = np.eye(whole.shape[1]) / self._ridge
        self.covariance, self.factor = whole, 1.0

    def state(self) -> State:
        """Return weights, covariance and what waits for its truth."""
        return take(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        put(self, _KEPT, state)
