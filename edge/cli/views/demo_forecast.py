"""`auricle demo forecast` in the terminal: a backbone's traffic before and after a link failure."""

import shlex
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ...backbone import LinkEvent
from ...demo import Tone
from ...sim import (
    LinkScenario,
    LinkSpec,
    LinkTrial,
    choose_event,
    choose_link,
    name_links,
    render_event_png,
    run_link_trial,
    write_link_report,
)
from .common import console as terminal
from .demo import LOOKS, free_folder

TITLE: Final = "A link fails in a European backbone"
SCENARIO: Final = LinkScenario(
    TITLE,
    LinkSpec(topology="euro28", days=8, double_share=0.0, horizons=(1, 2, 3, 4, 6, 8, 10, 12)),
)
SEED: Final = 1  # any seed: it makes the demonstration reproducible
PLOT: Final = "failure.png"
COVERAGE: Final = 0.9
"""Nominal coverage of the forecast intervals."""
COVERAGE_MISS_MAX: Final = 0.05
"""Deviation from the nominal coverage that still earns the tick: two events give no more precise
estimate.  Chosen by hand; effect not measured."""
FALSE_PER_1000_MAX: Final = 1.0
"""False alarms in 1,000 steps, three and a half days, that still earn the tick.  Chosen by hand;
effect not measured."""


def show_forecast_demo(
    out: Path, scenario: LinkScenario = SCENARIO, console: Console = terminal
) -> int:
    """Run the demonstration, print it, write a plot and a report; return the exit status.

    out: folder for both; if it is not empty, the next free name is used instead.  The status is 0
    if the failure was detected, else 1.
    """
    began = time.monotonic()
    folder = free_folder(out)
    console.print(Text(f"Auricle: {TITLE[0].lower()}{TITLE[1:]}", "bold"))
    console.print(
        "28 cities, 82 directed links, their load every five minutes; simulated, no downloads."
    )
    trial = _simulate(scenario, console)
    event = choose_event(trial)
    assert event is not None, "a simulated week has a failure"
    show_failure(trial, event, console)
    report = write_link_report((trial,), folder, TITLE)
    plot = folder / PLOT
    plot.write_bytes(render_event_png(trial, event))
    took = time.monotonic() - began
    console.print(f"\nPlot    {shlex.quote(str(plot))}", soft_wrap=True, highlight=False)
    console.print(f"Report  {shlex.quote(str(report))}", soft_wrap=True, highlight=False)
    console.print(f"Took {took:.1f} s.")
    return 0 if trial.alarm(event) is not None else 1


def _simulate(scenario: LinkScenario, console: Console) -> LinkTrial:
    """Run the trial, with a progress bar in a terminal."""
    columns = TextColumn("  simulating"), BarColumn(40), TimeRemainingColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("simulating")
        return run_link_trial(
            scenario, SEED, lambda done, total: bar.update(task, completed=done, total=total)
        )


def show_failure(trial: LinkTrial, event: LinkEvent, console: Console) -> None:
    """Print one failure from the view of the link that took most of its traffic."""
    link = choose_link(trial, event)
    ahead = max(trial.settings.horizons)
    name = trial.world.topology.channels[link]
    before, now = event.step - 1, event.step
    days = trial.settings.quiet_days
    _chapter(console, f"{days} days without a failure, learned online")
    _line(console, "plain", f"{name}, an hour ahead: {_expected(trial, before, link)} Mbit/s")
    _chapter(console, f"{name_links(trial, event)} fails without notice")
    jump = f"{trial.loads[before, link]:,.0f} to {trial.loads[now, link]:,.0f} Mbit/s"
    _line(console, "plain", f"{name} goes from {jump} in one step")
    late = trial.alarm(event)
    if late is None:
        _line(console, "bad", "no alarm was raised")
    else:
        change = next(c for c in trial.changes if c.step == now + late)
        found = f"{late} steps later: {change.kind} of {len(change.channels)} links"
        _line(console, "alarm", f"alarm {found}, regime {change.regime}")
    _chapter(console, "The first sample after the failure")
    _line(console, "plain", f"{name}, an hour ahead: {_expected(trial, now, link)} Mbit/s")
    came = trial.loads[now + ahead, link]
    held = trial.lows[now, -1, link] <= came <= trial.highs[now, -1, link]
    _check(console, f"an hour later it is {came:,.0f} Mbit/s", holds=bool(held))
    _show_figures(trial, console)


def _show_figures(trial: LinkTrial, console: Console) -> None:
    """Print the quality of forecasts and alarms over all links and events."""
    figures, ahead = trial.figures, max(trial.settings.horizons)
    _chapter(console, "All links, all failures and repairs")
    ratio, soon = figures[f"ratio_{ahead}"], figures[f"ratio_soon_{ahead}"]
    _check(
        console,
        f"error an hour ahead: {ratio:.0%} of the error of repeating the last value",
        holds=ratio < 1,
    )
    _check(console, f"in the first five steps after an event: {soon:.0%}", holds=soon < 1)
    found, events = figures["found"], figures["events"]
    false = figures["false_per_1000"]
    text = f"{found:.0f} of {events:.0f} events detected, {false:.1f} false alarms in 1,000 steps"
    _check(console, text, holds=found == events and false <= FALSE_PER_1000_MAX)
    inside = figures["coverage_after"]
    text = f"{inside:.1%} inside the 90 % intervals within 100 steps of an event"
    _check(console, text, holds=abs(inside - COVERAGE) <= COVERAGE_MISS_MAX)


def _expected(trial: LinkTrial, step: int, link: int) -> str:
    """Format the forecast of the longest horizon with its interval."""
    point, low, high = (each[step, -1, link] for each in (trial.points, trial.lows, trial.highs))
    return f"{point:,.0f}, 90 % between {low:,.0f} and {high:,.0f}"


def _chapter(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", "bold"))


def _check(console: Console, text: str, *, holds: bool) -> None:
    """Print a result, ticked only if its own numbers support it."""
    _line(console, "good" if holds else "bad", text)


def _line(console: Console, tone: Tone, text: str) -> None:
    mark, style = LOOKS[tone]
    console.print(Text(f"  {mark} {text}", style))
