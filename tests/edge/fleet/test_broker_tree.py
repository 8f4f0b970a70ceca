"""Three levels of aggregators over bridged brokers: devices, sites, a region, a root."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.config.aggregate import AggregateSettings
from edge.core.knowledge.contributions import Contribution
from edge.fleet.aggregator_service import AggregatorService
from edge.fleet.applied import AppliedReport, read_report
from edge.fleet.contribution_message import read_contribution, write_contribution
from edge.mqtt.client.mqtt_client import MqttClient
from edge.mqtt.presences import StatusPresence
from edge.storage.aggregate_file import AggregateFile, leave_request
from tests.aggregates import PLACE, digest_of, empty, raw, sent
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated

pytestmark = needs_mosquitto

WAIT_S = 30.0
DEVICES = 3
SITES = ("site-1", "site-2")


def bridged(above: Mosquitto, fleet: str) -> tuple[str, ...]:
    """Lines of a broker that passes contributions up and reports down."""
    return (
        "allow_anonymous true",
        "connection up",
        f"address 127.0.0.1:{above.port}",
        "bridge_protocol_version mqttv50",
        "restart_timeout 1",
        "cleansession false",
        f"topic auricle/v1/fleet/{fleet}/contribution/+ out 1",
        f"topic auricle/v1/fleet/{fleet}/applied/+ in 1",
    )


@dataclass
class Node:
    """An aggregator on a broker."""

    service: AggregatorService
    client: MqttClient
    path: Path

    def step(self) -> None:
        """Work for a moment."""
        self.service.step(self.client, 0.02)


class Tree:
    """Brokers, aggregators, and a seat for the devices of each site."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder, self.running = folder, running
        root = running.enter_context(Mosquitto(folder / "root"))
        region = running.enter_context(Mosquitto(folder / "region", *bridged(root, "root")))
        self.sites = {
            name: running.enter_context(Mosquitto(folder / name, *bridged(region, "region")))
            for name in SITES
        }
        self.root = self.node("root", "root", "", root.port)
        self.region = self.node("region", "region", "root", region.port)
        self.nodes = [self.root, self.region]
        self.seats: dict[str, Seat] = {}
        for name, broker in self.sites.items():
            self.nodes.append(self.node(name, name, "region", broker.port))
            seat = running.enter_context(seated(quick(broker.port), f"devices-{name}")).online()
            seat.broker.subscribe([f"auricle/v1/fleet/{name}/applied/+"])
            self.seats[name] = seat
        self.watcher = running.enter_context(seated(quick(root.port), "watcher")).online()
        self.watcher.broker.subscribe(["auricle/v1/fleet/root/contribution/root"])

    def node(self, name: str, fleet: str, parent: str, port: int) -> Node:
        """Start an aggregator."""
        settings = AggregateSettings(
            name=name,
            fleet=fleet,
            parent=parent,
            publish_after_s=0.0,
            devices_max=1_000,
            messages_per_hour=1_000_000.0,
        )
        path = self.folder / f"{name}.db"
        file = self.running.enter_context(AggregateFile(path, writable=True))
        service = AggregatorService(settings, self.folder, file, PLACE)
        client = MqttClient(
            quick(port), name, lambda one: service.receive(one, client), StatusPresence(name, "1")
        )
        client.subscribe(service.filters)
        client.start()
        self.running.callback(client.close)
        self.running.callback(client.stop, 1.0)
        return Node(service, client, path)

    def say(self, site: str, message: tuple[str, bytes]) -> None:
        """Publish a device's contribution at its site."""
        device, payload = message
        self.seats[site].say(f"auricle/v1/fleet/{site}/contribution/{device}", payload, retain=True)

    def until(self, done: object) -> None:
        """Let every part of the tree work until something holds."""
        end = time.monotonic() + WAIT_S
        while not done():  # type: ignore[operator]
            assert time.monotonic() < end, "waited in vain"
            for node in self.nodes:
                node.step()
            for seat in (*self.seats.values(), self.watcher):
                seat.broker.pump(0.01)

    def published(self) -> Contribution | None:
        """The newest contribution of the root."""
        found = [one.payload for one in self.watcher.arrivals]
        return read_contribution(found[-1], {}) if found else None

    def root_sums(self) -> str:
        """The digest of the root's sums."""
        return self.root.service.aggregator.sums.digest()

    def report(self, site: str, device: str) -> AppliedReport | None:
        """The newest report for a device."""
        topic = f"auricle/v1/fleet/{site}/applied/{device}"
        found = [one.payload for one in self.seats[site].arrivals if one.topic == topic]
        return read_report(found[-1], device, {}) if found else None

    def levels(self, site: str, device: str, revision: int) -> set[str]:
        """The aggregates that have taken in a revision of a device."""
        report = self.report(site, device)
        rows = report.applied if report else ()
        return {one.aggregate for one in rows if one.revision >= revision}


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A tree that runs."""
    with ExitStack() as running:
        yield Tree(tmp_path, running)


def devices_of(site: str) -> list[Contribution]:
    """The contributions of a site's devices."""
    return [sent(f"{site}-{n}", labels="ab" if n % 2 else "bc") for n in range(DEVICES)]


