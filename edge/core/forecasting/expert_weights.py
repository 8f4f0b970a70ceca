"""Mixing of experts for each channel and horizon, on their absolute errors of late."""

from typing import Final

import numpy as np

from .delayed_targets import MANY_CHANNELS, DelayedTargets
from .forecaster import Floats, State
from .state_dict import load_state, state_dict

_DECAY: Final = 0.985
_SHARPNESS: Final = np.array(-12.0)
_ERROR_MAX: Final = np.array(50.0)
_TINY: Final = np.array(1e-12)
_KEPT = ("losses", "forecasts")


class ExpertWeights:
    """Weights exp(-a (L / L of the best - 1)), L the discounted mean absolute error of an expert.

    An expert whose error is 30 % above that of the best counts e^-3.6 times as much: the mixture
    is never much worse than the best expert, and follows a new best within a hundred steps.
    Exponential weights with discounted losses (Cesa-Bianchi and Lugosi 2006, section 2.11), made
    free of scale by the best loss.  Of `MANY_CHANNELS` and more, every second sample teaches, and
    counts twice.  Cost: O(E H C) a step.
    """

    def __init__(self, experts: int, channels: int, truth: DelayedTargets) -> None:
        horizons = len(truth.horizons)
        self.losses = np.zeros((experts, horizons, channels))
        self.forecasts = np.zeros((experts, truth.size * horizons, channels))
        self._errors, self._weights = np.empty((2, *self.losses.shape))
        self._stride = 1 + (channels >= MANY_CHANNELS)
        self._pace = 1.0 - _DECAY**self._stride
        self._weigh()

    def step(self, forecasts: Floats, truth: DelayedTargets) -> Floats:
        """Learn what is due, take forecasts [E, H, C] in units, return the mixture [H, C]."""
        if len(forecasts) == 1:
            alone: Floats = forecasts[0]
            return alone
        if truth.count % self._stride == 0:
            self._learn(truth)
            self._weigh()
        self.forecasts[:, truth.flat_now] = forecasts
        told: Floats = np.add.reduce(np.multiply(self._weights, forecasts, self._errors), 0)
        return told

    def _learn(self, truth: DelayedTargets) -> None:
        errors = self._errors
        self.forecasts.take(truth.flat_then, 1, errors, "clip")
        errors -= truth.target
        np.abs(errors, errors)
        np.minimum(errors, _ERROR_MAX, out=errors)
        errors -= self.losses
        errors *= self._pace if truth.certain else self._pace * truth.due
        self.losses += errors

    def _weigh(self) -> None:
        """Set the weights by the losses; they sum to one."""
        weights = self._weights
        best = np.minimum.reduce(self.losses, 0)
        best += _TINY
        weights[:] = np.divide(_SHARPNESS, best, best)
        weights *= self.losses
        np.exp(weights, weights)
        self._errors[:] = np.add.reduce(weights, 0)
        weights /= self._errors

    def state(self) -> State:
        """Return losses, and the forecasts whose truth is not known yet."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)
        self._weigh()
