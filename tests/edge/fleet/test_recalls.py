"""A forgotten fact ends what it has shaped on other devices: each is named, and each is ordered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge.core.events import Enrol
from edge.fleet.orders import HOLDS_HEAD, RECALL_HEAD, Holding, HoldsReport, Recalled, RecallOrder
from edge.home.home import Home
from edge.mqtt.packets import InboundMessage
from edge.mqtt.topics import TopicAddress
from edge.signing.keys import load_key, make_key
from edge.signing.signed_file import sign_file
from edge.storage.publications import BundleVersion, HeldBundle
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.edge.commands.contexts import Office
from tests.edge.fleet.test_member import Mouth, Place, many
from tests.edge.fleet.test_two_daemons import DEVICES, START_S, ask, is_online, settings_of, until
from tests.homes import new_home, run, spawn

BUNDLES = '\n[bundles]\ntrial_s = 1000000\n\n[bundles.keys]\nmaker = "{key}"\n'


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Path]:
    """Two daemons in a fleet; the north has facts, and the south trusts its bundles."""
    keys = {}
    maker = make_key(tmp_path / "maker.key")
    for device in DEVICES:
        folder = new_home(tmp_path / device)
        keys[device] = make_key(folder / f"{device}.key")
    with Home(tmp_path / "north") as home:
        home.feed(Enrol(many("fact-", 32)))
    with ExitStack() as running:
        broker = running.enter_context(Mosquitto(tmp_path / "broker"))
        for device, other in (DEVICES, DEVICES[::-1]):
            path = tmp_path / device / "auricle.toml"
            text = path.read_text("utf-8") + settings_of(device, other, broker.port, keys)
            path.write_text(text + BUNDLES.format(key=maker), "utf-8")
            process = spawn("run", "--home", tmp_path / device)
            running.callback(process.wait, 10)
            running.callback(process.terminate)
        seat = running.enter_context(seated(quick(broker.port), "watcher")).online()
        seat.broker.subscribe(["auricle/v1/+/status"])
        seat.until(lambda: all(is_online(seat, device) for device in DEVICES), START_S)
        yield tmp_path


def imported(home: Path) -> Any:
    """The bundles that a home lists."""
    result = run("bundle", "list", "--home", home, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@needs_mosquitto
def test_a_forget_names_the_other_devices_and_each_carries_its_order_out(fleet: Path):
    """While both daemons run: the receipt names the device that adopted the sums and imported the
    bundle, and whoever else may have the file; the other device removes the bundle and its file."""
    north, south = (fleet / device for device in DEVICES)
    ask(north, "status", "s1")
    file = fleet / "hall.bundle"
    key = ("--key", fleet / "maker.key", "--counter", "7")
    made = run("bundle", "export", file, *key, "--home", north)
    assert made.exit_code == 0, made.output
    taken = run("bundle", "import", file, "--home", south)
    assert taken.exit_code == 0, taken.output
    assert run("bundle", "confirm", "--home", south).exit_code == 0
    assert [one["counter"] for one in imported(south)] == [7]

    def reported() -> bool:
        with Home(north, writable=False) as home:
            held = home.store.publications.holders()
        return {one.holds for one in held} == {"contribution", "bundle"}

    until(reported, "the report of the south")
    receipt = ask(north, "forget", "f1", select={"ids": ["fact-3"]})
    rest = "any other device that imported bundle 7 of maker"
    assert [(one["device"], one["holds"], one["sent"]) for one in receipt["devices"]] == [
        ("south", "contribution", True),
        ("south", "bundle", True),
        (rest, "bundle", False),
    ]
    assert len({one["order_id"] for one in receipt["devices"]}) == 1
    assert "fact-3" not in receipt["devices"][0]["order_id"]
    until(lambda: not imported(south), "the bundle to be removed")
    until(lambda: not (south / "bundles/hall.bundle").exists(), "the file to be removed")
    with Home(north, writable=False) as home:
        until(lambda: home.store.receipt_count() == 1, "the receipt")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home with some facts, in a fleet with the device b."""
    office = Office(tmp_path)
    office.home.feed(Enrol(many("f", 16)))
    made = Place(office, Mouth())
    yield made
    office.home.close()


def test_reports_and_orders_need_the_signature_of_their_device(place: Place, tmp_path: Path):
    """With keys, an unsigned report, one under another device's key and one on another device's
    topic change nothing; a signed one counts, and a later one replaces it."""
    public = {name: make_key(tmp_path / f"{name}.key") for name in ("a", "b")}
    place.join(keys={"b": public["b"]})
    signer = load_key(tmp_path / "b.key")
    held = Holding(maker="a", holds="contribution", counter=5)
    other = Holding(maker="c", holds="contribution", counter=6)
    report = HoldsReport(device="b", held=(held, other))
    for raw in (
        sign_file(HOLDS_HEAD, report, b"", None),
        sign_file(HOLDS_HEAD, report, b"", load_key(tmp_path / "a.key")),
        sign_file(HOLDS_HEAD, HoldsReport(device="x", held=(held,)), b"", signer),
        b"{",
    ):
        bring(place, "holds", raw)
        assert place.office.home.store.publications.holders() == []
    bring(place, "holds", sign_file(HOLDS_HEAD, report, b"", signer))
    expected = HeldBundle("b", "contribution", BundleVersion("-", 5))
    assert place.office.home.store.publications.holders() == [expected]
    bring(place, "holds", sign_file(HOLDS_HEAD, HoldsReport(device="b"), b"", signer))
    assert place.office.home.store.publications.holders() == []


def bring(place: Place, purpose: Any, raw: bytes, device: str = "b") -> None:
    """Bring a report or an order of a device."""
    arrival = InboundMessage(topic="t", payload=raw, retained=True, ticket=3)
    assert place.member.receive(arrival, TopicAddress(purpose, device, "f")) is None
    place.member.maintain()


def test_only_the_device_that_exported_a_bundle_recalls_it(place: Place):
    """An order of another device, for another counter, or of a device that is not listed, is not
    carried out; that of the maker is, once."""
    place.join(devices=("b", "c"))
    home = place.office.home
    trial = ("one", "maker", 3, "b")
    with home.store._transaction("for the test") as db:  # noqa: SLF001 - as an import leaves it
        db.execute(
            "INSERT INTO imported_bundles (name, publisher, counter, device, revision)"
            " VALUES (?, ?, ?, ?, 0)",
            trial,
        )

    def order(device: str, counter: int) -> bytes:
        bundles = (Recalled(order_id="o", publisher="maker", counter=counter),)
        return sign_file(RECALL_HEAD, RecallOrder(device=device, bundles=bundles), b"", None)

    bring(place, "recall", order("c", 3), "c")
    bring(place, "recall", order("d", 3), "d")
    bring(place, "recall", order("b", 2))
    bring(place, "recall", b"auricle-recall-1\nrubbish")
    assert len(home.store.trials.imported()) == 1
    bring(place, "recall", order("b", 3))
    assert home.store.trials.imported() == []
    ((report, *_),) = place.office.context.published
    assert (report.bundle, report.state) == ("one", "removed")
    assert report.reason == "b has recalled it, order o"
    bring(place, "recall", order("b", 3))
    assert len(place.office.context.published) == 1
