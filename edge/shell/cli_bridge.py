"""Verbs for microcontrollers: `auricle export-c`."""

from pathlib import Path
from typing import Annotated

import typer

from . import bridge_view, views
from .cli_options import HERE, HomeOption, JsonOption
from .extraction_plan import KIB, Budget, Wish, plan_export, read_ground, write_export
from .home import read_settings


def export_c(
    out: Annotated[Path, typer.Option("--out", help="Folder to write the C files to.")],
    knowledge: Annotated[
        Path | None, typer.Option(help="Knowledge file; else the one of the home.")
    ] = None,
    home: HomeOption = HERE,
    flash_kib: Annotated[int, typer.Option("--flash", help="KiB of flash to spare.")] = 256,
    ram_kib: Annotated[int, typer.Option("--ram", help="KiB of RAM to spare.")] = 64,
    bits: Annotated[int | None, typer.Option(help="Bits of a hypervector; else what fits.")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="Only this domain; repeat.")] = None,
    rate: Annotated[float, typer.Option(help="False alarms among known samples.")] = 0.01,
    as_json: JsonOption = False,
) -> None:
    """Write the knowledge as C for a microcontroller: what fits, and what smaller ones lose."""
    path = knowledge or home / read_settings(home).knowledge.file
    budget = Budget(flash_kib * KIB, ram_kib * KIB)
    ground = read_ground(path)
    plan = plan_export(ground, Wish(rate, bits, tuple(domain or ())), budget)
    names = write_export(ground, plan.chosen, out)
    if as_json:
        views.show_json(bridge_view.plan_as_data(plan, budget, names))
        return
    bridge_view.show_plan(plan, budget)
    views.say(f"wrote {', '.join(names)} to {out}")
