"""A device takes its sums out of fleets that it has left, and waits for the aggregators there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.config.commands import CommandSettings
from edge.core.events import Enrol
from edge.fleet.applied import write_report
from edge.fleet.contribution_message import read_contribution
from edge.fleet.fleet_view import describe_fleet
from edge.fleet.left_fleets import LeftFleets
from edge.mqtt.packets import InboundMessage
from edge.mqtt.topics import TopicAddress, Topics
from edge.signing.keys import load_key, make_key
from edge.storage.aggregate_file import AppliedRow
from edge.storage.fleet_place import FleetPlace
from edge.storage.publications import LEFT_MAX
from edge.storage.tables import put_meta
from tests.edge.commands.contexts import NOW, Office
from tests.edge.fleet.test_member import Mouth, Place, many


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home with some facts, before it joins a fleet."""
    office = Office(tmp_path, CommandSettings())
    office.home.feed(Enrol(many("f", 16)))
    yield Place(office, Mouth())
    office.home.close()


def test_a_broker_that_refuses_the_withdrawal_has_not_got_it(place: Place):
    """Only its acknowledgement counts; the next connection tries again.  The status names another
    broker than that of before, and a key that an earlier release did not record."""
    place.join(name="north")
    place.maintain(0.0)
    home, context = place.office.home, place.office.context
    with home.store._transaction("for the test") as db:  # noqa: SLF001 - as an earlier release did
        put_meta(db, "fleet_joined", b'["north","a"]')
    link = (home.folder, Topics("a"), place.mouth)
    left = LeftFleets(None, context, *link, broker="other:1883")
    for connection, accepted in ((1, False), (2, True)):
        place.mouth.counters.connected = connection
        place.mouth.published.clear()
        left.maintain()
        left.maintain()
        ((topic, raw, retained),) = place.mouth.published
        assert (topic.rpartition("/contribution/")[2], retained) == ("a", True)
        assert read_contribution(raw, {}).samples == 0
        context.watched.popitem()[1](accepted)
        left.maintain()
        (found,) = home.store.publications.left()
        assert (bool(found.withdrawn_at_ns), found.withdrawn_by) == (
            accepted,
            "other:1883" * accepted,
        )
    (shown,) = describe_fleet(home).left
    assert shown.waiting == ""
    assert "no key was recorded" in shown.doubt
    with home.store._transaction("for the test") as db:  # noqa: SLF001 - as if recorded
        (withdrawn,) = home.store.publications.left()
        moved = msgspec.structs.replace(withdrawn, key="", broker="broker:1883")
        put_meta(db, "fleets_left", msgspec.json.encode((moved,)))
    (shown,) = describe_fleet(home).left
    assert "published to broker:1883" in shown.doubt


@pytest.mark.parametrize("broker", ["broker:1883", "other:1883"])
def test_a_receipt_says_whether_the_broker_with_the_sums_has_the_withdrawal(
    place: Place, broker: str
):
    """Another broker that has taken it may know nothing of that fleet.  The aggregators' reports
    are awaited, and an old revision, another child's or an unsigned report counts for nothing."""
    signs = make_key(place.office.home.folder / "n.key")
    place.join(name="north", devices=("n",), keys={"n": signs})
    place.maintain(0.0)
    home, context = place.office.home, place.office.context
    key = load_key(home.folder / "n.key")
    own = read_contribution(place.sums[-1][1], {}).revision
    topic = Topics("a").fleet_topic("north", "applied")

    def report(revision: int, *, child: str = "a", signed: bool = True) -> InboundMessage:
        rows = (AppliedRow(child, "n", revision, NOW),)
        raw = write_report("n", child, rows, "", key if signed else None)
        return InboundMessage(topic=topic, payload=raw, retained=True, ticket=4)

    place.member.receive(report(own), TopicAddress("applied", "a", "north"))
    place.maintain(1.0)
    left = LeftFleets(None, context, home.folder, Topics("a"), place.mouth, broker=broker)
    assert not left.receive(report(own))
    left.maintain()
    assert left.filters == [topic]
    context.watched.popitem()[1](True)
    left.maintain()
    (order,) = home.store.publications.orders("r", ["f1"])
    assert (order.device, order.sent) == ("n", broker == "broker:1883")
    (gone,) = home.store.publications.left()
    for wrong in (
        report(own),
        report(gone.revision, child="c"),
        report(gone.revision, signed=False),
    ):
        assert left.receive(wrong)
        left.maintain()
        assert left.filters == [topic]
    assert left.receive(report(gone.revision))
    left.maintain()
    assert left.filters == []
    (order,) = home.store.publications.orders("r", ["f1"])
    assert order.dropped_at_ns == NOW


def test_a_receipt_names_both_of_two_aggregators(place: Place):
    """Their reports come on one topic, where one takes the place of the other."""
    place.join(name="north")
    place.maintain(0.0)
    own = read_contribution(place.sums[-1][1], {}).revision
    for at, rows in enumerate((["site", "region"], ["spare"], ["site"])):
        held = [AppliedRow("a", one, own, NOW) for one in rows]
        raw = write_report(rows[0], "a", held, "", None)
        arrival = InboundMessage(topic="t", payload=raw, retained=True, ticket=4)
        place.member.receive(arrival, TopicAddress("applied", "a", "north"))
        place.maintain(1.0 + at)
    orders = place.office.home.store.publications.orders("r", ["f1"])
    assert sorted(one.device for one in orders) == ["region", "site", "spare"]


def test_a_withdrawal_that_waits_outlives_later_moves(place: Place):
    """Fleets whose brokers have the withdrawal are forgotten first, and those where nothing was
    published are not recorded."""
    publications, before = place.office.home.store.publications, None
    for number in range(LEFT_MAX + 6):
        here = FleetPlace(fleet=f"f{number}", device="a", broker="b")
        publications.join(here, NOW)
        if before not in (None, "f0"):
            publications.note_withdrawn((before, "a"), "b", NOW)
        before = here.fleet
        publications.revision(f"sums {number}", NOW, 0)
    left = [one.fleet for one in publications.left()]
    assert (len(left), left[0], left[-1]) == (LEFT_MAX, "f0", f"f{LEFT_MAX + 4}")
    for name in ("passing", "through"):
        publications.join(FleetPlace(fleet=name, device="a", broker="b"), NOW)
    assert [one.fleet for one in publications.left()][-1] == f"f{LEFT_MAX + 5}"
