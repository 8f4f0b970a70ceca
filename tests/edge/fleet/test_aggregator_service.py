"""An aggregator on a broker: what it acknowledges, queues and publishes, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edge.fleet.aggregator_service import AggregatorService
from edge.fleet.applied import Applied, AppliedReport, read_report, write_report
from edge.fleet.contribution_message import read_contribution, write_contribution
from edge.mqtt.packets import LOST, InboundMessage, PublishedMessage
from edge.storage.aggregate_file import AggregateFile, AppliedRow, leave_request
from tests.aggregates import (
    HOUR_NS,
    NOW_NS,
    PLACE,
    aggregating,
    digest_of,
    empty,
    raw,
    sent,
    settings,
)

A, B, A3 = sent("a"), sent("b"), sent("a", 3, seed=6)
UP = "auricle/v1/fleet/region/contribution/site"


@dataclass
class Wire:
    """A broker that takes what it is given.  quota: messages that it still takes."""

    online: bool = True
    quota: int = 1_000
    counters: Any = field(default_factory=lambda: SimpleNamespace(connected=1))
    published: list[tuple[str, bytes]] = field(default_factory=list)
    tickets: list[int] = field(default_factory=list)
    results: list[PublishedMessage] = field(default_factory=list)
    incoming: list[InboundMessage] = field(default_factory=list)
    deliver: Callable[[InboundMessage], None] | None = None

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Take a retained message."""
        assert retain
        if not self.quota:
            return None
        self.quota -= 1
        self.published.append((topic, payload))
        return len(self.published)

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Outcomes so far."""
        found, self.results = tuple(self.results), []
        return found

    def acknowledge(self, ticket: int) -> None:
        """Note an acknowledgement."""
        self.tickets.append(ticket)

    def subscribe(self, _filters: Any) -> None:
        """Take a subscription."""

    def pump(self, _wait_s: float) -> None:
        """Deliver what is incoming."""
        waiting, self.incoming = self.incoming, []
        for one in waiting:
            assert self.deliver is not None
            self.deliver(one)

    def last(self, topic: str) -> bytes:
        """The newest message on a topic."""
        return [payload for name, payload in self.published if name == topic][-1]


@dataclass
class Desk:
    """A service with its wire, and clocks to turn."""

    file: AggregateFile
    folder: Path
    now_s: float = 0.0
    now_ns: int = NOW_NS
    wire: Wire = field(default_factory=Wire)
    service: Any = None

    def open(self, **changes: Any) -> Desk:
        """Make the service."""
        usual = {"parent": "region", "publish_after_s": 10.0}
        self.service = AggregatorService(
            settings(**(usual | changes)),
            self.folder,
            self.file,
            PLACE,
            clock=lambda: self.now_s,
            now_ns=lambda: self.now_ns,
        )
        self.wire.deliver = lambda one: self.service.receive(one, self.wire)
        return self

    def bring(self, *messages: tuple[str, bytes]) -> None:
        """Bring messages of children, each with the next ticket, and let them be summed."""
        for device, payload in messages:
            topic = f"auricle/v1/fleet/hall/contribution/{device}"
            ticket = 100 + len(self.wire.tickets) + len(self.wire.incoming)
            self.wire.incoming.append(InboundMessage(topic=topic, payload=payload, ticket=ticket))
        self.service.step(self.wire)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk, without a service yet."""
    with AggregateFile(tmp_path / "a.db", writable=True) as file:
        yield Desk(file, tmp_path)


def test_the_sum_goes_up_after_a_rest_and_a_withdrawal_at_once(desk: Desk):
    """Changes are published together; what is withdrawn is not used a moment longer."""
    desk.open().bring(raw(A))
    first = read_contribution(desk.wire.last(UP), {})
    assert (first.samples, first.devices) == (16, 1)
    desk.bring(raw(B))
    assert read_contribution(desk.wire.last(UP), {}).revision == first.revision
    desk.now_s = 10.0
    desk.bring()
    assert read_contribution(desk.wire.last(UP), {}).samples == 32
    desk.bring(empty("b", 2))
    assert read_contribution(desk.wire.last(UP), {}).samples == 16


