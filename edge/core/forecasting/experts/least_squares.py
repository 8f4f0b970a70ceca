"""Recursive least squares of each channel on its own, for all horizons at once.

One covariance a channel serves all horizons, since it depends on the inputs alone: the gain that a
sample had when it came is kept until its truths are due (Haykin, Adaptive Filter Theory, 2002,
chapter 9).  Errors count by Huber's influence, so that a spike does not turn the weights.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..delayed_targets import MANY_CHANNELS, DelayedTargets
from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict

_KEPT = ("weights", "inputs", "gains", "covariance", "factor", "scales", "steps")
_TIDY_STEPS: Final = 32
_EACH_STEPS: Final = 200
_ALL = slice(None)

Rows = NDArray[np.int64]
_SCALE, _SPIKE = np.array(0.01), np.array(10.0)
_WIDE: Final = 64
_BLOCK: Final = 8


class RecursiveLeastSquares:
    """Weights float64 [H, V, C, F] of V variants that differ in what error counts as a spike.

    forget: factor a step.  bounds: V of them, in mean absolute errors.  ridge: of the start.
    Cost: O(C F (F + H V)) a step; memory: the inputs and gains of the longest horizon.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        truth: DelayedTargets,
        bounds: tuple[float, ...],
        forget: float = 0.999,
        ridge: float = 1.0,
    ) -> None:
        horizons, variants = len(truth.horizons), len(bounds)
        self._bounds = np.ones((horizons, 1, channels)) * np.array(bounds)[:, None]
        self._forget, self._ridge = forget, ridge
        self.weights = np.zeros((horizons, variants, channels, width))
        self.inputs = np.zeros((truth.size, channels, width))
        self.gains = np.zeros((truth.size, channels, width))
        self.covariance = np.tile(np.eye(width) / ridge, (channels, 1, 1))
        self._outer = np.empty_like(self.covariance)
        self.factor = 1.0
        self.scales = np.ones((horizons, variants, channels))
        self.steps = 0
        self._sparse = channels >= MANY_CHANNELS
        self._even = [_run(np.flatnonzero(truth.horizons % 2 == parity)) for parity in (0, 1)]

    def step(self, inputs: Floats, truth: DelayedTargets) -> Floats:
        """Learn what is due, take inputs [C, F], return forecasts in units, [V, H, C]."""
        self.steps += 1
        sparse = self._sparse and self.steps > _EACH_STEPS
        self._learn(truth, self._even[self.steps % 2] if sparse else _ALL)
        self._gain(inputs, truth.now)
        told: Floats = np.vecdot(self.weights, inputs)
        return told.transpose(1, 0, 2)

    def _learn(self, truth: DelayedTargets, which: slice | Rows) -> None:
        """Learn for some of the horizons: all, or those that look back at an even sample."""
        then = truth.then[which]
        if not len(then):
            return
        weights, scales, share = self.weights[which], self.scales[which], _SCALE
        errors = np.vecdot(weights, self.inputs.take(then, 0)[:, None])
        np.subtract(truth.target[which, None], errors, errors)
        if not truth.certain:
            due = truth.due[which, None]
            errors *= due
            share = _SCALE * due
        size = np.abs(errors)
        change = np.minimum(size, _SPIKE * scales)
        change -= scales
        change *= share
        scales += change
        np.copysign(np.minimum(size, self._bounds[which] * scales, out=size), errors, errors)
        weights += errors[..., None] * self.gains.take(then, 0)[:, None]
        if not isinstance(which, slice):
            self.weights[which], self.scales[which] = weights, scales

    def _gain(self, inputs: Floats, now: int) -> None:
        """Keep the inputs with their gain, and update the covariance, `factor * covariance`: what
        steps forget goes to the factor.  Later on every second sample counts twice instead."""
        late = self.steps > _EACH_STEPS
        if late and self._sparse and self.steps % 2:
            return
        forgotten = self._forget
        spread = np.matvec(self.covariance, inputs)
        spread *= self.factor
        certain = np.vecdot(inputs, spread)
        self.inputs[now] = inputs
        if late and self._sparse:
            gain, forgotten = _gain_of_two(spread, certain, forgotten)
            self.gains[now] = gain
        else:
            gain = self.gains[now] = spread / (forgotten + certain)[:, None]
            if late:
                if self.steps % 2:
                    return
                gain, forgotten = _gain_of_two(spread, certain, forgotten)
        spread *= 1.0 / self.factor
        np.multiply(gain[:, :, None], spread[:, None, :], out=self._outer)
        self.covariance -= self._outer
        self.factor /= forgotten
        if self.steps % _TIDY_STEPS == 0:
            self._tidy()

    def _tidy(self) -> None:
        """Keep the covariance symmetric, and bounded where nothing excites it: too large a trace
        takes P to P - P P / (2 trace P), which halves the largest part and spares the small."""
        whole = (self.covariance + self.covariance.transpose(0, 2, 1)) * (self.factor / 2)
        if whole.shape[1] > _WIDE:
            self._remember(whole)
            return
        trace = np.trace(whole, axis1=1, axis2=2)
        wound = trace > whole.shape[1] / self._ridge
        if wound.any():
            part = whole[wound]
            whole[wound] = part - part @ part * (0.5 / trace[wound])[:, None, None]
        spoilt = ~(trace > 0)
        if spoilt.any():
            whole[spoilt] = np.eye(whole.shape[1]) / self._ridge
        self.covariance, self.factor = whole, 1.0

    def _remember(self, whole: Floats) -> None:
        """Bound a wide covariance, whose products are dear: give a few inputs in turn back what the
        ridge of the start has lost by forgetting since it was their turn."""
        width = whole.shape[1]
        turns = -(-width // _BLOCK)
        first = self.steps // _TIDY_STEPS % turns * _BLOCK
        part = whole[:, :, first : first + _BLOCK]
        inner = part[:, first : first + _BLOCK].copy()
        lost = self._ridge * (1.0 - self._forget ** (_TIDY_STEPS * turns))
        inner += np.eye(inner.shape[1]) / lost
        whole -= part @ np.linalg.solve(inner, part.transpose(0, 2, 1))
        self.covariance, self.factor = whole, 1.0

    def state(self) -> State:
        """Return weights, covariance and what waits for its truth."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)


def _gain_of_two(spread: Floats, certain: Floats, forget: float) -> tuple[Floats, float]:
    """Return the gain of a sample that counts twice, and what two steps forget."""
    both = forget * forget
    return spread * (2.0 / (both + 2.0 * certain))[:, None], both


def _run(places: Rows) -> slice | Rows:
    """Return places as a slice where they follow each other: reading a slice copies nothing."""
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return slice(int(places[0]), int(places[-1]) + 1)
    return places
