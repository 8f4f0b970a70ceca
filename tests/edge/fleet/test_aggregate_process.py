"""A daemon and an aggregator in processes of their own: a receipt says when the sum dropped it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from edge.core.events import Enrol, FitGeometry, StoreGeometry
from edge.fleet.aggregate_home import describe_aggregate
from edge.home.home import Home
from edge.signing.keys import make_key
from tests.brokers import Mosquitto, needs_mosquitto
from tests.edge.fleet.test_member import many
from tests.edge.fleet.test_two_daemons import ask, until
from tests.homes import new_home, run, spawn

pytestmark = needs_mosquitto

MEMBER = """
[device]
name = "north"

[mqtt]
host = "127.0.0.1"
port = {port}

[commands]
enabled = ["forget", "status"]

[fleet]
name = "hall"
key = "north.key"
publish_after_s = 0.2

[fleet.keys]
site = "{site}"

[streams.belt]
source = "topic"
format = "json"
"""

AGGREGATOR = """
[mqtt]
host = "127.0.0.1"
port = {port}

[aggregate]
name = "site"
fleet = "hall"
children = ["north"]
key = "site.key"
publish_after_s = 0.0

[aggregate.keys]
north = "{north}"
"""


@pytest.fixture
def started() -> list[Popen[str]]:
    """The processes: of the member, and of the aggregator."""
    return []


@pytest.fixture
def place(tmp_path: Path, started: list[Popen[str]]) -> Iterator[tuple[Path, Path]]:
    """The homes of a member with facts and of an aggregator, with one geometry, and their
    processes."""
    north, site = new_home(tmp_path / "north"), new_home(tmp_path / "site")
    keys = {name: make_key(tmp_path / name / f"{name}.key") for name in ("north", "site")}
    with Home(north) as home:
        home.feed(Enrol(many("fact-", 32)))
        home.feed(FitGeometry())
        geometry = home.store.geometry()
    assert geometry is not None
    with Home(site) as home:
        home.store.apply(StoreGeometry(geometry))
    with ExitStack() as running:
        broker = running.enter_context(Mosquitto(tmp_path / "broker"))
        for folder, text in ((north, MEMBER), (site, AGGREGATOR)):
            path = folder / "auricle.toml"
            made = text.format(port=broker.port, **keys)
            path.write_text(path.read_text("utf-8") + made, "utf-8")
        for words in (("run", "--home", north), ("fleet", "aggregate", "--home", site)):
            process = spawn(*words)
            started.append(process)
            running.callback(process.wait, 20)
            running.callback(process.terminate)
        yield north, site


def holds(site: Path, samples: int) -> bool:
    """Whether the aggregate has so many facts."""
    found = describe_aggregate(site)
    return found is not None and found.samples == samples


def receipt_of(home: Path) -> dict[str, Any]:
    """The newest receipt of a home with a daemon."""
    return dict(ask(home, "receipts", f"r{time.monotonic_ns()}")["receipts"][0])


def test_a_receipt_says_when_an_aggregate_dropped_the_sums(place: tuple[Path, Path]):
    """After a forget request the aggregate loses the withdrawn cohort; the receipt names it, and
    in time says when."""
    north, site = place
    until(lambda: holds(site, 32), "the first sums")
    until(lambda: ask(north, "fleet", f"v{time.monotonic_ns()}")["member"]["above"], "a report")
    before_ns = time.time_ns()
    ask(north, "forget", "gone", select={"ids": ["fact-3"]})
    until(lambda: holds(site, 24), "what remains")
    (order,) = until(lambda: receipt_of(north)["devices"], "the order")
    assert (order["device"], order["holds"], order["sent"]) == ("site", "contribution", True)
    (order,) = until(
        lambda: (
            found
            if (found := receipt_of(north)["devices"]) and found[0].get("dropped_at_ns")
            else None
        ),
        "the time",
    )
    assert before_ns < order["dropped_at_ns"] < time.time_ns()

    shown = run("fleet", "status", "--home", site, "--json")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["aggregate"]["states"] == {"summed": 1}
    dropped = run("fleet", "drop", "north", "--home", site)
    assert dropped.exit_code == 0, dropped.output
    until(lambda: holds(site, 0), "the drop")
    told = until(
        lambda: ask(north, "fleet", f"v{time.monotonic_ns()}")["member"]["refused"], "the reason"
    )
    assert "dropped" in told


def test_another_geometry_is_noticed(place: tuple[Path, Path]):
    """Without a signal: sums of another geometry go; back under the first one, those that the
    broker retains count again."""
    _, site = place
    until(lambda: holds(site, 32), "the first sums")
    with Home(site) as home:
        shared = home.store.geometry()
        home.feed(Enrol(many("other-", 40, 500)))
        home.feed(FitGeometry())
    assert shared is not None
    until(lambda: holds(site, 0), "the aggregator to notice it")
    with Home(site) as home:
        home.store.apply(StoreGeometry(shared))
    until(lambda: holds(site, 32), "the retained sums")


def test_sighup_reads_the_settings_again(place: tuple[Path, Path], started: list[Popen[str]]):
    """Settings that cannot be read are left alone; those that can count, also for what the broker
    retains: it comes again."""
    north, site = place
    until(lambda: holds(site, 32), "the first sums")
    path, process = site / "auricle.toml", started[1]
    good = path.read_text("utf-8")
    strict = good.replace("publish_after_s = 0.0", "publish_after_s = 0.0\nfacts_per_concept = 1")
    for text in (good + "nonsense", strict):
        path.write_text(text, "utf-8")
        process.send_signal(signal.SIGHUP)
        time.sleep(3.0)
        assert process.poll() is None
    assert holds(site, 32)
    ask(north, "forget", "gone", select={"ids": ["fact-3"]})
    until(
        lambda: (found := describe_aggregate(site)) and not found.samples and found.refusals,
        "the refusal",
    )
    path.write_text(good, "utf-8")
    process.send_signal(signal.SIGHUP)
    until(lambda: holds(site, 24), "what remains")