def test_what_a_device_of_a_site_withdraws_is_passed_on_at_once(desk: Desk):
    """It leaves the site's sum as a smaller sum: that one waits for no rate and no rest, and no
    byte of the sum before is in the file, its log, or the copy that a migration has left."""
    copy = desk.folder / "a.db.v1"
    desk.open(devices_max=9)
    with aggregating(desk.folder / "south.file", name="south") as site:

        def tell(message: tuple[str, bytes]) -> bytes:
            site.receive([message], NOW_NS)
            made = write_contribution(site.contribution(NOW_NS), None)
            desk.bring(("south", made))
            return made

        tell(raw(A))
        whole = tell(raw(B))
        child = desk.file.child("south")
        assert child is not None
        with desk.file.change("spending its messages"):
            desk.file.put_child(msgspec.structs.replace(child, tokens=-9.0, tokens_at_ns=NOW_NS))
        copy.write_bytes(whole)
        tell(empty("a", 2))
        assert read_contribution(desk.wire.last(UP), {}).samples == B.samples
        files = [one for one in desk.folder.iterdir() if one.name.startswith("a.db")]
        assert copy not in files
        assert not any(whole[-400:-200] in one.read_bytes() for one in files)
        tell(raw(A3))
        assert [one for one, _ in desk.file.waiting()] == ["south"]
        desk.now_ns += HOUR_NS // 30
        desk.now_s += 120.0
        desk.bring()
        assert read_contribution(desk.wire.last(UP), {}).samples == A3.samples + B.samples


