"""Verbs for microcontrollers: `auricle export-c`, `bridge` and `bridge monitor`."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import click

from firmware_bridge import PACKAGE_KINDS, PackageKind

from ...config import read_settings
from ...core import ConfigError, Decision
from ...export import (
    KIB,
    ExportRequest,
    FlashBudget,
    export_forecaster,
    plan_export,
    read_statistics,
    write_export,
)
from ...home import Home, alarm_outputs, attach_port, device_turns, event_as_data, link_totals
from ...sources import open_link
from ...storage import read_weights, shipped_weights
from ..options import PATH, Number, VerbGroup, home_option, json_option
from ..views import bridge as bridge_view
from ..views import common as views

baud_option = click.option(
    "--baud",
    type=int,
    default=115200,  # the default of most development boards
    show_default=True,
    help="Bits per second of a serial port.",
)
seconds_option = click.option(
    "--seconds", type=Number(min=0), help="Stop after this time; default: on ^C."
)


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    short_help="Connect a microcontroller's port to a stream.",
)
@click.option("--port", default="", help="Serial port, tcp:HOST:PORT or unix:PATH of the device.")
@home_option
@click.option(
    "--stream", default="bridge", show_default=True, help="Name of the stream in the home."
)
@click.option(
    "--alarm-channel", type=int, help="Device output that is 1 during a drift alarm of the stream."
)
@baud_option
@seconds_option
@json_option
@click.pass_context
def bridge(
    context: click.Context,
    *,
    port: str,
    home: Path,
    stream: str,
    alarm_channel: int | None,
    baud: int,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Feed a device's readings to the runtime and print its decisions."""
    if context.invoked_subcommand:
        return
    if not port:
        raise ConfigError("connecting to a device: the port is missing", "name it with --port")
    transport, link = open_link(port, baud)
    outputs = alarm_outputs(stream, alarm_channel)
    with closing(transport), Home(home, outputs=outputs) as opened:
        attached = attach_port(opened, link, stream)
        opened.actuate = attached.actuate
        if not as_json:
            views.show_prediction_names()
        for event in device_turns(link, transport, seconds):
            for message in attached.handle(event):
                if as_json:
                    views.show_json(message)
                elif isinstance(message, Decision):
                    bridge_view.show_decision(message)
    if not as_json:
        bridge_view.show_attached(attached)


@bridge.command
@click.argument("port", help="Serial port, tcp:HOST:PORT or unix:PATH.")
@baud_option
@seconds_option
@json_option
def monitor(*, port: str, baud: int, seconds: float | None, as_json: bool) -> None:
    """Show the events of a link, and its counters at the end."""
    transport, link = open_link(port, baud)
    seen: Counter[str] = Counter()
    with closing(transport):
        try:
            for event in device_turns(link, transport, seconds):
                seen[type(event).__name__] += 1
                data = event_as_data(event)
                views.show_json(data) if as_json else bridge_view.show_event(data)
        except KeyboardInterrupt:
            views.say("")
    totals = link_totals(link, seen)
    views.show_json(totals) if as_json else views.show_pairs(totals.items())


@click.command("export-c")
@click.option("--out", type=PATH, required=True, help="Folder for the C files.")
@click.option("--knowledge", type=PATH, help="Knowledge file; default: that of the home.")
@home_option
@click.option(
    "--flash",
    "flash_kib",
    type=int,
    default=256,
    show_default=True,
    help="KiB of flash available.",
)
@click.option(
    "--ram", "ram_kib", type=int, default=64, show_default=True, help="KiB of RAM available."
)
@click.option("--bits", type=int, help="Bits of a hypervector; default: the best that fits.")
@click.option("--domain", multiple=True, help="Export only this domain; repeatable.")
@click.option(
    "--rate",
    type=Number(0, 1),
    default=0.01,
    show_default=True,
    help="Rate of false alarms among known samples.",
)
@click.option(
    "--forecaster",
    default="",
    help="Export a forecaster instead: a weights file, or `shipped`.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(PACKAGE_KINDS),
    default="files",
    show_default=True,
    help="Plain C files, a Zephyr module, or an Arduino or PlatformIO library.",
)
@json_option
def export_c(
    *,
    out: Path,
    knowledge: Path | None,
    home: Path,
    flash_kib: int,
    ram_kib: int,
    bits: int | None,
    domain: tuple[str, ...],
    rate: float,
    forecaster: str,
    kind: PackageKind,
    as_json: bool,
) -> None:
    """Write the knowledge as C for a microcontroller's flash and RAM.

    Prints the accuracy of the exported extract and of all smaller ones.
    """
    if forecaster:
        arrays = shipped_weights() if forecaster == "shipped" else read_weights(Path(forecaster))
        exported = export_forecaster(arrays, out, kind)
        if as_json:
            views.show_json(exported)
        else:
            bridge_view.show_forecaster(exported, out, kind)
        return
    path = knowledge or home / read_settings(home).knowledge.file
    budget = FlashBudget(flash_kib * KIB, ram_kib * KIB)
    stats = read_statistics(path)
    plan = plan_export(stats, ExportRequest(rate, bits, domain), budget)
    names = write_export(stats, plan.chosen, out, kind)
    if as_json:
        views.show_json(bridge_view.plan_as_data(plan, budget, names))
        return
    bridge_view.show_plan(plan, budget)
    bridge_view.show_written(names, out, kind)
