"""A member of a fleet: whom it listens to, and when it speaks."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from edge.config.commands import CommandSettings
from edge.config.fleet import FleetSettings
from edge.core.events import Enrol, ForgetRequest, Rejected
from edge.core.facts import Fact, Selector
from edge.fleet.applied import write_report
from edge.fleet.contribution_message import read_contribution, write_contribution
from edge.fleet.member import FleetMember, ReceivedContribution
from edge.home.home import Home
from edge.home.transfer import restore_home
from edge.mqtt.packets import InboundMessage
from edge.mqtt.topics import TopicAddress, Topics
from edge.signing.keys import load_key, make_key
from edge.storage.aggregate_file import AppliedRow
from edge.storage.bundle_trials import BundleTrial
from edge.storage.fleet_place import FleetPlace
from edge.storage.publications import LastRevision
from edge.storage.tables import put_meta
from tests.aggregates import as_sum
from tests.edge.commands.contexts import NOW, Office
from tests.homes import new_home
from tests.worlds import World, fact

GIFT = (
    World([fact(f"g{n}", "ab"[n % 2], "hall", n, seed=n) for n in range(16)])
    .runtime.contribute("b", 5)
    .contribution
)


@dataclass
class Mouth:
    """A broker that takes everything while it is online."""

    online: bool = True
    counters: Any = field(default_factory=lambda: SimpleNamespace(connected=1))
    published: list[tuple[str, bytes, bool]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def resubscribe(self, filters: Iterable[str]) -> None:
        """See `MqttClient`."""
        self.asked += filters

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """See `Broker`."""
        self.published.append((topic, payload, retain))
        return len(self.published)


@dataclass
class Place:
    """A member with all that it needs, and a clock to turn."""

    office: Office
    mouth: Mouth
    now_s: float = 0.0
    member: Any = None
    retained: dict[str, bytes] = field(default_factory=dict)

    def join(self, **changes: Any) -> FleetMember:
        """Make the member of a fleet."""
        usual: dict[str, Any] = {"name": "f", "devices": ("b",), "publish_after_s": 10.0}
        settings = FleetSettings(**(usual | changes))
        context, folder = self.office.context, self.office.home.folder
        link = (folder, Topics("a"), self.mouth)
        here = FleetPlace(
            fleet=settings.name,
            device="a",
            key=settings.key,
            broker="broker:1883",
            keys=settings.keys,
        )
        made = FleetMember(settings, here, context, *link, clock=lambda: self.now_s)
        self.member = made
        return made

    def bring(self, payload: bytes, device: str = "b") -> ReceivedContribution | None:
        """Bring a message on a device's topic, and let it be adopted."""
        arrival = InboundMessage(topic="t", payload=payload, retained=True, ticket=3)
        self.retained[device] = payload
        gift: ReceivedContribution | None = self.member.receive(
            arrival, TopicAddress("contribution", device, "f")
        )
        if gift is not None:
            self.member.adopt(gift)
        return gift

    def maintain(self, now_s: float) -> int:
        """Tend at a time, with a broker that sends what it retains again when asked; how often it
        has spoken so far."""
        self.now_s = now_s
        self.member.maintain()
        asked, self.mouth.asked = self.mouth.asked, []
        for topic in asked:
            device = topic.rpartition("/")[2]
            self.bring(self.retained[device], device)
        end = time.monotonic() + 20
        while self.member.deriving:
            assert time.monotonic() < end, "its sums are never done"
            time.sleep(0.002)
            self.member.maintain()
        return len(self.sums)

    @property
    def sums(self) -> list[tuple[str, bytes, bool]]:
        """The contributions published so far."""
        return [one for one in self.mouth.published if "/contribution/" in one[0]]


def many(name: str, count: int, first: int = 0) -> tuple[Fact, ...]:
    """Facts of two labels in turn, all different."""
    numbers = range(first, first + count)
    return tuple(fact(f"{name}{n}", "ab"[n % 2], at=n, seed=n) for n in numbers)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home with some facts, before it joins a fleet."""
    office = Office(tmp_path, CommandSettings())
    office.home.feed(Enrol(many("f", 16)))
    yield Place(office, Mouth())
    office.home.close()


def test_contributions_of_listed_devices_are_adopted(place: Place):
    """Contributions of other devices, and the device's own, are ignored."""
    place.join()
    raw = write_contribution(GIFT, None)
    for device in ("a", "c"):
        assert place.bring(raw, device) is None
    assert place.bring(raw) == ReceivedContribution("b", 3)
    assert place.office.home.runtime.knowledge.contributing == ("b",)


