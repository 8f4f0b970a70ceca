"""The simple experts: the last value, the season as it was measured, the drift."""

import numpy as np

from edge.core.forecasting.experts import (
    DelayedTargets,
    Drift,
    ExpertInput,
    RegressionBasis,
    SeasonalValues,
)
from edge.core.forecasting.forecaster import ForecastTask
from edge.core.forecasting.history import JumpCorrectedHistory
from edge.core.forecasting.kinds import FORECASTERS

TASK = ForecastTask(channels=2, horizons=(1, 3, 8), period=8)


class ExpertRun:
    """Runs an expert and returns its forecasts as values [H, C]."""

    def __init__(self, kind: type[Drift] | type[SeasonalValues]) -> None:
        history = JumpCorrectedHistory(2, TASK.period, TASK.horizons[-1])
        targets = DelayedTargets(2, TASK.horizons)
        basis = RegressionBasis(history, TASK.horizons)
        self.view = ExpertInput(TASK, history, basis, targets)
        self.expert = kind(self.view)

    def step(self, values: np.ndarray, elapsed_s: float = 1.0) -> np.ndarray:
        """Take a sample."""
        history = self.view.history
        history.step(values, elapsed_s)
        self.view.targets.step(history)
        self.view.basis.step(history)
        moved = self.expert.step(self.view)[0] * history.scale_floored
        return np.asarray(history.last + moved)


def season(step: int) -> np.ndarray:
    """Values that repeat every eight steps."""
    return np.array([10.0 + (step % 8) ** 2, -5.0 * (step % 8)])


def test_the_season_repeats_its_values() -> None:
    """After one season the forecasts of a repeating series are exact, at the season's length too;
    before, they repeat the last value."""
    run = ExpertRun(SeasonalValues)
    for step in range(30):
        found = run.step(season(step))
        for place, ahead in enumerate(TASK.horizons):
            known = step >= 8 - ahead % 8 or ahead % 8 == 0
            wanted = season(step + ahead) if known and step >= 8 else None
            if wanted is not None:
                assert np.allclose(found[place], wanted)
    assert np.allclose(ExpertRun(SeasonalValues).step(season(3)), season(3))


def test_the_season_goes_on_through_a_gap() -> None:
    """After a gap of three samples the season is still in phase."""
    run = ExpertRun(SeasonalValues)
    for step in range(30):
        run.step(season(step))
    found = run.step(season(33), elapsed_s=4.0)
    assert np.allclose(found[1], season(28))
    for step in range(34, 50):
        run.step(season(step))
    assert np.allclose(run.step(season(50))[1], season(53))


def test_a_late_channel_has_no_season_before_its_first_value() -> None:
    """A channel that starts at 1,000 is not forecast at zero."""
    run = ExpertRun(SeasonalValues)
    for step in range(20):
        run.step(np.array([1.0 + step % 8, np.nan]))
    found = run.step(np.array([2.0, 1000.0]))
    assert np.array_equal(found[:, 1], [1000.0, 1000.0, 1000.0])


def test_the_drift_continues_a_trend() -> None:
    """On a straight line the forecasts are exact but for the first increment, a zero."""
    run = ExpertRun(Drift)
    for step in range(199):
        run.step(np.array([3.0 * step, -0.5 * step]))
    found = run.step(np.array([3.0 * 199, -0.5 * 199]))
    share = 199 / 200
    for place, ahead in enumerate(TASK.horizons):
        expected = [3.0 * 199 + share * 3.0 * ahead, -0.5 * 199 - share * 0.5 * ahead]
        assert np.allclose(found[place], expected)


def test_the_drift_alone_is_a_forecaster() -> None:
    """`FORECASTERS["drift"]` follows a trend that the last value lags behind."""
    rows = np.arange(300.0)[:, None]
    made = FORECASTERS["drift"](ForecastTask(1, horizons=(12,)))
    points = [made.step(row, 1.0).point[0, 0] for row in rows]
    assert np.abs(np.array(points[100:-12]) - rows[112:, 0]).max() < 0.2
