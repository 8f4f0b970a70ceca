"""A forecaster and a change detector on a simulated backbone, evaluated step by step."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...backbone import DAY_STEPS, STEP_S, LinkEvent, LinkLoads, simulate_links
from ...core import ConfigError
from ...core.drift import DETECTORS, DetectedChange
from ...core.forecasting import FORECASTERS, ForecastTask
from ...storage import shipped_weights
from ..scenarios import LinkScenario, LinkSpec

Floats = NDArray[np.float64]

ALARM_STEPS: Final = 24
"""An alarm at most this many steps after an event detects it; others are false.  Two hours; chosen
by hand."""
SOON_STEPS: Final = 5
"""Steps after an event in which errors are largest.  Chosen by hand."""
WINDOW_STEPS = 5
"""Errors in the mean that must recover.  Chosen by hand."""
BEFORE_STEPS = 48
"""Four hours of five-minute steps.  Chosen by hand."""
TOLERANCE = 1.1
"""Within 10 % of the error before the event counts as recovered.  Chosen by hand."""
CAP_STEPS = 100
"""Longest time to convergence that is reported.  Chosen by hand."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinkTrial:
    """The result of a trial.  loads: Mbit/s [steps, links]; points, lows, highs: forecasts and 90 %
    intervals [steps, horizons, links], row t made from the samples up to t; figures: see
    `_figures`."""

    title: str
    seed: int
    settings: LinkSpec
    world: LinkLoads = field(repr=False)
    loads: Floats = field(repr=False)
    points: Floats = field(repr=False)
    lows: Floats = field(repr=False)
    highs: Floats = field(repr=False)
    changes: tuple[DetectedChange, ...] = field(repr=False)
    figures: dict[str, float]

    @property
    def start(self) -> int:
        """The first evaluated step: the end of the quiet days."""
        return self.world.quiet_steps

    @property
    def events(self) -> tuple[LinkEvent, ...]:
        """Failures and repairs, in order."""
        return self.world.events

    def alarm(self, event: LinkEvent) -> int | None:
        """Return the steps from an event to its alarm, None if it was missed."""
        delays = (change.step - event.step for change in self.changes)
        return min((delay for delay in delays if 0 <= delay <= ALARM_STEPS), default=None)


def run_link_trial(
    scenario: LinkScenario, seed: int, progress: Callable[[int, int], None] | None = None
) -> LinkTrial:
    """Simulate, forecast and detect, step by step; metrics depend on the arguments alone.

    progress: called with steps done and steps in all, once a simulated day.  Raises ConfigError
    for an unknown kind and for invalid days.
    """
    settings = scenario.links
    for kind, table in ((settings.forecaster, FORECASTERS), (settings.detector, DETECTORS)):
        if kind not in table:
            raise ConfigError(
                f"setting up {scenario.title!r}: unknown kind {kind!r}",
                f"known: {', '.join(sorted(table))}",
            )
    days = settings.days, settings.quiet_days, settings.double_share
    evaluated = (settings.days - settings.quiet_days) * DAY_STEPS
    if not settings.horizons or evaluated <= max(settings.horizons):
        raise ConfigError(
            f"setting up {scenario.title!r}: {evaluated} steps after the quiet days, horizons"
            f" {settings.horizons}: no forecast can be evaluated",
            "give at least one horizon, and more days after the quiet ones than it looks ahead",
        )
    world = simulate_links(settings.topology, seed, seed, *days)
    loads = world.loads / 1e3
    steps, channels = loads.shape
    horizons = tuple(sorted(set(settings.horizons)))
    task = ForecastTask(channels, horizons, seed=seed, period=DAY_STEPS, weights=shipped_weights())
    forecaster = FORECASTERS[settings.forecaster](task)
    detector = DETECTORS[settings.detector](channels)
    points, lows, highs = (np.full((steps, len(horizons), channels), np.nan) for _ in range(3))
    changes: list[DetectedChange] = []
    for step, values in enumerate(loads):
        made = forecaster.step(values, STEP_S)
        points[step], lows[step], highs[step] = made.point, made.low, made.high
        changes += detector.step(values)
        if progress is not None and step % DAY_STEPS == DAY_STEPS - 1:
            progress(step + 1, steps)
    trial = LinkTrial(
        title=scenario.title,
        seed=seed,
        settings=settings,
        world=world,
        loads=loads,
        points=points,
        lows=lows,
        highs=highs,
        changes=tuple(changes),
        figures={},
    )
    return replace(trial, figures=_figures(trial, horizons))


