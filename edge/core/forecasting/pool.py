"""A forecaster made of experts: one history, their mixture, and intervals about it."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from .delayed_targets import DelayedTargets
from .expert_weights import ExpertWeights
from .experts import Expert, ExpertInput, RegressionBasis
from .forecaster import Floats, Forecast, ForecastTask, State
from .history import JumpCorrectedHistory
from .intervals import ConformalIntervals
from .outlier_gate import OutlierGate
from .state_dict import load_state, nest_state, state_dict, unnest_state

Maker = Callable[[ExpertInput], Expert]

_RANGE_FADE: Final = np.array(0.001)
_BEYOND: Final = np.array(0.25)
_KEPT = ("span",)


class ExpertPool:
    """Forecasts by a mixture of experts that share one history.

    What is forecast stays within the range of the values of late and a quarter of it beyond.
    Experts begin anew where the season changes: after the first samples, or when samples begin to
    come at another pace.
    """

    def __init__(self, task: ForecastTask, makers: tuple[Maker, ...]) -> None:
        self._task, self._makers = task, makers
        self.span = np.zeros((2, task.channels))
        self.lowest, self.highest = self.span
        self._history = JumpCorrectedHistory(task.channels, task.period, task.horizons[-1])
        self._doubt = OutlierGate(task.channels)
        self._near = np.zeros((2, task.channels))
        self._begin()

    def _begin(self) -> None:
        task, history = self._task, self._history
        self._season = history.seasons
        truth = DelayedTargets(task.channels, task.horizons)
        self._view = ExpertInput(task, history, RegressionBasis(history, task.horizons), truth)
        self._experts = [make(self._view) for make in self._makers]
        ends = np.cumsum([0, *(expert.voices for expert in self._experts)])
        self._given = np.zeros((int(ends[-1]), len(task.horizons), task.channels))
        self._places = [self._given[at:end] for at, end in pairwise(ends)]
        self._spread = np.empty((len(task.horizons), task.channels))
        self._mixing = ExpertWeights(int(ends[-1]), task.channels, truth)
        self._intervals = ConformalIntervals(task.channels, truth)

    def step(self, values: Floats, elapsed_s: float) -> Forecast:
        """Take one sample, learn, look ahead.  See `Forecaster`."""
        if values.shape != (self._task.channels,):
            raise ValueError(f"expected {self._task.channels} values, found shape {values.shape}")
        history, view = self._history, self._view
        history.step(self._doubt.take(values, history, self.span, self._near), elapsed_s)
        if history.seasons != self._season:
            self._begin()
            view = self._view
        view.truth.step(history)
        view.basis.step(history)
        for expert, place in zip(self._experts, self._places, strict=True):
            place[:] = expert.step(view)
        points = self._mixing.step(self._given, view.truth)
        return self._forecast(points)

    def _forecast(self, points: Floats) -> Forecast:
        """Turn movements in units into values, within what the channel is known to do."""
        history, unit = self._history, self._history.safe_unit
        self._follow_range()
        beyond, spread, near = self.highest - self.lowest, self._spread, self._near
        beyond *= _BEYOND
        spread[:] = unit
        points = points * spread
        if history.any_dead:
            points *= ~history.dead
        spread[:] = history.last
        points += spread
        spread[:] = np.subtract(self.lowest, beyond, near[0])
        np.maximum(points, spread, out=points)
        spread[:] = np.add(self.highest, beyond, near[1])
        np.minimum(points, spread, out=points)
        low, high = self._intervals.step(points, history, self._view.truth)
        if not history.whole:
            for table in (points, low, high):
                table[:, ~history.known] = np.nan
        return Forecast(self._task.horizons, points, low, high)

    def _follow_range(self) -> None:
        last, span = self._history.last, self.span
        moved = last - span
        moved *= _RANGE_FADE
        span += moved
        np.minimum(self.lowest, last, out=self.lowest)
        np.maximum(self.highest, last, out=self.highest)

    def state(self) -> State:
        """Return all that it has learned; its size does not grow."""
        made = {**load_state(self, _KEPT), **nest_state("history", self._history.state())}
        made |= nest_state("doubt", self._doubt.state())
        for name, part in self._parts():
            made |= nest_state(name, part.state())
        return made

    def restore(self, state: State) -> None:
        """Go on from a state; raises StateError for one of another task."""
        self._history.restore(unnest_state("history", state))
        self._doubt.restore(unnest_state("doubt", state))
        self._begin()
        for name, part in self._parts():
            part.restore(unnest_state(name, state))
        state_dict(self, _KEPT, state)

    def _parts(
        self,
    ) -> list[
        tuple[str, Expert | DelayedTargets | RegressionBasis | ExpertWeights | ConformalIntervals]
    ]:
        view = self._view
        experts = [(f"expert-{number}", one) for number, one in enumerate(self._experts)]
        return [
            *(("truth", view.truth), ("basis", view.basis)),
            *(("mixing", self._mixing), ("intervals", self._intervals)),
            *experts,
        ]