def test_a_message_is_acknowledged_once_it_is_on_the_disk(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """If writing fails nothing is acknowledged, so the broker sends it again."""
    desk.open()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(desk.file, "put_child", fail)
        with pytest.raises(Exception, match="No space left"):
            desk.bring(raw(A))
    assert desk.wire.tickets == []
    desk.bring(raw(A))
    assert len(desk.wire.tickets) == 1
    assert desk.service.aggregator.sums.digest() == digest_of(A)


def test_the_newest_message_of_a_child_waits_in_memory_alone(desk: Desk):
    """A hundred revisions of one child are one message in the queue, and all are acknowledged."""
    desk.open()
    many = [raw(A, revision=1 + at) for at in range(100)]
    desk.bring(*many, raw(B))
    assert len(desk.wire.tickets) == 101
    child = desk.file.child("a")
    assert child is not None
    assert child.revision == 100
    assert child.tokens == pytest.approx(7.0)


def test_a_full_queue_is_summed_before_more_is_read(desk: Desk):
    """Beyond `queue_bytes_max` messages are summed as they arrive, within one reading."""
    desk.open(queue_bytes_max=12_000)
    sizes: list[int] = []
    take = desk.service.receive

    def watched(one: InboundMessage, wire: Wire) -> None:
        take(one, wire)
        sizes.append(desk.service._queue.nbytes)  # noqa: SLF001 - memory is what is tested

    desk.wire.deliver = lambda one: watched(one, desk.wire)
    desk.bring(*(raw(sent(name)) for name in "abcdef"))
    assert max(sizes) <= 12_000
    assert 0 in sizes
    assert desk.service.aggregator.sums.samples == 6 * 16


def test_too_large_a_message_takes_no_memory(desk: Desk):
    """A message above the quota is cut, refused and reported."""
    desk.open(payload_bytes_max=1_024)
    desk.bring(("a", bytes(1 << 20)))
    report = read_report(desk.wire.last("auricle/v1/fleet/hall/applied/a"), "a", {})
    assert "too many" in report.refused


def test_reports_wait_for_the_broker_and_are_sent_again_if_lost(desk: Desk):
    """Without send quota a report waits; one whose connection ended is sent again."""
    desk.wire.quota = 1  # The sum itself takes it.
    desk.open().bring(raw(A))
    topic = "auricle/v1/fleet/hall/applied/a"
    assert all(name != topic for name, _ in desk.wire.published)
    desk.wire.quota = 1
    desk.bring()
    report = read_report(desk.wire.last(topic), "a", {})
    assert [(one.aggregate, one.revision) for one in report.applied] == [("site", 1)]
    desk.wire.quota = 5
    desk.wire.results.append(PublishedMessage(len(desk.wire.published), LOST))
    before = len(desk.wire.published)
    desk.bring()
    assert [name for name, _ in desk.wire.published[before:]] == [topic]


def test_what_is_taken_in_above_is_reported_to_the_children(desk: Desk):
    """A report from above counts for the revisions that the reported sum holds, and for no later
    one."""
    desk.open().bring(raw(A))
    up = read_contribution(desk.wire.last(UP), {}).revision
    rows = [AppliedRow("site", "region", up, 5), AppliedRow("site", "root", up - 1, 6)]
    above = write_report("region", "site", rows, "", None)
    topic = "auricle/v1/fleet/region/applied/site"
    desk.wire.incoming.append(InboundMessage(topic=topic, payload=above, ticket=9))
    desk.bring(raw(B))
    found = read_report(desk.wire.last("auricle/v1/fleet/hall/applied/a"), "a", {})
    assert {(one.aggregate, one.revision, one.at_ns) for one in found.applied} == {
        ("site", 1, NOW_NS),
        ("region", 1, 5),
    }
    other = read_report(desk.wire.last("auricle/v1/fleet/hall/applied/b"), "b", {})
    assert [one.aggregate for one in other.applied] == ["site"]
    desk.wire.incoming.append(InboundMessage(topic=topic, payload=b"noise", ticket=10))
    desk.bring()
    assert 10 in desk.wire.tickets


def test_what_the_aggregator_above_refuses_is_in_the_status(desk: Desk):
    """So is a revision of this name that another home has published: two would replace each other
    above, and nobody would see it."""
    desk.open().bring(raw(A))
    up = read_contribution(desk.wire.last(UP), {}).revision
    topic = "auricle/v1/fleet/region/applied/site"
    for revision, refused, reason in (
        (up, "", ""),
        (up, "it holds a device twice", "region does not take this sum in: it holds a device"),
        (up + 1, "", "another home publishes under this name"),
        (up + 1, "", "another home publishes under this name"),
    ):
        rows = [AppliedRow("site", "region", revision, 5), AppliedRow("site", "root", up + 9, 6)]
        above = write_report("region", "site", rows, refused, None)
        desk.wire.incoming.append(InboundMessage(topic=topic, payload=above, ticket=9))
        desk.bring()
        assert reason in desk.file.last_refusal("site")
    assert len(desk.file.refusals()) == 2


def test_a_report_for_another_child_is_refused():
    """What a report says counts for the child that it names."""
    raw_report = write_report("site", "a", (), "", None)
    assert read_report(raw_report, "a", {}) == AppliedReport(
        device="site",
        child="a",
        body_sha256=read_report(raw_report, "a", {}).body_sha256,
    )
    with pytest.raises(Exception, match="it is for a"):
        read_report(raw_report, "b", {})
    assert Applied(aggregate="x", revision=1, at_ns=2).aggregate == "x"


def test_operators_are_served_while_it_runs(desk: Desk, tmp_path: Path):
    """A request in the file is carried out, its child told, and the sum published at once."""
    desk.open().bring(raw(A), raw(B))
    leave_request(tmp_path / "a.db", "drop", "a", NOW_NS)
    leave_request(tmp_path / "a.db", "check", "", NOW_NS)
    desk.bring()
    assert desk.service.aggregator.sums.digest() == digest_of(B)
    assert read_contribution(desk.wire.last(UP), {}).samples == 16
    report = read_report(desk.wire.last("auricle/v1/fleet/hall/applied/a"), "a", {})
    assert "dropped" in report.refused
    assert desk.file.requests() == []


def test_it_subscribes_to_its_children_and_to_its_own_reports(desk: Desk):
    """All devices of a fleet, or those that are named."""
    assert desk.open().service.filters == [
        "auricle/v1/fleet/hall/contribution/+",
        "auricle/v1/fleet/region/applied/site",
    ]
    assert desk.open(children=("x/y",), parent="").service.filters == [
        "auricle/v1/fleet/hall/contribution/x%2Fy"
    ]


def test_an_older_message_that_comes_late_does_not_displace_the_newest(desk: Desk):
    """All are acknowledged, so what the queue lets go of is gone: it must be the older one."""
    newest = sent("a", 5, seed=4)
    desk.open().bring(raw(newest), raw(A), ("a", b"garbage"))
    assert len(desk.wire.tickets) == 3
    assert desk.service.aggregator.sums.digest() == digest_of(newest)
    assert len(desk.file.refusals()) == 1
