"""A forecaster and a detector watch a simulated backbone; what they said, and how good it was."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...core import ConfigError
from ...core.drift import DETECTORS, DetectedChange
from ...core.forecasting import FORECASTERS, ForecastTask
from ...storage import shipped_weights
from ..scenarios import LinkScenario, LinkSpec
from .demands import DAY_STEPS
from .simulator import STEP_S, LinkEvent, LinkLoads, simulate_links

Floats = NDArray[np.float64]

ALARM_STEPS: Final = 24
"""An alarm this many steps after an event at most is its alarm; any other is a false one."""
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
    """loads in Mbit/s [steps, links]; points, lows and highs [steps, horizons, links], row t made
    from the samples up to t; start: the first step that counts; figures: see `_figures`."""

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
        """The first step that counts: the end of the quiet days."""
        return self.world.quiet_steps

    @property
    def events(self) -> tuple[LinkEvent, ...]:
        """Failures and repairs, in order."""
        return self.world.events

    def alarm(self, event: LinkEvent) -> int | None:
        """Steps from an event to its alarm, None where it was missed."""
        lates = (change.step - event.step for change in self.changes)
        return min((late for late in lates if 0 <= late <= ALARM_STEPS), default=None)


def run_link_trial(
    scenario: LinkScenario, seed: int, progress: Callable[[int, int], None] | None = None
) -> LinkTrial:
    """Simulate, forecast and detect, step by step; metrics depend on the arguments alone.

    progress: called with steps done and steps in all, once a simulated day.  Raises ConfigError for
    a kind that is not in its table or days that make no world.
    """
    settings = scenario.links
    for kind, table in ((settings.forecaster, FORECASTERS), (settings.detector, DETECTORS)):
        if kind not in table:
            raise ConfigError(
                f"setting up {scenario.title!r}: there is no {kind!r}",
                f"known: {', '.join(sorted(table))}",
            )
    days = settings.days, settings.quiet_days, settings.double_share
    judged = (settings.days - settings.quiet_days) * DAY_STEPS
    if not settings.horizons or judged <= max(settings.horizons):
        raise ConfigError(
            f"setting up {scenario.title!r}: {judged} steps after the quiet days, horizons"
            f" {settings.horizons}: no forecast could be judged",
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
    """Which forecasts were made in the first steps after an event, for a target before the next."""
    chosen = np.zeros(len(origins), bool)
    stops = [*(event.step for event in trial.events[1:]), len(trial.loads)]
    for event, stop in zip(trial.events, stops, strict=False):
        chosen |= (event.step <= origins) & (origins < min(event.step + steps, stop - ahead))
    return chosen


def _alarms(trial: LinkTrial) -> dict[str, float]:
    """How many events were found, how late, and how many alarms were false."""
    lates = [trial.alarm(event) for event in trial.events]
    delays = [late for late in lates if late is not None]
    steps = {change.step for change in trial.changes if change.step >= trial.start}
    near = {event.step + late for event in trial.events for late in range(ALARM_STEPS + 1)}
    length = len(trial.loads) - trial.start
    figures = {
        "events": float(len(lates)),
        "found": float(len(delays)),
        "false_per_1000": 1e3 * len(steps - near) / length if length else 0.0,
    }
    return figures | ({"delay_steps": float(np.mean(delays))} if delays else {})


def steps_to_convergence(
    errors: NDArray[np.float64], event: int, until: int | None = None
) -> int | None:
    """Steps from an event until a mean of five errors is at most 1.1 times the mean before it.

    errors [steps]: a method's own error at each step (float64; not a number where there is none).
    event: the first step under new conditions; the 48 steps before it are what it is compared with.
    until: the step of the next event, where looking on ends; 100 steps are the cap, returned where
    the error stays higher.  None where there is nothing to compare with or no whole window after
    it.  Time to convergence of arXiv 2404.05304; it rewards a method that was bad before, so read
    it beside the errors themselves.
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
