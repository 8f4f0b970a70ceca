"""Verbs for fleets: `auricle fleet simulate`, `aggregate`, `status`, `drop`, `admit`, `check`."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ...core import ConfigError, StateError
from ..options import (
    VerbGroup,
    count_option,
    home_option,
    jobs_option,
    json_option,
    seed_option,
)
from ..views import common as views
from .simulate import load_sim, steps

if TYPE_CHECKING:
    from ...storage import RequestVerb

ANSWER_S = 10.0
"""Longest wait for a running aggregator: it looks for requests five times a second, and a batch of
large contributions takes seconds."""


@click.group(cls=VerbGroup)
def fleet() -> None:
    """Sum the knowledge of many devices: aggregate, look, drop a member, simulate."""


@fleet.command
@count_option("--devices", 10_000, 100_000, "How many devices.", 8)
@seed_option(1, "Seed of devices and network.")
@jobs_option
@json_option
def simulate(*, devices: int, seed: int, jobs: int, as_json: bool) -> None:
    """Sum simulated devices over a bad network, and compare with one device that holds what they
    published.

    Real runtimes and aggregators; messages are lost, doubled, late and out of order; some members
    are outdated or hostile.  Exit status 1 if anything differs.
    """
    load_sim()
    from ...sim.fleet import simulate_fleet
    from ..views.fleet import fleet_as_data, show_simulation

    with steps() as progress:
        outcome = simulate_fleet(devices, seed, jobs, progress)
    if as_json:
        views.show_json(fleet_as_data(outcome))
    else:
        show_simulation(outcome)
    if outcome.wrong or not outcome.digest_equal:
        raise SystemExit(1)


@fleet.command
@home_option
def aggregate(*, home: Path) -> None:
    """Sum the contributions to the fleet in [aggregate], and publish their sum, until stopped.

    It follows the geometry of the home.  SIGHUP: read the settings again.
    """
    from ...config import read_settings
    from ...daemon import open_aggregator_service
    from ...fleet import GeometryWatch, aggregate_section
    from ...logs import log, set_up_logs

    set_up_logs("info")
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    while not asked:
        watch = GeometryWatch(home)
        with open_aggregator_service(home) as (service, client):
            while not asked and not watch.changed():
                service.step(client)
                if asked == [signal.SIGHUP]:
                    try:
                        aggregate_section(read_settings(home))
                    except ConfigError as error:
                        log.warning("settings_kept", reason=error.message)
                        asked.clear()
        if asked in ([], [signal.SIGHUP]):
            log.info("aggregator_opened_again", reason="SIGHUP" if asked else "another geometry")
            asked.clear()


@fleet.command
@home_option
@click.option("--all", "every", is_flag=True, help="List every child, not only a summary.")
@json_option
def status(*, home: Path, every: bool, as_json: bool) -> None:
    """Show who contributed what and when, what waits, and what was refused and why."""
    from ...fleet import describe_roles
    from ..views.fleet import show_aggregate, show_left, show_membership

    found = describe_roles(home)
    if found.aggregate is None and found.member is None and not found.left:
        raise _missing(home)
    if as_json:
        views.show_json(found)
        return
    if found.aggregate is not None:
        show_aggregate(found.aggregate, every=every)
    if found.member is not None:
        show_membership(found.member)
    show_left(found.left)


@fleet.command
@click.argument("device", help="Name of a child.")
@home_option
@json_option
def drop(*, device: str, home: Path, as_json: bool) -> None:
    """Take a device's sums out of the aggregate, exactly, and accept no more of it."""
    _request(home, "drop", device)
    if as_json:
        views.show_json({"device": device, "done": "drop"})
        return
    views.say(f"{device}: dropped; the sum is that of a fleet that never had it")


@fleet.command
@click.argument("device", help="Name of a dropped child.")
@click.option(
    "--reset",
    is_flag=True,
    help="Accept any revision: the newest was not the device's own, or its home was lost.",
)
@home_option
@json_option
def admit(*, device: str, reset: bool, home: Path, as_json: bool) -> None:
    """Accept the contributions of a dropped device again."""
    _request(home, "reset" if reset else "admit", device)
    if as_json:
        views.show_json({"device": device, "done": "admit"})
        return
    views.say(f"{device}: admitted; its sums count when it sends them again")


@fleet.command
@home_option
@json_option
def check(*, home: Path, as_json: bool) -> None:
    """Compare every child with the others, and show which are far from them."""
    from ...fleet import describe_aggregate
    from ..views.fleet import show_outliers

    _request(home, "check", "")
    found = describe_aggregate(home)
    if found is None:
        raise _missing(home)
    views.show_json(found.outliers) if as_json else show_outliers(found)


def _request(home: Path, verb: "RequestVerb", device: str) -> None:
    """Let the running aggregator do something, or do it here if none runs."""
    from ...fleet import aggregate_path, open_aggregator
    from ...storage import AggregateFile, has_aggregate, leave_request

    path = aggregate_path(home)
    if not has_aggregate(path):
        raise _missing(home)
    if device:
        with AggregateFile(path, writable=False) as held:
            if held.child(device) is None:
                raise ConfigError(
                    f"asking to {verb} {device}: it has never contributed here",
                    "`auricle fleet status --all` lists the children",
                )
    number = leave_request(path, verb, device, time.time_ns())
    try:
        with open_aggregator(home) as aggregator:
            aggregator.serve_requests(time.time_ns())
    except StateError as error:
        if "another process" not in error.message:
            raise
        _wait(path, number, verb)


def _wait(path: Path, number: int, verb: str) -> None:
    from ...storage import AggregateFile

    end = time.monotonic() + ANSWER_S
    while time.monotonic() < end:
        with AggregateFile(path, writable=False) as held:
            if all(one.number != number for one in held.requests()):
                return
        time.sleep(0.1)
    raise StateError(
        f"asking the aggregator to {verb}: it has not answered within {ANSWER_S:.0f} s",
        "the request is kept, and done when it is not busy any more",
    )


def _missing(home: Path) -> ConfigError:
    return ConfigError(
        f"reading the aggregate of {home}: it has none",
        "add [aggregate] to its settings and run `auricle fleet aggregate`",
    )