def test_an_invalid_contribution_is_refused_with_a_reason(place: Place):
    """Garbage, a contribution on another device's topic and a message above the limit are
    refused."""
    place.join(payload_bytes_max=4096)
    raw = write_contribution(replace(GIFT, device="c"), None)
    for payload, why in ((b"{", "does not begin"), (raw[:4000], "body"), (bytes(5000), "too many")):
        place.bring(payload)
        assert why in reason(place)
    place.join()
    place.bring(raw)
    assert "the manifest names the device c" in reason(place)
    assert place.office.home.runtime.knowledge.contributing == ()


def reason(place: Place) -> str:
    """The reported reason of a refusal."""
    ((result, *_),) = place.office.context.published
    place.office.context.published.clear()
    assert isinstance(result, Rejected)
    return result.reason


def test_with_keys_only_signed_contributions_are_adopted(place: Place, tmp_path: Path):
    """A contribution must be signed by its device's key, and the own one is signed."""
    folder = place.office.home.folder
    public = {name: make_key(tmp_path / f"{name}.key") for name in ("a", "b")}
    place.join(keys={"b": public["b"]}, key=str((tmp_path / "a.key").relative_to(folder)))
    place.bring(write_contribution(GIFT, None))
    assert "not signed" in reason(place)
    place.bring(write_contribution(GIFT, load_key(tmp_path / "a.key")))
    assert "signature is not that of b" in reason(place)
    place.bring(write_contribution(GIFT, load_key(tmp_path / "b.key")))
    assert place.office.home.runtime.knowledge.contributing == ("b",)
    place.maintain(0.0)
    key = load_key(tmp_path / "a.key").public_key()
    assert read_contribution(place.sums[0][1], {"a": key}).samples == 16


def test_contributions_wait_for_a_home_that_is_not_open(place: Place):
    """The newest contribution of a device is adopted as soon as the home is open."""
    place.join()
    slot = place.office.context.homes[""]
    home, slot.home = slot.home, None
    arrival = InboundMessage(
        topic="t", payload=write_contribution(GIFT, None), retained=True, ticket=3
    )
    assert place.member.receive(arrival, TopicAddress("contribution", "b", "f")) is not None
    with pytest.raises(AssertionError):
        place.member.adopt(ReceivedContribution("b"))
    slot.home = home
    place.maintain(1.0)
    assert place.office.home.runtime.knowledge.contributing == ("b",)


