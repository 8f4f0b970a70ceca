"""`auricle simulate` and `auricle demo`.  The extra `sim` is imported only when they run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...core import ConfigError
from ...extras import install_command
from ..options import PATH, json_option
from ..views import common as views
from ..views.curriculum import run_search

COLUMNS_MAX: Final = 5
"""Protocols in one table, so that it fits a terminal of 100 columns."""


@click.command
@click.argument("scenario", type=PATH, help="A scenario file; see docs/howto/simulate.md.")
@click.option("--seed", type=int, multiple=True, help="A seed; repeatable, for a sweep.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Parallel processes."
)
@click.option(
    "--out",
    type=PATH,
    default=Path("auricle-report"),
    show_default=True,
    help="Folder for the report.",
)
@click.option(
    "--backend",
    type=click.Choice(["loky", "ray"]),
    default="loky",
    show_default=True,
    help="How to run in parallel; ray needs the extra cluster.",
)
@click.option(
    "--data",
    type=PATH,
    envvar="AURICLE_DATA",
    show_envvar=True,
    help="Folder in which relative sources are looked up after the scenario's own.",
)
@click.option(
    "--unlearn",
    is_flag=True,
    help="Compare published methods of unlearning on the scenario's data instead.",
)
@click.option(
    "--curriculum",
    is_flag=True,
    help="Search faults and drifts around the scenario for worlds that break it.",
)
@json_option
def simulate(
    *,
    scenario: Path,
    seed: tuple[int, ...],
    jobs: int,
    out: Path,
    backend: str,
    data: Path | None,
    unlearn: bool,
    curriculum: bool,
    as_json: bool,
) -> None:
    """Run a scenario with the production runtime and store, or compare policies or strategies,
    and write a report."""
    sim = load_sim()
    seeds = seed or (1,)
    if (unlearn or curriculum) and (jobs, backend) != (1, "loky"):
        raise ConfigError(
            "simulating with --unlearn or --curriculum: their runs follow one another, since each"
            " is measured against those before it",
            "leave out --jobs and --backend",
        )
    if unlearn:
        if find_spec("torch") is None:
            raise ConfigError(
                "comparing methods of unlearning: torch is not installed",
                f"install the extra: {install_command('grow')}",
            )
        loaded = sim.load_device_scenario(scenario, data)
        _compare_unlearners(loaded, seeds, out, as_json=as_json)
        return
    loaded = sim.load_scenario(scenario, data)
    if curriculum:
        with steps() as progress:
            run_search(loaded, seeds, out, progress, as_json=as_json)
        return
    parallel = {"jobs": jobs, "backend": backend}
    if isinstance(loaded, sim.PolicyScenario):
        _compare_policies(loaded, seeds, out, as_json=as_json, **parallel)
        return
    if isinstance(loaded, sim.StrategyScenario):
        _compare_strategies(loaded, seeds, out, as_json=as_json, **parallel)
        return
    with steps() as progress:
        report = sim.simulate(
            loaded, seeds=seeds, jobs=jobs, out=out, backend=backend, progress=progress
        )
    if as_json:
        views.show_json({"page": str(report.page), "summary": report.summary})
    else:
        _show_report(report)


@click.command
@click.argument(
    "story",
    type=click.Choice(["reader", "forecast"]),
    metavar="[STORY]",
    default="reader",
    help="reader (default): handwritten digits; forecast: network traffic.",
)
@click.option(
    "--out",
    type=PATH,
    default=Path("auricle-demo"),
    show_default=True,
    help="Folder for the knowledge file and the report.",
)
def demo(*, story: str, out: Path) -> None:
    """Show Auricle at work on shipped or generated data, with a report.

    reader: a digit classifier meets a new scanner (domain shift), adapts, and
    forgets.  forecast: traffic of a network before and after a link fails.
    """
    load_sim()
    if story == "forecast":
        from ..views import show_forecast_demo

        raise SystemExit(show_forecast_demo(out))
    from ..views import show_demo

    raise SystemExit(show_demo(out))


@contextmanager
def steps() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for each step, in a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = views.errors
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield show


def _compare_unlearners(scenario: Any, seeds: tuple[int, ...], out: Path, *, as_json: bool) -> None:
    """Show how far each method is from training again, over all requests."""
    from ...sim.unlearning import compare_unlearners

    with steps() as progress:
        report = compare_unlearners(scenario, seeds, out, progress=progress)
    if as_json:
        worst = {line.method: line.worst for line in report.lines}
        views.show_json({"file": str(report.file), "worst_gap": worst})
        return
    views.say(f"{report.title}: gap to training again without the forgotten facts, in points")
    rows = (
        (
            line.method,
            f"{sum(line.gaps.values()) / len(line.gaps):.1f}",
            f"{line.worst:.1f}",
            f"{line.lira_difference:.2f}",
            f"{line.figures.relearn:.0f}",
            f"{line.figures.distance:.2f}",
            f"{line.figures.cost:.2f}",
        )
        for line in report.lines
    )
    names = ("method", "mean gap", "worst gap", "± LiRA", "relearned in", "distance", "time")
    views.show_table(names, rows)
    views.say(f"all figures {report.file}")


def _compare_strategies(
    scenario: Any, seeds: tuple[int, ...], out: Path, *, as_json: bool, **parallel: Any
) -> None:
    """Show each strategy on each stream, and rank them by error and compute."""
    from ...sim.strategies import compare_strategies, write_strategies
    from ..views import show_strategies, strategies_as_data

    with steps() as progress:
        report = compare_strategies(scenario, seeds, out, progress=progress, **parallel)
    report = write_strategies(report, out)
    if as_json:
        views.show_json(strategies_as_data(report))
    else:
        show_strategies(report)


def _compare_policies(
    scenario: Any, seeds: tuple[int, ...], out: Path, *, as_json: bool, **parallel: Any
) -> None:
    """Show the accuracy of each policy by protocol, and its gains over the source."""
    from ...sim.adaptation import compare_policies, format_spread, split_protocols

    with steps() as progress:
        report = compare_policies(scenario, seeds, out, progress, **parallel)
    if as_json:
        figures = {
            line.policy: {"gain": line.gain, "worst": line.worst, "accuracy": dict(line.accuracies)}
            for line in report.lines
        }
        views.show_json({"file": str(report.file), "policies": figures})
        return
    streams = len(report.lines[0].gains)
    counted = f"{streams} {'stream' if streams == 1 else 'streams'}"
    views.say(f"{report.title}: {counted} without labels, percent right")
    for shown in split_protocols(report.lines, COLUMNS_MAX):
        rows = (
            (
                line.policy,
                *(format_spread(line.accuracies[name], line.spreads[name]) for name in shown),
            )
            for line in report.lines
        )
        views.show_table(("policy", *shown), rows)
    for remark in report.remarks:
        views.say(remark)
    views.say("\ngain over the source, in points")
    totals = (
        (
            line.policy,
            format_spread(line.gain, line.gain_spread),
            f"{line.worst:.1f}",
            line.worst_stream,
            f"{line.lost} of {streams}",
            f"{line.us:.0f}",
            f"{line.nbytes / 1024:.0f}",
        )
        for line in report.lines
    )
    names = ("policy", "mean gain", "worst", "worst stream", "streams that lose", "µs", "KiB")
    views.show_table(names, totals)
    views.say(f"report {report.page}")


def _show_report(report: Any) -> None:
    runs = len(report.recordings)
    views.say(f"{report.title}: {runs} {'run' if runs == 1 else 'runs'}")
    for title, figures in report.summary.items():
        if len(report.summary) > 1:
            views.say(f"\n{title.removeprefix(f'{report.title}: ')}")
        rows = (
            (
                name,
                f"{one.mean:.4g}",
                "-" if one.sd is None else f"{one.sd:.2g}",
                f"{one.minimum:.4g}",
                f"{one.maximum:.4g}",
                one.runs,
            )
            for name, one in figures.items()
        )
        views.show_table(("figure", "mean", "± sd", "minimum", "maximum", "seeds"), rows)
    views.say(f"report {report.page}")


def load_sim() -> ModuleType:
    """Return the simulator; raises ConfigError if the extra is not installed."""
    for name in ("jinja2", "joblib", "matplotlib", "sklearn"):
        if find_spec(name) is None:
            raise ConfigError(
                f"starting the simulator: {name} is not installed",
                f"install the extra: {install_command('sim')}",
            )
    from ... import sim

    return sim
