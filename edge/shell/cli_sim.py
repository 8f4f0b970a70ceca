"""`auricle simulate` and `auricle demo`: they need the extra `sim`, so they import it late."""

from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from ..core import ConfigError
from . import views

SIM_HINT = "install the extra: pip install 'auricle[sim]'"


def simulate(
    scenario: Annotated[Path, typer.Argument(help="A scenario file; see docs/simulate.md.")],
    seed: Annotated[list[int] | None, typer.Option(help="A seed; repeat for a sweep.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("auricle-report"),
    backend: Annotated[str, typer.Option(help="loky, or ray (extra cluster).")] = "loky",
) -> None:
    """Run a scenario through the production runtime and store, and write a report."""
    sim = _load_sim()
    with views.steps("simulating") as progress:
        report = sim.simulate(
            scenario,
            seeds=tuple(seed or (1,)),
            jobs=jobs,
            out=out,
            backend=backend,
            progress=progress,
        )
    views.show_report(report)


def demo(
    out: Annotated[Path, typer.Option(help="Folder of knowledge file and report.")] = Path(
        "auricle-demo"
    ),
) -> None:
    """A handwriting reader meets a new scanner: known, alarm, labels, recovered, forgotten."""
    _load_sim()
    from .demo_view import show_demo

    raise typer.Exit(show_demo(out))


def _load_sim() -> ModuleType:
    for name in ("joblib", "matplotlib", "sklearn"):
        if find_spec(name) is None:
            raise ConfigError(f"starting the simulator: {name} is not installed", SIM_HINT)
    from .. import sim

    return sim
