"""Experts that learn nothing: last value, mean, season before, profile of the season."""

import numpy as np

from .expert import View
from .forecaster import Floats, State


class Plain:
    """An expert without a state of its own."""

    voices = 1

    def __init__(self, view: View) -> None:
        self._out = np.zeros((self.voices, len(view.task.horizons), view.task.channels))

    def state(self) -> State:
        """Return nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Take nothing."""
        del state


class Last(Plain):
    """Nothing moves."""

    def step(self, view: View) -> Floats:
        """Return zeros."""
        del view
        return self._out


class Mean(Plain):
    """Back to the mean of about the last five."""

    def step(self, view: View) -> Floats:
        """Return how far the mean is away."""
        return view.basis.mean_of_5


class Seasonal(Plain):
    """What came a season before."""

    def step(self, view: View) -> Floats:
        """Return how far it is away; zeros without a season."""
        return view.basis.seasonal[None]


class Profile(Plain):
    """The mean course of the season: its level, and its change from now on."""

    voices = 2

    def step(self, view: View) -> Floats:
        """Return both; zeros without a season."""
        self._out[0] = view.basis.level
        self._out[1] = view.basis.slope
        return self._out
