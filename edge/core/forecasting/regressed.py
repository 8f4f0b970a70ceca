"""Experts by regression of each channel on its own past."""

import numpy as np

from .basis import LAGS, SHORT
from .expert import View
from .forecaster import Floats, State
from .regression import Regression


class Regressed:
    """A regression on the first `width` columns of the basis.  bounds: one a voice."""

    def __init__(self, view: View, width: int, bounds: tuple[float, ...]) -> None:
        self.voices = len(bounds)
        self._width = width
        channels = view.task.channels
        self._regression = Regression(channels, width, view.truth, bounds)

    def step(self, view: View) -> Floats:
        """Learn and forecast."""
        return self._regression.step(view.basis.columns[:, : self._width], view.truth)

    def state(self) -> State:
        """Return the regression's."""
        return self._regression.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._regression.restore(state)


def season(view: View) -> Regressed:
    """Lags, means, seasons and profile; one voice near to least squares, one to least absolute
    errors."""
    return Regressed(view, view.basis.width, (3.0, 1.0))


def short(view: View) -> Regressed:
    """Lags and means alone: learns within minutes."""
    return Regressed(view, SHORT, (1.0,))


def lags(view: View) -> Regressed:
    """Lags, seasons and profile by plain least squares: the classical lag regression."""
    return Regressed(view, view.basis.width, (np.inf,))


assert len(LAGS) < SHORT
