"""`auricle demo forecast` in the terminal: a link fails in a backbone, before and after."""

import shlex
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..sim.links import (
    LinkEvent,
    Links,
    LinkScenario,
    LinkTrial,
    choose_event,
    choose_link,
    name_links,
    print_event,
    try_links,
)
from ..sim.report import write_link_report
from .demo_view import LOOKS, free_folder
from .views import console as terminal

TITLE: Final = "A link fails in a European backbone"
SCENARIO: Final = LinkScenario(
    TITLE, Links("euro28", days=8, double_share=0.0, horizons=(1, 2, 3, 4, 6, 8, 10, 12))
)
SEED: Final = 1
PICTURE: Final = "failure.png"


def show_forecast_demo(
    out: Path, scenario: LinkScenario = SCENARIO, console: Console = terminal
) -> int:
    """Run the demonstration, print it, write a picture and a report; the process's exit code.

    out: folder of both; where it holds something, the next free name beside it is used.  The code
    is 0 where the failure was noticed, else 1.
    """
    began = time.monotonic()
    folder = free_folder(out)
    console.print(Text(f"Auricle: {TITLE[0].lower()}{TITLE[1:]}", "bold"))
    console.print("28 cities, 82 directed links, a load every five minutes; no network, no data.")
    trial = _watch(scenario, console)
    event = choose_event(trial)
    assert event is not None, "a simulated week has a failure"
    _tell(trial, event, console)
    report = write_link_report((trial,), folder, TITLE)
    picture = folder / PICTURE
    picture.write_bytes(print_event(trial, event))
    took = time.monotonic() - began
    console.print(f"\nPicture {shlex.quote(str(picture))}", soft_wrap=True, highlight=False)
    console.print(f"Report  {shlex.quote(str(report))}", soft_wrap=True, highlight=False)
    console.print(f"Took {took:.1f} s.")
    return 0 if trial.alarm(event) is not None else 1


def _watch(scenario: LinkScenario, console: Console) -> LinkTrial:
    """Run the trial with a bar in a terminal."""
    columns = TextColumn("  watching"), BarColumn(40), TimeRemainingColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("watching")
        return try_links(
            scenario, SEED, lambda done, total: bar.update(task, completed=done, total=total)
        )


def _tell(trial: LinkTrial, event: LinkEvent, console: Console) -> None:
    """The story of one failure, as the link saw it that took most of the traffic."""
    link, figures = choose_link(trial, event), trial.figures
    ahead = max(trial.settings.horizons)
    name = trial.world.topology.channels[link]
    before, now = event.step - 1, event.step
    days = trial.settings.quiet_days
    _chapter(console, f"{days} days without a failure, learned as they came")
    _line(console, "plain", f"{name}, an hour ahead: {_expected(trial, before, link)} Mbit/s")
    _chapter(console, f"{name_links(trial, event)} fails, and nobody says so")
    jump = f"{trial.loads[before, link]:,.0f} to {trial.loads[now, link]:,.0f} Mbit/s"
    _line(console, "bad", f"{name} goes from {jump} in one step")
    late = trial.alarm(event)
    if late is None:
        _line(console, "bad", "nothing noticed it")
    else:
        change = next(c for c in trial.changes if c.step == now + late)
        told = f"{late} steps later: {change.kind} of {len(change.channels)} links"
        _line(console, "alarm", f"alarm {told}, regime {change.regime}")
    _chapter(console, "From the first sample after the failure on")
    _line(console, "plain", f"{name}, an hour ahead: {_expected(trial, now, link)} Mbit/s")
    came = trial.loads[now + ahead, link]
    _line(console, "good", f"an hour later it is {came:,.0f} Mbit/s")
    _chapter(console, "All links, all failures and repairs")
    ratio, soon = figures[f"ratio_{ahead}"], figures[f"ratio_soon_{ahead}"]
    _line(console, "good", f"error an hour ahead: {ratio:.0%} of the last value's")
    _line(console, "good", f"in the first five steps after an event: {soon:.0%}")
    found = f"{figures['found']:.0f} of {figures['events']:.0f} events noticed"
    _line(console, "good", f"{found}, {figures['false_per_1000']:.1f} false alarms in 1,000 steps")
    inside = figures["coverage_after"]
    _line(console, "good", f"{inside:.1%} inside the 90 % intervals within 100 steps of an event")


def _expected(trial: LinkTrial, step: int, link: int) -> str:
    """The forecast of the longest horizon with its interval."""
    point, low, high = (each[step, -1, link] for each in (trial.points, trial.lows, trial.highs))
    return f"{point:,.0f}, 90 % between {low:,.0f} and {high:,.0f}"


def _chapter(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", "bold"))


def _line(console: Console, tone: str, text: str) -> None:
    mark, style = next(look for name, look in LOOKS.items() if name == tone)
    console.print(Text(f"  {mark} {text}", style))
