"""Verbs for microcontrollers: `auricle export-c`, `bridge` and `bridge monitor`."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ..core import ConfigError, Decision
from . import bridge_view, views
from .bridging import alarm_outputs, attach, event_as_data, totals, turns
from .cli_options import HERE, HomeOption, JsonOption
from .extraction_liquid import export_forecaster
from .extraction_plan import KIB, Budget, Wish, plan_export, read_ground, write_export
from .home import Home
from .settings import read_settings
from .sources.port import open_link
from .weights import read_weights, shipped_weights

BaudOption = Annotated[int, typer.Option(help="Bits a second of a serial port.")]
SecondsOption = Annotated[float | None, typer.Option(help="Stop after that long; else on ^C.")]

app = typer.Typer(help="Attach a microcontroller's port to a stream of the runtime.")


@app.callback(invoke_without_command=True)
def bridge(
    context: typer.Context,
    port: Annotated[
        str, typer.Option(help="Serial port, tcp:HOST:PORT or unix:PATH of the device.")
    ] = "",
    home: HomeOption = HERE,
    stream: Annotated[str, typer.Option(help="Name of the stream at the home.")] = "bridge",
    alarm_channel: Annotated[
        int | None, typer.Option(help="Output that is 1 while the stream has left known ground.")
    ] = None,
    baud: BaudOption = 115200,
    seconds: SecondsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Feed a device's readings to the runtime, and print what it decides."""
    if context.invoked_subcommand:
        return
    if not port:
        raise ConfigError("attaching a port: none was named", "name it with --port")
    transport, link = open_link(port, baud)
    outputs = alarm_outputs(stream, alarm_channel)
    with closing(transport), Home(home, outputs=outputs) as opened:
        attached = attach(opened, link, stream)
        opened.actuate = attached.actuate
        if not as_json:
            views.show_prediction_names()
        for event in turns(link, transport, seconds):
            for message in attached.take(event):
                if as_json:
                    views.show_json(message)
                elif isinstance(message, Decision):
                    bridge_view.show_decision(message)
    if not as_json:
        bridge_view.show_attached(attached)


@app.command()
def monitor(
    port: Annotated[str, typer.Argument(help="Serial port, tcp:HOST:PORT or unix:PATH.")],
    baud: BaudOption = 115200,
    seconds: SecondsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what comes over a port, event by event, and the link's counters at the end."""
    transport, link = open_link(port, baud)
    seen: Counter[str] = Counter()
    with closing(transport):
        try:
            for event in turns(link, transport, seconds):
                seen[type(event).__name__] += 1
                told = event_as_data(event)
                views.show_json(told) if as_json else bridge_view.show_event(told)
        except KeyboardInterrupt:
            views.say("")
    counted = totals(link, seen)
    views.show_json(counted) if as_json else views.show_pairs(counted.items())


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
    forecaster: Annotated[
        str,
        typer.Option(help="Write this forecaster instead: a file of weights, or `shipped`."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Write the knowledge as C for a microcontroller: what fits, and what smaller ones lose."""
    if forecaster:
        arrays = shipped_weights() if forecaster == "shipped" else read_weights(Path(forecaster))
        told = export_forecaster(arrays, out)
        views.show_json(told) if as_json else bridge_view.show_forecaster(told, out)
        return
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