def test_what_devices_publish_is_summed_at_the_root_and_withdrawn_from_every_level(tree: Tree):
    """The root's sum is that of all devices; a withdrawal reaches every level, and the device is
    told when; a child that is dropped leaves every sum; a broker that dies changes nothing."""
    every = {site: devices_of(site) for site in SITES}
    for site, parts in every.items():
        for one in parts:
            tree.say(site, raw(one))
            tree.say(site, raw(one))  # doubled
    flat = [one for parts in every.values() for one in parts]
    tree.until(lambda: tree.root_sums() == digest_of(*flat))
    tree.until(lambda: (made := tree.published()) and made.devices == len(flat))
    made = tree.published()
    assert made is not None
    assert made.samples == sum(one.samples for one in flat)

    gone, *rest = flat
    site, levels = SITES[0], {"site-1", "region", "root"}
    tree.until(lambda: tree.levels(site, gone.device, 1) == levels)
    asked_ns = time.time_ns()
    tree.say(site, empty(gone.device, 2))
    tree.until(lambda: tree.root_sums() == digest_of(*rest))
    tree.until(lambda: tree.levels(site, gone.device, 2) == levels)
    report = tree.report(site, gone.device)
    assert report is not None
    times = {one.aggregate: one.at_ns for one in report.applied}
    assert asked_ns <= times["site-1"] <= times["region"] <= times["root"] <= time.time_ns()

    tree.say(site, raw(gone))  # an old message comes back
    bad = rest.pop()
    leave_request(tree.nodes[-1].path, "drop", bad.device, time.time_ns())
    tree.until(lambda: tree.root_sums() == digest_of(*rest))

    tree.sites[site].kill()
    late = sent("late", labels="bc")
    tree.say(SITES[1], raw(late))
    tree.until(lambda: tree.root_sums() == digest_of(*rest, late))
    tree.sites[site].start()
    tree.until(lambda: tree.seats[site].broker.online)
    later = sent(f"{site}-1", revision=9, labels="abc")
    tree.say(site, (later.device, write_contribution(later, None)))
    kept = [one for one in rest if one.device != later.device]
    tree.until(lambda: tree.root_sums() == digest_of(*kept, late, later))


def test_what_is_refused_is_reported_to_the_device(tree: Tree):
    """A device with another card is told so, and contributes nothing."""
    site = SITES[0]
    tree.say(site, raw(sent("old"), card="0" * 64))
    tree.until(lambda: (found := tree.report(site, "old")) and "card" in found.refused)
    assert not tree.root.service.aggregator.sums.samples


def test_a_child_of_two_sites_counts_once_over_real_brokers(tree: Tree):
    """A device that publishes at both sites: the region refuses the second one's sum and tells it
    why; once the first site drops the device, the second one's sum counts by itself."""
    first, second = SITES
    one, shared, other = sent("one"), sent("shared"), sent("other", labels="bc")
    tree.say(first, raw(one))
    tree.say(first, raw(shared))
    tree.until(lambda: tree.root_sums() == digest_of(one, shared))
    tree.say(second, raw(shared))
    tree.say(second, raw(other))

    def refused() -> str:
        """Why the region refuses the second site."""
        return tree.region.service.aggregator.file.last_refusal(second)

    tree.until(lambda: f"in the sums of {first} as well" in refused())
    assert tree.root_sums() == digest_of(one, shared)
    at = next(node for node in tree.nodes if node.path.name == f"{first}.db")
    leave_request(at.path, "drop", "shared", time.time_ns())
    tree.until(lambda: tree.root_sums() == digest_of(one, shared, other))
    tree.until(lambda: (made := tree.published()) and made.devices == 3)
