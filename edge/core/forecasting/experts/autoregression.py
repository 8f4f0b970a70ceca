"""Experts by regression of each channel on its own past."""

import numpy as np

from ..forecaster import Floats, State
from .basis import LAGS, SHORT
from .expert import ExpertInput
from .least_squares import RecursiveLeastSquares


class RegressionExpert:
    """A regression on the first `width` columns of the basis.  bounds: one a voice."""

    def __init__(self, view: ExpertInput, width: int, bounds: tuple[float, ...]) -> None:
        self.voices = len(bounds)
        self._width = width
        channels = view.task.channels
        self._regression = RecursiveLeastSquares(channels, width, view.truth, bounds)

    def step(self, view: ExpertInput) -> Floats:
        """Learn and forecast."""
        return self._regression.step(view.basis.columns[:, : self._width], view.truth)

    def state(self) -> State:
        """Return the regression's."""
        return self._regression.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._regression.restore(state)


def seasonal_lags(view: ExpertInput) -> RegressionExpert:
    """Lags, means, seasons and profile; one voice near to least squares, one to least absolute
    errors."""
    return RegressionExpert(view, view.basis.width, (3.0, 1.0))


def short_lags(view: ExpertInput) -> RegressionExpert:
    """Lags and means alone: learns within minutes."""
    return RegressionExpert(view, SHORT, (1.0,))


def lag_set(view: ExpertInput) -> RegressionExpert:
    """Lags, seasons and profile by plain least squares: the classical lag regression."""
    return RegressionExpert(view, view.basis.width, (np.inf,))


assert len(LAGS) < SHORT
