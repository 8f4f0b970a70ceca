"""Linear experts: regressions of each channel on its own past, learned online.

All but `DLinear` use recursive least squares on columns of the history: lags, running means,
seasons, the seasonal profile, harmonics or differences.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict
from .expert import MANY_CHANNELS, MEANS, SHORT, DelayedTargets, ExpertInput, huber_influence

HARMONIC_LAGS: Final = 12
"""Lags of the harmonic regression.  26 in place of 12 gain at most 0.3 %: docs/decisions/0010."""
ORDER: Final = 6
"""Increments of the differenced regression.  Chosen by hand; effect not measured."""
DLINEAR_WINDOW: Final = 48
"""Samples in a window of DLinear: two days of hourly samples.  Chosen by hand; effect not
measured."""

Rows = NDArray[np.int64]

# Huber bound in mean absolute errors that is close to least squares.  Chosen by hand; effect not
# measured.
_SQUARES: Final = 3.0
# Huber bound close to least absolute errors: 1.5 % better on ETTh1, the same on ELEC2
# (docs/decisions/0010).
_ABSOLUTE: Final = 1.0

# Steps between repairs of the covariance's symmetry and size: rounding errors stay small, and the
# cost per step negligible.  Chosen by hand; effect not measured.
_REPAIR_STEPS: Final = 32
# Steps in which every sample is learned, before every second one counts twice; stated in
# docs/explanation/forecasting.md.  Chosen by hand; effect not measured.
_EVERY_STEPS: Final = 200
_ALL = slice(None)
# Rate of the mean absolute errors (about 100 samples), and the errors beyond which a spike no
# longer raises them.  Chosen by hand; effect not measured.
_SCALE_RATE, _SPIKE = np.array(0.01), np.array(10.0)
# Columns from which P P is too expensive to bound a covariance.  Chosen by hand; effect not
# measured.
_WIDE: Final = 64
# Columns of a wide covariance that are bounded at a time.  Chosen by hand; effect not measured.
_BLOCK: Final = 8
_LEAST_SQUARES_STATE: Final = (
    *("weights", "inputs", "gains", "covariance"),
    *("factor", "scales", "steps"),
)

_HARMONICS: Final = np.arange(1, 5)
# Amplitude of the harmonics: a larger one penalises them less than the other columns.  Chosen by
# hand; effect not measured.
_AMPLITUDE = 3.0
# Columns that are multiplied by the phase: the last increment and the means of 5 and 20.
_PHASED = 3

# Window of the moving average that is the trend: the kernel size of the authors (Zeng et al. 2023).
_TREND_STEPS: Final = 25
# Rate of the normalised gradient steps.  Chosen by hand; effect not measured.
_DLINEAR_RATE: Final = 0.1
# Huber's bound in scales.  Chosen by hand; effect not measured.
_DLINEAR_BOUND: Final = 30.0
_DLINEAR_STATE: Final = ("weights", "inputs")


class RecursiveLeastSquares:
    """Recursive least squares per channel, for all horizons at once.

    One covariance per channel serves all horizons, since it depends on the inputs alone: the gain
    of a sample is kept until its targets arrive (Haykin, Adaptive Filter Theory, 2002, chapter 9).
    Errors pass through Huber's influence function, so that a spike does not turn the weights.

    weights: float64 [H, V, C, F], with V variants that differ in `bounds`: Huber bounds in mean
    absolute errors.  forget: forgetting factor of a step.  ridge: initial penalty.
    Cost: O(C F (F + H V)) a step; memory: inputs and gains over the longest horizon.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        targets: DelayedTargets,
        bounds: tuple[float, ...],
        *,
        forget: float = 0.999,
        ridge: float = 1.0,
    ) -> None:
        horizons, variants = len(targets.horizons), len(bounds)
        self._bounds = np.ones((horizons, 1, channels)) * np.array(bounds)[:, None]
        self._forget, self._ridge = forget, ridge
        self.weights = np.zeros((horizons, variants, channels, width))
        self.inputs = np.zeros((targets.size, channels, width))
        self.gains = np.zeros((targets.size, channels, width))
        self.covariance = np.tile(np.eye(width) / ridge, (channels, 1, 1))
        self._outer = np.empty_like(self.covariance)
        self.factor = 1.0
        self.scales = np.ones((horizons, variants, channels))
        self.steps = 0
        self._sparse = channels >= MANY_CHANNELS
        self._by_parity = [
            _as_slice(np.flatnonzero(targets.horizons % 2 == parity)) for parity in (0, 1)
        ]

    def step(self, inputs: Floats, targets: DelayedTargets) -> Floats:
        """Learn from the targets; return forecasts [V, H, C] for inputs [C, F], in scales."""
        self.steps += 1
        sparse = self._sparse and self.steps > _EVERY_STEPS
        self._learn(targets, self._by_parity[self.steps % 2] if sparse else _ALL)
        self._update_gain(inputs, targets.row)
        forecasts: Floats = np.vecdot(self.weights, inputs)
        return forecasts.transpose(1, 0, 2)

    def _learn(self, targets: DelayedTargets, which: slice | Rows) -> None:
        """Learn for some horizons: all, or those whose origin has a gain of its own."""
        origins = targets.origin_rows[which]
        if not len(origins):
            return
        weights, scales, rate = self.weights[which], self.scales[which], _SCALE_RATE
        errors = np.vecdot(weights, self.inputs.take(origins, 0)[:, None])
        np.subtract(targets.values[which, None], errors, errors)
        if not targets.all_valid:
            valid = targets.valid[which, None]
            errors *= valid
            rate = _SCALE_RATE * valid
        size = np.abs(errors)
        change = np.minimum(size, _SPIKE * scales)
        change -= scales
        change *= rate
        scales += change
        np.copysign(np.minimum(size, self._bounds[which] * scales, out=size), errors, errors)
        weights += errors[..., None] * self.gains.take(origins, 0)[:, None]
        if not isinstance(which, slice):
            self.weights[which], self.scales[which] = weights, scales

    def _update_gain(self, inputs: Floats, row: int) -> None:
        """Store the inputs with their gain and update the covariance, `factor * covariance`; the
        forgetting goes to the factor.  After the first steps every second sample counts twice."""
        late = self.steps > _EVERY_STEPS
        if late and self._sparse and self.steps % 2:
            return
        forget = self._forget
        projected = np.matvec(self.covariance, inputs)
        projected *= self.factor
        leverage = np.vecdot(inputs, projected)
        self.inputs[row] = inputs
        if late and self._sparse:
            gain, forget = _double_gain(projected, leverage, forget)
            self.gains[row] = gain
        else:
            gain = self.gains[row] = projected / (forget + leverage)[:, None]
            if late:
                if self.steps % 2:
                    return
                gain, forget = _double_gain(projected, leverage, forget)
        projected *= 1.0 / self.factor
        np.multiply(gain[:, :, None], projected[:, None, :], out=self._outer)
        self.covariance -= self._outer
        self.factor /= forget
        if self.steps % _REPAIR_STEPS == 0:
            self._repair()

    def _repair(self) -> None:
        """Restore the covariance's symmetry, and bound it in directions without excitation: a trace
        that is too large takes P to P - P P / (2 trace P), which halves the largest part and
        hardly changes the small ones."""
        whole = (self.covariance + self.covariance.transpose(0, 2, 1)) * (self.factor / 2)
        if whole.shape[1] > _WIDE:
            self._restore_ridge(whole)
            return
        trace = np.trace(whole, axis1=1, axis2=2)
        large = trace > whole.shape[1] / self._ridge
        if large.any():
            part = whole[large]
            whole[large] = part - part @ part * (0.5 / trace[large])[:, None, None]
        invalid = ~(trace > 0)
        if invalid.any():
            whole[invalid] = np.eye(whole.shape[1]) / self._ridge
        self.covariance, self.factor = whole, 1.0

    def _restore_ridge(self, whole: Floats) -> None:
        """Bound a wide covariance, whose products are expensive: restore in turn, for a few columns
        at a time, the initial penalty that they have forgotten since their last turn."""
        width = whole.shape[1]
        turns = -(-width // _BLOCK)
        first = self.steps // _REPAIR_STEPS % turns * _BLOCK
        part = whole[:, :, first : first + _BLOCK]
        inner = part[:, first : first + _BLOCK].copy()
        forgotten = self._ridge * (1.0 - self._forget ** (_REPAIR_STEPS * turns))
        inner += np.eye(inner.shape[1]) / forgotten
        whole -= part @ np.linalg.solve(inner, part.transpose(0, 2, 1))
        self.covariance, self.factor = whole, 1.0

    def state(self) -> State:
        """Return weights, covariance, and the inputs and gains whose targets are pending."""
        return state_dict(self, _LEAST_SQUARES_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _LEAST_SQUARES_STATE, state)


def _double_gain(projected: Floats, leverage: Floats, forget: float) -> tuple[Floats, float]:
    """Return the gain of a sample that counts twice, and the forgetting factor of two steps."""
    both = forget * forget
    return projected * (2.0 / (both + 2.0 * leverage))[:, None], both


def _as_slice(indices: Rows) -> slice | Rows:
    """Return consecutive indices as a slice, which reads without a copy."""
    if len(indices) and indices[-1] - indices[0] == len(indices) - 1:
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


class LeastSquaresExpert:
    """Recursive least squares on `width` columns, one output per Huber bound.

    The columns are the first ones of the shared basis; subclasses compute their own.
    """

    def __init__(self, view: ExpertInput, width: int, bounds: tuple[float, ...]) -> None:
        self.outputs = len(bounds)
        self._width = width
        channels = view.task.channels
        self._regression = RecursiveLeastSquares(channels, width, view.targets, bounds)

    def step(self, view: ExpertInput) -> Floats:
        """Learn and forecast."""
        return self._regression.step(self._columns(view), view.targets)

    def _columns(self, view: ExpertInput) -> Floats:
        return view.basis.columns[:, : self._width]

    def state(self) -> State:
        """Return the state of the regression."""
        return self._regression.state()

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._regression.restore(state)


def seasonal_regression(view: ExpertInput) -> LeastSquaresExpert:
    """Regress on lags, means, seasons and profile, close to least squares and close to least
    absolute errors."""
    return LeastSquaresExpert(view, view.basis.width, (_SQUARES, _ABSOLUTE))


def short_regression(view: ExpertInput) -> LeastSquaresExpert:
    """Regress on lags and means alone: learns within minutes."""
    return LeastSquaresExpert(view, SHORT, (_ABSOLUTE,))


def lag_regression(view: ExpertInput) -> LeastSquaresExpert:
    """Regress on lags, seasons and profile by plain least squares: the classical baseline."""
    return LeastSquaresExpert(view, view.basis.width, (np.inf,))


class HarmonicRegression(LeastSquaresExpert):
    """A regression that knows the phase of the season.

    Columns: twelve lags, means, seasons, profile, four harmonics of each season, and the last
    increment and two means multiplied by sine and cosine of the phase.  It costs about twice as
    much as the seasonal regression: for few channels.
    """

    def __init__(self, view: ExpertInput) -> None:
        task, seasons = view.task, view.history.seasons
        points = np.array([0, *task.horizons])
        lags = [np.arange(1, HARMONIC_LAGS + 1), *(one - points % one for one in seasons)]
        self._lags = np.concatenate(lags).astype(np.int64)
        self._own = len(self._lags) + MEANS
        self._profile = len(points) if seasons else 0
        waves = 2 * len(_HARMONICS) * len(seasons)
        phased = 2 * _PHASED if seasons else 0
        width = 1 + self._own + self._profile + waves + phased
        super().__init__(view, width, (_SQUARES, _ABSOLUTE))
        self._rows = np.zeros((width - 1, task.channels))
        self._inputs = np.ones((task.channels, width))

    def _columns(self, view: ExpertInput) -> Floats:
        history, basis, rows = view.history, view.basis, self._rows
        count, own = len(self._lags), self._own
        rows[:count] = history.lags(self._lags)
        rows[count:own] = history.means
        rows[:own] -= history.jump_corrected_sum
        rows[:own] *= history.inverse_scale
        if history.seasons:
            at = own + self._profile
            rows[own] = basis.level[0] - basis.slope[0]
            rows[own + 1 : at] = basis.level
            at = self._write_harmonics(history.steps, history.seasons, at)
            angle = 2 * np.pi * (history.steps % basis.season) / basis.season
            phased = rows[[0, count + 1, count + 2]]
            rows[at : at + _PHASED] = phased * np.sin(angle)
            rows[at + _PHASED :] = phased * np.cos(angle)
        self._inputs[:, 1:] = rows.T
        return self._inputs

    def _write_harmonics(self, steps: int, seasons: tuple[int, ...], at: int) -> int:
        """Write the harmonics from row `at` on; return the next free row."""
        for season in seasons:
            angles = 2 * np.pi * (steps % season) / season * _HARMONICS
            both = _AMPLITUDE * np.concatenate([np.sin(angles), np.cos(angles)])
            self._rows[at : at + len(both)] = both[:, None]
            at += len(both)
        return at


class DifferencedRegression(LeastSquaresExpert):
    """A seasonal autoregression of differences, like SNARIMAX (p, 1, 0)(h, 1, 0): the last
    increments, and the movements of one season ago over the horizons."""

    def __init__(self, view: ExpertInput) -> None:
        task, season = view.task, view.basis.season
        ahead = np.arange(1, len(task.horizons) + 1) if season else np.zeros(0, np.int64)
        since = season - np.array(task.horizons) % season if season else ahead
        self._lags = np.concatenate([np.arange(ORDER), since])
        self._earlier_lags = np.concatenate([np.arange(1, ORDER + 1), np.full(len(ahead), season)])
        super().__init__(view, len(self._lags) + 1, (_SQUARES,))
        self._inputs = np.ones((task.channels, len(self._lags) + 1))

    def _columns(self, view: ExpertInput) -> Floats:
        history = view.history
        moved = history.lags(self._lags) - history.lags(self._earlier_lags)
        self._inputs[:, 1:] = (moved * history.inverse_scale).T
        return self._inputs


class DLinear:
    """DLinear learned online: a linear map of the trend and the remainder of a window, per channel
    (Zeng et al. 2023, section 4), with normalised stochastic gradient steps instead of batches.

    weights: float64 [H, C, 2 DLINEAR_WINDOW].  Cost: O(H C DLINEAR_WINDOW) a step.
    """

    outputs = 1

    def __init__(self, view: ExpertInput) -> None:
        horizons, channels = len(view.task.horizons), view.task.channels
        self.weights = np.zeros((horizons, channels, 2 * DLINEAR_WINDOW))
        self.inputs = np.zeros((view.targets.size, channels, 2 * DLINEAR_WINDOW))
        steps = np.arange(DLINEAR_WINDOW)
        near = np.abs(steps[:, None] - steps) <= _TREND_STEPS // 2
        self._smooth = near / near.sum(axis=1, keepdims=True)
        self._lags = steps

    def step(self, view: ExpertInput) -> Floats:
        """Take a gradient step for the targets that arrived, then forecast."""
        history, targets = view.history, view.targets
        past = self.inputs.take(targets.origin_rows, 0)
        errors = targets.values - np.vecdot(self.weights, past)
        errors = huber_influence(errors, np.array(_DLINEAR_BOUND)) * targets.valid
        errors *= _DLINEAR_RATE / (1.0 + np.vecdot(past, past))
        self.weights += errors[..., None] * past
        window = (history.lags(self._lags) - history.jump_corrected_sum) * history.inverse_scale
        trend = self._smooth @ window
        inputs = self.inputs[targets.row]
        inputs[:, :DLINEAR_WINDOW], inputs[:, DLINEAR_WINDOW:] = trend.T, (window - trend).T
        np.clip(inputs, -1e3, 1e3, out=inputs)
        forecasts: Floats = np.vecdot(self.weights, inputs)
        return forecasts[None]

    def state(self) -> State:
        """Return the weights, and the windows whose targets are pending."""
        return state_dict(self, _DLINEAR_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _DLINEAR_STATE, state)