def _figures(trial: LinkTrial, horizons: tuple[int, ...]) -> dict[str, float]:
    """By horizon h: `mae_h`, `mae_last_h` (Mbit/s, mean over links and steps), `ratio_h`,
    `ratio_soon_h` (the first five steps after events), `coverage_h`; then `coverage_after` (100
    steps after events), `events`, `found`, `delay_steps`, `false_per_1000`."""
    found: dict[str, float] = {}
    near: list[float] = []
    for place, ahead in enumerate(horizons):
        origins = np.arange(trial.start, len(trial.loads) - ahead)
        truth = trial.loads[origins + ahead]
        error = np.abs(trial.points[origins, place] - truth).mean(axis=1)
        last = np.abs(trial.loads[origins] - truth).mean(axis=1)
        inside = (trial.lows[origins, place] <= truth) & (truth <= trial.highs[origins, place])
        soon = _within(trial, origins, SOON_STEPS, ahead)
        found[f"mae_{ahead}"], found[f"mae_last_{ahead}"] = float(error.mean()), float(last.mean())
        found[f"ratio_{ahead}"] = float(error.mean() / last.mean())
        if soon.any():
            found[f"ratio_soon_{ahead}"] = float(error[soon].mean() / last[soon].mean())
            near.append(float(inside[_within(trial, origins, CAP_STEPS, ahead)].mean()))
        found[f"coverage_{ahead}"] = float(inside.mean())
    return found | _alarms(trial) | ({"coverage_after": float(np.mean(near))} if near else {})


def _within(
    trial: LinkTrial, origins: NDArray[np.int64], steps: int, ahead: int
) -> NDArray[np.bool_]:
    """Return which forecasts start in the first steps after an event, with a target before the next
    event."""
    chosen = np.zeros(len(origins), bool)
    stops = [*(event.step for event in trial.events[1:]), len(trial.loads)]
    for event, stop in zip(trial.events, stops, strict=False):
        chosen |= (event.step <= origins) & (origins < min(event.step + steps, stop - ahead))
    return chosen


def _alarms(trial: LinkTrial) -> dict[str, float]:
    """Count detected events and false alarms, and average the delays."""
    found = [trial.alarm(event) for event in trial.events]
    delays = [delay for delay in found if delay is not None]
    steps = {change.step for change in trial.changes if change.step >= trial.start}
    near = {event.step + delay for event in trial.events for delay in range(ALARM_STEPS + 1)}
    length = len(trial.loads) - trial.start
    figures = {
        "events": float(len(found)),
        "found": float(len(delays)),
        "false_per_1000": 1e3 * len(steps - near) / length if length else 0.0,
    }
    return figures | ({"delay_steps": float(np.mean(delays))} if delays else {})


def steps_to_convergence(
    errors: NDArray[np.float64], event: int, until: int | None = None
) -> int | None:
    """Return the steps from an event until the mean of WINDOW_STEPS errors is at most TOLERANCE
    times the mean over BEFORE_STEPS before the event.

    errors [steps]: one method's error at each step (float64; NaN without a forecast).  event: the
    first step under new conditions.  until: the step of the next event, where the search ends;
    CAP_STEPS is returned if the error stays higher.  None without errors before the event or a
    whole window after it.  Time to convergence of arXiv 2404.05304; it favours a method with large
    errors before the event, so read it together with the errors.
    """
    past = errors[max(0, event - BEFORE_STEPS) : event]
    past = past[np.isfinite(past)]
    stop = len(errors) if until is None else until
    after = errors[event : min(stop, event + CAP_STEPS + WINDOW_STEPS)]
    if not len(past) or len(after) < WINDOW_STEPS:
        return None
    means = np.convolve(after, np.full(WINDOW_STEPS, 1 / WINDOW_STEPS), "valid")
    good = np.flatnonzero(means <= TOLERANCE * past.mean())
    return int(good[0]) if len(good) else CAP_STEPS
