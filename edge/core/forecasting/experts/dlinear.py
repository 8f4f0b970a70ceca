"""DLinear learned online: a linear map of the trend and the rest of a window, for each channel.

Zeng et al. 2023, section 4, with normalised stochastic gradient steps in place of training.
"""

from typing import Final

import numpy as np

from ..delayed_targets import huber_weights
from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict
from .expert import ExpertInput

WINDOW: Final = 48
_TREND: Final = 25
_RATE: Final = 0.1
_BOUND: Final = 30.0
_KEPT = ("weights", "inputs")


class DLinear:
    """Weights float64 [H, C, 2 WINDOW].  Cost: O(H C WINDOW) a step."""

    voices = 1

    def __init__(self, view: ExpertInput) -> None:
        horizons, channels = len(view.task.horizons), view.task.channels
        self.weights = np.zeros((horizons, channels, 2 * WINDOW))
        self.inputs = np.zeros((view.truth.size, channels, 2 * WINDOW))
        steps = np.arange(WINDOW)
        near = np.abs(steps[:, None] - steps) <= _TREND // 2
        self._smooth = near / near.sum(axis=1, keepdims=True)
        self._lags = steps

    def step(self, view: ExpertInput) -> Floats:
        """Take a gradient step for what is due, then forecast."""
        history, truth = view.history, view.truth
        past = self.inputs.take(truth.then, 0)
        errors = truth.target - np.vecdot(self.weights, past)
        errors = huber_weights(errors, np.array(_BOUND)) * truth.due
        errors *= _RATE / (1.0 + np.vecdot(past, past))
        self.weights += errors[..., None] * past
        window = (history.lags(self._lags) - history.course) * history.per_unit
        trend = self._smooth @ window
        inputs = self.inputs[truth.now]
        inputs[:, :WINDOW], inputs[:, WINDOW:] = trend.T, (window - trend).T
        np.clip(inputs, -1e3, 1e3, out=inputs)
        told: Floats = np.vecdot(self.weights, inputs)
        return told[None]

    def state(self) -> State:
        """Return weights, and the windows whose truth is still to come."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)
