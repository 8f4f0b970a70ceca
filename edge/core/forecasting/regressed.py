"""Experts by regression of each channel on its own past."""

import numpy as np

from .basis import LAGS, SHORT
from .expert import View
from .forecaster import Floats, State
from .regression import Regression


class Regressed:
    """A regression on the first `width` columns of the basis.  bounds: one a voice."""

    def __init__(
        self, view: View, width: int, bounds: tuple[float, ...], forget: float = 0.998
    ) -> None:
        self.voices = len(bounds)
        self._width = width
        channels = view.task.channels
        self._regression = Regression(channels, width, view.truth, bounds, forget)

    def step(self, view: View) -> Floats:
        """Learn and forecast."""
        return self._regression.step(view.basis.columns[:, : self._width], view.truth)

    def state(self) -> State:
        """Return the regression's."""
        return self._regression.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._regression.restore(state)


def quick(view: View) -> Regressed:
    """Lags, means, seasons and profile; forgets half in a few hundred samples."""
    return Regressed(view, view.basis.width, (3.0,), forget=0.998)


def steady(view: View) -> Regressed:
    """The same, near to least absolute errors, and with a longer memory."""
    return Regressed(view, view.basis.width, (1.0,), forget=0.9995)


def short(view: View) -> Regressed:
    """Lags and means alone: learns within minutes."""
    return Regressed(view, SHORT, (1.0,), forget=0.999)


def lags(view: View) -> Regressed:
    """Lags, seasons and profile by plain least squares: the classical lag regression."""
    return Regressed(view, view.basis.width, (np.inf,), forget=0.999)


assert len(LAGS) < SHORT