def test_it_publishes_at_start_when_facts_rest_and_after_a_forget(place: Place):
    """The contribution is retained on the device's topic; an unchanged ledger is not derived again,
    and fewer than eight new facts of a concept are not published."""
    place.join()
    home = place.office.home
    assert place.maintain(0.0) == 1
    assert place.sums[0][0] == "auricle/v1/fleet/f/contribution/a"
    assert place.sums[0][2]
    assert place.maintain(50.0) == 1
    home.feed(Enrol(many("few", 14, 100)))
    assert place.maintain(51.0) == place.maintain(60.0) == 1
    assert place.maintain(61.1) == 1
    home.feed(Enrol(many("more", 2, 200)))
    assert place.maintain(62.0) == place.maintain(71.0) == 1
    assert place.maintain(72.1) == 2
    home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f3"}))))
    assert place.maintain(72.2) == 4
    found = [read_contribution(raw, {}) for _, raw, _ in place.sums]
    assert [one.revision - NOW // 10**9 for one in found] == [0, 1, 2, 3]
    assert [one.samples for one in found] == [16, 32, 0, 24]


def test_a_forget_withdraws_before_anything_is_derived(place: Place):
    """The empty contribution leaves with the next call, also in a process that starts after the
    forget; what was published keeps its revision where nothing was forgotten."""
    place.join()
    place.maintain(0.0)
    place.office.home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f3"}))))
    place.office.crash()
    place.join()
    place.member.maintain()
    assert place.member.deriving
    found = [read_contribution(raw, {}) for _, raw, _ in place.sums]
    assert [one.samples for one in found] == [16, 0]
    assert place.maintain(1.0) == 3
    place.office.crash()
    place.join()
    assert place.maintain(2.0) == 4
    found = [read_contribution(raw, {}) for _, raw, _ in place.sums]
    assert [one.samples for one in found[2:]] == [8, 8]
    assert found[2].revision == found[3].revision


def test_a_forget_during_derivation_is_not_published(place: Place):
    """The thread closes the file, so that no forgotten fact stays in its log, and a new derivation
    starts at once in the background."""
    place.join()
    home = place.office.home
    for number in range(7):
        place.member.maintain()
        assert place.member.deriving
        chosen = Selector(ids=frozenset({f"f{2 * number}"}))
        home.feed(ForgetRequest(request_id=f"r{number}", selector=chosen, requested_at_ns=number))
        assert not home.store.unscrubbed
    assert place.maintain(0.0) == 1
    assert read_contribution(place.sums[0][1], {}).samples == 8


def test_facts_that_keep_changing_are_published_after_a_limit(place: Place):
    """A contribution is published after ten times the delay."""
    place.join()
    place.maintain(0.0)
    spoken = []
    for second in range(1, 106):
        place.office.home.feed(Enrol((fact(f"x{second}", at=second, seed=1000 + second),)))
        spoken.append(place.maintain(float(second)))
    assert spoken.index(2) == 100


def test_it_publishes_on_each_connection(place: Place):
    """The retained contribution is published again, whatever the outcome of the last."""
    place.join()
    place.mouth.online = False
    assert place.maintain(0.0) == 0
    place.mouth.online = True
    assert place.maintain(1.0) == place.maintain(2.0) == 1
    place.mouth.counters.connected = 2
    assert place.maintain(3.0) == 2
    assert place.sums[0] == place.sums[1]


def test_a_revision_outlives_the_process(place: Place):
    """The same contribution keeps its revision across restarts; a new one gets a higher one, even
    if the clock was set back."""
    record = place.office.home.store.publications
    assert record.revision("x", 7 * 10**9, 0) == 7
    assert record.revision("x", 9 * 10**9, 1) == 7
    assert record.revision("y", 0, 1) == 8
    place.office.crash()
    assert place.office.home.store.publications.revision("y", 0, 1) == 8


def test_a_device_that_moves_withdraws_its_sums_where_it_was(place: Place):
    """It joins another fleet: the sums of before are taken back there, on each connection, also
    after a restart; and a receipt still names the aggregates that held them."""
    place.join(name="north")
    place.maintain(0.0)
    home = place.office.home
    own = read_contribution(place.sums[-1][1], {})
    report = write_report("n", "a", (AppliedRow("a", "n", own.revision, NOW),), "", None)
    arrival = InboundMessage(topic="t", payload=report, retained=True, ticket=4)
    place.member.receive(arrival, TopicAddress("applied", "a", "north"))
    place.maintain(1.0)
    for name in ("south", "south"):
        place.mouth.published.clear()
        place.join(name=name)
        place.maintain(2.0)
        (old, raw, retained), (new, again, _) = place.sums
        assert (old.split("/")[3], new.split("/")[3], retained) == ("north", "south", True)
        gone, here = read_contribution(raw, {}), read_contribution(again, {})
        assert (gone.device, gone.samples) == ("a", 0)
        assert here.samples == own.samples
        assert own.revision < gone.revision < here.revision
    assert [one.device for one in home.store.publications.orders("r", ["f1"])] == ["n"]
    place.mouth.published.clear()
    place.join(name="north")
    place.maintain(3.0)
    assert [topic.split("/")[3] for topic, _, _ in place.sums] == ["south", "north"]
    assert [one.fleet for one in home.store.publications.left()] == ["south"]


def test_another_home_of_the_same_name_is_seen(place: Place):
    """The aggregator holds a revision that this device has never published."""
    place.join()
    place.maintain(0.0)
    own = read_contribution(place.sums[-1][1], {}).revision
    for revision, text in ((own, ""), (own + 5, f"revision {own + 5} of a, newer than {own}")):
        report = write_report("n", "a", (AppliedRow("a", "n", revision, NOW),), "", None)
        arrival = InboundMessage(topic="t", payload=report, retained=True, ticket=4)
        place.member.receive(arrival, TopicAddress("applied", "a", "f"))
        place.maintain(1.0)
        assert text in place.office.home.store.publications.above().refused


def test_the_record_of_an_earlier_release_is_read(place: Place):
    """It had no number of forget requests; the revision goes on from there."""
    store = place.office.home.store
    with store._transaction("for the test") as db:  # noqa: SLF001 - as layout 11 left it
        put_meta(db, "contributed", b'[7,"x"]')
    assert store.publications.last() == LastRevision(7, "x", 0)
    assert store.publications.revision("y", 0, 0) == 8


def test_a_restored_backup_publishes_no_part_of_what_was_published_since(place: Place):
    """The record of what was published outlives `auricle restore`: the facts of a cohort that ended
    stay withheld, and the revision rises."""
    office = place.office
    backup = office.home.folder / "backup.db"
    office.home.store.backup(backup)
    place.join()
    place.maintain(0.0)
    before = office.home.store.publications.published()
    last = office.home.store.publications.last()
    office.home.close()
    restore_home(office.home.folder, backup)
    with Home(office.home.folder, writable=False) as home:
        assert home.store.publications.published() == before
        assert home.store.publications.last() == last


def test_settings_need_keys_for_all_devices_or_none():
    """A missing key is refused, as are more devices than the limit."""
    key = "ed25519:" + "A" * 43 + "="
    with pytest.raises(msgspec.ValidationError, match="c has none"):
        msgspec.convert({"name": "f", "devices": ["b", "c"], "keys": {"b": key}}, FleetSettings)
    with pytest.raises(msgspec.ValidationError, match="length <= 64"):
        msgspec.convert({"name": "f", "devices": [str(n) for n in range(65)]}, FleetSettings)


def test_a_member_keeps_the_geometry_that_it_shares(tmp_path: Path):
    """Learning and forgetting do not change the geometry, and the receipt reports the
    consequence."""
    path = new_home(tmp_path) / "auricle.toml"
    path.write_text(path.read_text("utf-8") + '\n[fleet]\nname = "f"\n', "utf-8")
    office = Office(tmp_path)
    office.home.feed(Enrol(tuple(fact(f"f{n}", "ab"[n % 2], at=n) for n in range(8))))
    office.home.refit_geometry()
    shared = office.home.runtime.knowledge.geometry.fingerprint
    office.home.feed(Enrol(tuple(fact(f"n{n}", "ab"[n % 2], at=n) for n in range(8))))
    office.home.refit_geometry()
    result = office.ask("forget", select={"ids": ["f1"]})
    assert any("frozen geometry" in one for one in result.body["not_covered"])
    assert office.home.runtime.knowledge.geometry.fingerprint == shared
    office.ask("forget", "c2", select={"ids": ["f2"]}, refit_geometry=True)
    assert office.home.runtime.knowledge.geometry.fingerprint != shared
    office.home.close()


def adopted(place: Place) -> tuple[str, ...]:
    """The devices whose sums are in the knowledge."""
    return place.office.home.runtime.knowledge.contributing


SUM = as_sum(GIFT, [f"other-{number}" for number in range(9)])
"""Of devices that this one knows nothing of."""


def test_a_sum_that_names_this_device_is_not_used(place: Place):
    """The numbers of its devices are in it, so no report is needed; a later one without it is."""
    place.join()
    place.maintain(0.0)
    place.bring(write_contribution(as_sum(GIFT, ["x", "a"]), None))
    assert adopted(place) == ()
    assert "twice" in str(place.office.context.published[0])
    place.bring(write_contribution(replace(SUM, revision=GIFT.revision + 1), None))
    assert adopted(place) == ("b",)


def test_an_adopted_sum_of_devices_survives_a_restart(place: Place):
    """It is stored with the number of its devices; where an earlier layout did not, it is read from
    the sums."""
    place.join()
    place.bring(write_contribution(SUM, None))
    home, folder = place.office.home, place.office.home.folder
    digest = home.runtime.digest()
    for old in (False, True):
        home.close()
        if old:
            with sqlite3.connect(folder / "knowledge.db") as db:
                db.execute("UPDATE contributions SET devices = 0")
        home = place.office.home = Home(folder)
        assert home.store.contributions()["b"].devices == 9
        assert adopted(place) == ("b",)
        assert home.runtime.digest() == digest


def test_sums_of_a_bundle_give_way_to_the_fleets(place: Place):
    """A bundle brought the sums of a device that is also in the sum of a listed one: the listed one
    counts.  One that cannot be used takes the place of nothing."""
    place.join(devices=("root",))
    bundled = replace(GIFT, device="maker")
    place.office.home.feed(bundled)
    assert adopted(place) == ("maker",)
    total = as_sum(GIFT, ["maker", "y"], "root")
    place.bring(write_contribution(replace(total, card="another"), None), "root")
    assert adopted(place) == ("maker",)
    place.bring(
        write_contribution(replace(total, revision=total.revision + 1), None),
        "root",
    )
    assert adopted(place) == ("root",)
    place.office.home.feed(bundled)
    assert adopted(place) == ("root",)


def test_a_sum_that_clashed_is_adopted_once_the_other_has_changed(place: Place):
    """At the revision that was refused, without a new message; and again after a restart."""
    place.join(devices=("north", "south"))
    place.maintain(0.0)
    north = as_sum(GIFT, ["x", "y"], "north")
    south = write_contribution(as_sum(GIFT, ["y", "z"], "south"), None)
    place.bring(write_contribution(north, None), "north")
    place.bring(south, "south")
    for now_s in (1.0, 2.0):
        place.maintain(now_s)
        assert adopted(place) == ("north",)
    refusals = len(place.office.home.store.publications.refusals())
    place.maintain(3.0)
    assert len(place.office.home.store.publications.refusals()) == refusals
    gone = write_contribution(replace(north.without_sums, revision=north.revision + 1), None)
    place.bring(gone, "north")
    place.maintain(4.0)
    assert adopted(place) == ("south",)
    place.join(devices=("north", "south"))
    place.bring(south, "south")
    place.maintain(5.0)
    assert adopted(place) == ("south",)
    assert not place.office.home.store.publications.refusals()


def test_a_sum_that_came_before_the_geometry_is_adopted_with_it(place: Place):
    """The fleet's geometry arrives in a bundle after the sum, which the broker sends only once; and
    a sum of another geometry does not remain out when a bundle on trial is reverted."""
    home = place.office.home
    shared = home.runtime.knowledge.geometry
    home.feed(Enrol(many("e", 24, 40)))
    place.join()
    home.refit_geometry()
    assert home.runtime.knowledge.geometry.fingerprint != shared.fingerprint
    place.bring(write_contribution(SUM, None))
    place.maintain(0.0)
    assert adopted(place) == ()
    assert "geometry" in home.store.publications.refusals()[0].reason
    trial = BundleTrial(bundle="x", publisher="maker", counter=1, started_at_ns=NOW)
    home.store.trials.begin(trial, shared.pack(), None, ())
    home.reopen()
    place.maintain(1.0)
    assert adopted(place) == ("b",)
    assert not home.store.publications.refusals()
    home.store.trials.revert()
    home.reopen()
    place.maintain(2.0)
    assert adopted(place) == ()
    place.bring(write_contribution(replace(SUM, revision=SUM.revision + 1), None))
    place.maintain(3.0)
    home.store.trials.begin(replace(trial, counter=2), shared.pack(), None, ())
    home.reopen()
    place.maintain(4.0)
    assert adopted(place) == ("b",)


def test_a_sum_that_a_report_calls_the_own_is_not_used(place: Place):
    """Adopted before the report says that it holds them, it goes; so does every later revision,
    until the own sums are withdrawn."""
    place.join()
    place.maintain(0.0)
    assert place.bring(write_contribution(SUM, None)) is not None
    assert adopted(place) == ("b",)
    own = read_contribution(place.sums[-1][1], {})
    assert own.samples
    rows = (AppliedRow("a", "site", own.revision, NOW), AppliedRow("a", "b", own.revision, NOW))
    report = write_report("b", "a", rows, "", None)
    arrival = InboundMessage(topic="t", payload=report, retained=True, ticket=4)
    place.member.receive(arrival, TopicAddress("applied", "a", "f"))
    place.maintain(1.0)
    assert adopted(place) == ()
    assert "twice" in place.office.home.store.publications.refusals()[0].reason
    place.office.context.published.clear()
    place.bring(write_contribution(replace(SUM, revision=20), None))
    assert "twice" in str(place.office.context.published[0])
    assert adopted(place) == ()
    refused = write_report("b", "a", rows, "an operator has dropped this device", None)
    arrival = InboundMessage(topic="t", payload=refused, retained=True, ticket=5)
    place.member.receive(arrival, TopicAddress("applied", "a", "f"))
    place.maintain(2.0)
    place.bring(write_contribution(replace(SUM, revision=21), None))
    assert adopted(place) == ("b",)
