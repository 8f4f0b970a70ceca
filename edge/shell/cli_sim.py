"""`auricle simulate` and `auricle demo`: they need the extra `sim`, so they import it late."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..core import ConfigError
from . import views
from .cli_options import JsonOption

SIM_HINT = "install the extra: pip install 'auricle[sim]'"


def simulate(
    scenario: Annotated[Path, typer.Argument(help="A scenario file; see docs/howto/simulate.md.")],
    seed: Annotated[list[int] | None, typer.Option(help="A seed; repeat for a sweep.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("auricle-report"),
    backend: Annotated[
        Literal["loky", "ray"], typer.Option(help="ray needs the extra cluster.")
    ] = "loky",
    as_json: JsonOption = False,
) -> None:
    """Run a scenario through the production runtime and store, and write a report."""
    sim = _load_sim()
    seeds = tuple(seed or (1,))
    with _steps() as progress:
        report = sim.simulate(
            scenario, seeds=seeds, jobs=jobs, out=out, backend=backend, progress=progress
        )
    if as_json:
        views.show_json({"page": str(report.page), "summary": report.summary})
    else:
        _show_report(report)


def demo(
    story: Annotated[
        Literal["reader", "forecast"],
        typer.Argument(help="reader: a handwriting reader; forecast: a backbone's links."),
    ] = "reader",
    out: Annotated[Path, typer.Option(help="Folder of knowledge file and report.")] = Path(
        "auricle-demo"
    ),
) -> None:
    """A handwriting reader meets a new scanner; or a link fails, forecast before and after."""
    _load_sim()
    if story == "forecast":
        from .demo_forecast_view import show_forecast_demo

        raise typer.Exit(show_forecast_demo(out))
    from .demo_view import show_demo

    raise typer.Exit(show_demo(out))


@contextmanager
def _steps() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each thing that is being done, in a terminal."""
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


def _show_report(report: Any) -> None:
    runs = len(report.recordings)
    rows = (
        (name, f"{spread.mean:.4g}", f"{spread.minimum:.4g}", f"{spread.maximum:.4g}", spread.runs)
        for name, spread in report.summary.items()
    )
    views.say(f"{report.title}: {runs} {'run' if runs == 1 else 'runs'}")
    views.show_table(("figure", "mean", "minimum", "maximum", "runs"), rows)
    views.say(f"report {report.page}")


def _load_sim() -> ModuleType:
    for name in ("joblib", "matplotlib", "sklearn"):
        if find_spec(name) is None:
            raise ConfigError(f"starting the simulator: {name} is not installed", SIM_HINT)
    from .. import sim

    return sim
