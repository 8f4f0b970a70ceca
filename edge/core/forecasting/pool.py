"""A mixture of experts for time series: weights per channel and horizon, conformal intervals."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from .experts import MANY_CHANNELS, DelayedTargets, Expert, ExpertInput, RegressionBasis
from .forecaster import Floats, Forecast, ForecastTask, State
from .guard import BaselineGuard
from .history import JumpCorrectedHistory, OutlierGate
from .state_dict import Stateful, load_state, nest_state, state_dict, unnest_state

MakeExpert = Callable[[ExpertInput], Expert]

COVERAGE: Final = 0.9
"""Share of outcomes inside an interval: the usual level of prediction intervals."""

# Discount of an expert's losses and sharpness of the weights.  Other discounts (0.97 to 0.996) and
# sharpness (8 to 30) gain at most 0.2 %: docs/decisions/0010.
_LOSS_DISCOUNT: Final = 0.985
_SHARPNESS: Final = np.array(-12.0)
# Largest error in scales that enters the losses: one jump must not decide the weights.  Chosen by
# hand; effect not measured.
_ERROR_MAX: Final = np.array(50.0)
_TINY: Final = np.array(1e-12)

# A miss on one side is allowed in half of the remaining share.
_MISS_RATE: Final = np.array((1.0 - COVERAGE) / 2)
# Step of an interval's bound as a share of its width, and the samples over which it falls to that
# from 0.3.  Chosen by hand; tests/edge/core/forecasting/test_pool.py holds the coverage.
_BOUND_RATE, _BOUND_WARM_STEPS = 0.04, 20.0
# Least width, in scales, that a step is a share of: bounds at zero must be able to grow again.
_WIDTH_MIN, _ZERO = np.array(0.01), np.array(0.0)

# Rate at which the recent range shrinks towards the newest value (about 1,000 samples), and how far
# beyond it forecasts may reach, in ranges.  Chosen by hand; effect not measured.
_RANGE_RATE: Final = np.array(0.001)
_BEYOND_RANGE: Final = np.array(0.25)

_WEIGHTS_STATE: Final = ("losses", "forecasts")
_INTERVALS_STATE: Final = ("bounds", "pending", "count")
_INTERVALS_STORED_AS: Final = {"pending": "given"}
_POOL_STATE: Final = ("range",)
_POOL_STORED_AS: Final = {"range": "span"}


class ExpertPool:
    """Forecasts by a mixture of experts that share one history.

    baselines: simple experts of the mixture that the guard compares it with: none, or as many as
    `BaselineGuard` takes.  Forecasts stay within the recent range of the values and a quarter of it
    beyond.  The experts start again when the season changes: after the first samples, or when the
    sampling interval changes.
    """

    def __init__(
        self,
        task: ForecastTask,
        makers: tuple[MakeExpert, ...],
        *,
        baselines: tuple[MakeExpert, ...] = (),
    ) -> None:
        self._task, self._makers, self._baselines = task, (*baselines, *makers), len(baselines)
        self.range = np.zeros((2, task.channels))
        self._lowest, self._highest = self.range
        self._history = JumpCorrectedHistory(task.channels, task.period, task.horizons[-1])
        self._outlier_gate = OutlierGate(task.channels)
        # Bounds of the forecasts: the range and a quarter of it beyond.
        self._inner = np.zeros((2, task.channels))
        self._start_experts()

    def _start_experts(self) -> None:
        task, history = self._task, self._history
        self._season = history.seasons
        targets = DelayedTargets(task.channels, task.horizons)
        self._view = ExpertInput(task, history, RegressionBasis(history, task.horizons), targets)
        self._experts = [make(self._view) for make in self._makers]
        ends = np.cumsum([0, *(expert.outputs for expert in self._experts)])
        self._forecasts = np.zeros((int(ends[-1]), len(task.horizons), task.channels))
        self._slots = [self._forecasts[at:end] for at, end in pairwise(ends)]
        # The forecasts of the baselines and of the mixture, as values.
        self._points = np.empty((self._baselines + 1, len(task.horizons), task.channels))
        self._tiled = np.empty_like(self._points)
        self._guard = BaselineGuard(task.channels, targets) if self._baselines else None
        self._weights = ExpertWeights(int(ends[-1]), task.channels, targets)
        self._intervals = ConformalIntervals(task.channels, targets)

    def step(self, values: Floats, elapsed_s: float) -> Forecast:
        """Update with one sample and forecast.  See `Forecaster`."""
        if values.shape != (self._task.channels,):
            raise ValueError(f"expected {self._task.channels} values, found shape {values.shape}")
        history, view = self._history, self._view
        history.step(self._outlier_gate.filter(values, history, self.range, self._inner), elapsed_s)
        if history.seasons != self._season:
            self._start_experts()
            view = self._view
        view.targets.step(history)
        view.basis.step(history)
        for expert, slot in zip(self._experts, self._slots, strict=True):
            slot[:] = expert.step(view)
        self._points[:-1] = self._forecasts[: self._baselines]
        self._points[-1] = self._weights.step(self._forecasts, view.targets)
        self._convert_to_values()
        return self._forecast()

    def _convert_to_values(self) -> None:
        """Turn movements in scales into values within the range."""
        history, points = self._history, self._points
        self._update_range()
        beyond, tiled, inner = self._highest - self._lowest, self._tiled, self._inner
        beyond *= _BEYOND_RANGE
        tiled[:] = history.scale_floored
        points *= tiled
        if history.any_dead:
            points *= ~history.dead
        tiled[:] = history.last
        points += tiled
        tiled[:] = np.subtract(self._lowest, beyond, inner[0])
        np.maximum(points, tiled, out=points)
        tiled[:] = np.add(self._highest, beyond, inner[1])
        np.minimum(points, tiled, out=points)

    def _forecast(self) -> Forecast:
        """Return the forecast of the guarded mixture with its intervals."""
        history, targets = self._history, self._view.targets
        if self._guard is None:
            points = self._points[-1].copy()
        else:
            points = self._guard.step(self._points, history.last, targets)
        low, high = self._intervals.step(points, history, targets)
        if not history.complete:
            for table in (points, low, high):
                table[:, ~history.known] = np.nan
        return Forecast(self._task.horizons, points, low, high)

    def _update_range(self) -> None:
        last = self._history.last
        change = last - self.range
        change *= _RANGE_RATE
        self.range += change
        np.minimum(self._lowest, last, out=self._lowest)
        np.maximum(self._highest, last, out=self._highest)

    def state(self) -> State:
        """Return everything learned, of a fixed size."""
        parts = state_dict(self, _POOL_STATE, _POOL_STORED_AS)
        parts |= nest_state("history", self._history.state())
        parts |= nest_state("doubt", self._outlier_gate.state())
        for name, part in self._parts():
            parts |= nest_state(name, part.state())
        return parts

    def restore(self, state: State) -> None:
        """Continue from a state; raises StateError for one of another task."""
        self._history.restore(unnest_state("history", state))
        self._outlier_gate.restore(unnest_state("doubt", state))
        self._start_experts()
        for name, part in self._parts():
            part.restore(unnest_state(name, state))
        load_state(self, _POOL_STATE, state, _POOL_STORED_AS)

    def _parts(self) -> list[tuple[str, Stateful]]:
        """Return the parts that start again with the season, by the prefix of their stored keys."""
        view = self._view
        parts: list[tuple[str, Stateful]] = [
            *(("truth", view.targets), ("basis", view.basis)),
            *(("mixing", self._weights), ("intervals", self._intervals)),
            *((f"expert-{number}", one) for number, one in enumerate(self._experts)),
        ]
        if self._guard is not None:
            parts.append(("guard", self._guard))
        return parts


class ExpertWeights:
    """Weights exp(-a (L / L_best - 1)), with L the discounted mean absolute error of an expert.

    An expert whose error is 30 % above that of the best has a weight e^-3.6 times as large: the
    mixture is never much worse than the best expert, and follows a new best within a hundred steps.
    Exponential weights with discounted losses (Cesa-Bianchi and Lugosi 2006, section 2.11), made
    scale-free by the best loss.  From `MANY_CHANNELS` on, every second sample updates the losses
    and counts twice.  Cost: O(E H C) a step.
    """

    def __init__(self, experts: int, channels: int, targets: DelayedTargets) -> None:
        horizons = len(targets.horizons)
        self.losses = np.zeros((experts, horizons, channels))
        # Forecasts whose targets are pending.
        self.forecasts = np.zeros((experts, targets.size * horizons, channels))
        self._errors, self._weights = np.empty((2, *self.losses.shape))
        self._stride = 1 + (channels >= MANY_CHANNELS)
        self._rate = 1.0 - _LOSS_DISCOUNT**self._stride
        self._update_weights()

    def step(self, forecasts: Floats, targets: DelayedTargets) -> Floats:
        """Update the losses and return the mixture [H, C] of forecasts [E, H, C], in scales."""
        if len(forecasts) == 1:
            only: Floats = forecasts[0]
            return only
        if targets.count % self._stride == 0:
            self._update_losses(targets)
            self._update_weights()
        self.forecasts[:, targets.flat_rows] = forecasts
        mixture: Floats = np.add.reduce(np.multiply(self._weights, forecasts, self._errors), 0)
        return mixture

    def _update_losses(self, targets: DelayedTargets) -> None:
        errors = self._errors
        self.forecasts.take(targets.flat_origin_rows, 1, errors, "clip")
        errors -= targets.values
        np.abs(errors, errors)
        np.minimum(errors, _ERROR_MAX, out=errors)
        errors -= self.losses
        errors *= self._rate if targets.all_valid else self._rate * targets.valid
        self.losses += errors

    def _update_weights(self) -> None:
        """Set the weights from the losses; they sum to one."""
        weights = self._weights
        best = np.minimum.reduce(self.losses, 0)
        best += _TINY
        weights[:] = np.divide(_SHARPNESS, best, best)
        weights *= self.losses
        np.exp(weights, weights)
        self._errors[:] = np.add.reduce(weights, 0)
        weights /= self._errors

    def state(self) -> State:
        """Return the losses and the pending forecasts."""
        return state_dict(self, _WEIGHTS_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _WEIGHTS_STATE, state)
        self._update_weights()


class ConformalIntervals:
    """Intervals that keep their coverage under drift: adaptive conformal inference.

    Each bound follows a quantile of the errors by online gradient steps on the pinball loss (Gibbs
    and Candes 2021; the quantile tracker of Angelopoulos, Candes and Tibshirani 2023, section 2.1):
    a miss moves it out by 1 - a steps, a hit moves it in by a.  Over time the share of misses is a,
    whatever the errors do.  A step is a share of the interval's own width.  Unlike the experts,
    intervals also learn from values after jumps: an unforeseeable value is a miss.

    bounds: float64 [2, H, C], distances below and above the point, in scales.  pending: for
    forecasts without an outcome so far, minus the low end and the high end, as values.
    """

    def __init__(self, channels: int, targets: DelayedTargets) -> None:
        horizons = len(targets.horizons)
        roots = np.sqrt(targets.horizons)[:, None]
        self.bounds: Floats = np.ones((2, horizons, channels)) * (2.0 * roots)
        self.pending = np.zeros((2, targets.size * horizons, channels))
        self.count = 0
        self._ends, self._change = np.empty((2, *self.bounds.shape))
        self._low, self._high = self._ends
        self._missed = np.empty_like(self.bounds, bool)

    def step(
        self, points: Floats, history: JumpCorrectedHistory, targets: DelayedTargets
    ) -> tuple[Floats, Floats]:
        """Update the bounds; return the low and the high ends about points [H, C], as values."""
        bounds, change, ends = self.bounds, self._change, self._ends
        low, high = self._low, self._high
        high[:] = history.last
        np.negative(high, low)
        self.pending.take(targets.flat_origin_rows, 1, change, "clip")
        missed = np.greater(ends, change, self._missed)
        step = np.add(bounds[0], bounds[1], low)
        step += _WIDTH_MIN
        step *= max(_BOUND_RATE, 0.3 / (1.0 + self.count / _BOUND_WARM_STEPS))
        if not targets.all_arrived:
            step *= targets.arrived
        self.count += 1
        change[:] = missed
        change -= _MISS_RATE
        high[:] = step
        change *= ends
        bounds += change
        np.maximum(bounds, _ZERO, out=bounds)
        ends[:] = history.scale_floored
        ends *= bounds
        low -= points
        high += points
        self.pending[:, targets.flat_rows] = ends
        return -low, high.copy()

    def state(self) -> State:
        """Return the bounds and the pending intervals."""
        return state_dict(self, _INTERVALS_STATE, _INTERVALS_STORED_AS)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _INTERVALS_STATE, state, _INTERVALS_STORED_AS)
