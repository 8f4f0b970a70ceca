"""Two aggregators that share a child: below one root its facts count once, or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from edge.core.knowledge.contributions import MEMBERS, Contribution
from edge.core.knowledge.fleet_members import counted_twice, member_number, members_of
from edge.fleet.contribution_message import read_contribution, write_contribution
from edge.storage.aggregate_file import LAYOUT, MIGRATIONS, PLACE_NS, AggregateFile
from edge.storage.schema import MigratedLayout
from tests.aggregates import NOW_NS, PLACE, aggregating, as_sum, digest_of, empty, raw, sent
from tests.worlds import World

A, B, C, D = sent("a"), sent("b"), sent("c", labels="bc"), sent("d")
GEOMETRY = PLACE.geometry.fingerprint


def site(path: Path, name: str, *parts: Contribution) -> tuple[str, bytes]:
    """The message of an aggregator of these children."""
    with aggregating(path, name=name) as one:
        one.receive([raw(part) for part in parts], NOW_NS)
        return name, write_contribution(one.contribution(NOW_NS), None)


def test_a_sum_names_its_devices_by_numbers(tmp_path: Path):
    """One each, the same in any tree, and not their names."""
    _, message = site(tmp_path / "s.db", "s", A, B)
    made = read_contribution(message, {})
    assert made.devices == 2
    assert members_of(made).tolist() == sorted(member_number(one, GEOMETRY) for one in "ab")
    with aggregating(tmp_path / "r.db", name="r", devices_max=9) as root:
        root.receive([("s", message), raw(C)], NOW_NS)
        above = root.contribution(NOW_NS)
    assert members_of(above).tolist() == sorted(member_number(one, GEOMETRY) for one in "abc")
    assert MEMBERS not in A.arrays
    assert members_of(A.without_sums).tolist() == []
    assert member_number("a", GEOMETRY) != member_number("a", "another")


def test_a_child_of_two_sites_counts_once(tmp_path: Path):
    """The second site is refused with the reason; once the first has dropped the child, the second
    counts by itself, from the message that has waited."""
    first, second = (
        site(tmp_path / f"{name}.db", name, *parts)
        for name, parts in (("north", (A, B)), ("south", (B, C)))
    )
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        (one, two) = root.receive([first, second], NOW_NS)
        assert (one.state, two.state) == ("summed", "refused")
        assert "a device that is in the sums of north as well" in two.reason
        assert root.sums.digest() == digest_of(A, B)
        assert root.contribution(NOW_NS).devices == 2
        assert root.release(NOW_NS) == []
        with aggregating(tmp_path / "north.db", name="north") as north:
            north.drop("b", NOW_NS)
            later = "north", write_contribution(north.contribution(NOW_NS + 10**9), None)
        root.receive([later], NOW_NS)
        assert [out.state for out in root.release(NOW_NS)] == ["summed"]
        assert root.sums.digest() == digest_of(A, B, C)
        assert root.contribution(NOW_NS).devices == 3
        assert root.file.waiting() == []


def test_it_is_seen_in_any_order_and_over_a_crash(tmp_path: Path):
    """Also where one of the two is the device itself, and after a start that rebuilds the sum."""
    message = site(tmp_path / "s.db", "s", A, B)
    for number, order in enumerate(([message, raw(A)], [raw(A), message])):
        path = tmp_path / f"{number}.db"
        with aggregating(path, name="root", devices_max=9) as root:
            assert root.receive(order[:1], NOW_NS)[0].state == "summed"
        with aggregating(path, name="root", devices_max=9) as root:
            assert root.receive(order[1:], NOW_NS)[0].state == "refused"
            assert root.sums.digest() == (digest_of(A, B) if number == 0 else digest_of(A))


def test_a_withdrawal_ends_the_wait_of_both(tmp_path: Path):
    """The first withdraws: the second counts.  The second withdraws: nothing of it waits."""
    first, second = (
        site(tmp_path / f"{name}.db", name, *parts)
        for name, parts in (("north", (A, B)), ("south", (B, C)))
    )
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        root.receive([first, second], NOW_NS)
        root.receive([empty("south", 2_000_000_000)], NOW_NS)
        assert root.file.waiting() == []
        assert root.receive([second], NOW_NS)[0].state == "unchanged"
    with aggregating(tmp_path / "r2.db", name="root", devices_max=9) as root:
        root.receive([first, second], NOW_NS)
        root.receive([empty("north", 2_000_000_000)], NOW_NS)
        assert [out.state for out in root.release(NOW_NS)] == ["summed"]
        assert root.sums.digest() == digest_of(B, C)


def test_a_device_that_forgets_keeps_its_place(tmp_path: Path):
    """A site that claims a child gets its place only while the child has withdrawn its sums; the
    child's next revision counts at once, and the site waits until the child is dropped."""
    later = replace(A, revision=A.revision + 2)
    claims = site(tmp_path / "x.db", "x", A, B)
    path = tmp_path / "r.db"
    with aggregating(path, name="root", devices_max=9) as root:
        root.receive([raw(A)], NOW_NS)
        assert root.receive([claims], NOW_NS)[0].state == "refused"
        root.receive([empty("a", A.revision + 1)], NOW_NS)
        assert [out.state for out in root.release(NOW_NS)] == ["summed"]
        (back,) = root.receive([raw(later)], NOW_NS)
        assert (back.state, back.displaced) == ("summed", ("x",))
        assert root.sums.digest() == digest_of(A)
        assert (
            "a device that was in the sums of a before, and is there again"
            in root.file.last_refusal("x")
        )
        assert root.release(NOW_NS) == []
    with aggregating(path, name="root", devices_max=9) as root:
        assert root.sums.digest() == digest_of(A)
        root.drop("a", NOW_NS)
        assert [out.state for out in root.release(NOW_NS)] == ["summed"]
        assert root.sums.digest() == digest_of(A, B)
        assert root.file.waiting() == []


def test_a_site_keeps_the_place_of_a_device_that_forgets_below_it(tmp_path: Path):
    """The site's sum names the device no longer for a time: a hostile site that waits with its
    number gets in, and gives way; the site is not kept out.  Two at once give way as well."""
    hostile = [
        raw(as_sum(one, [name, f"none-{name}"], f"evil-{name}"))
        for one, name in ((C, "a"), (D, "b"))
    ]
    with (
        aggregating(tmp_path / "x.db", name="x", devices_max=1) as below,
        aggregating(tmp_path / "r.db", name="root", devices_max=9) as root,
    ):

        def tell(*messages: tuple[str, bytes], second: int) -> Any:
            below.receive(messages, NOW_NS)
            made = below.contribution(NOW_NS + second * 10**9)
            found = root.receive([("x", write_contribution(made, None))], NOW_NS)
            return found, root.release(NOW_NS)

        tell(raw(A), raw(B), second=0)
        assert [out.state for out in root.receive(hostile, NOW_NS)] == ["refused", "refused"]
        _, released = tell(empty("a", 2), empty("b", 2), second=1)
        assert [out.state for out in released] == ["summed", "summed"]
        (back, *_), released = tell(raw(A, revision=3), raw(B, revision=3), second=2)
        assert (back.state, back.displaced) == ("summed", ("evil-a", "evil-b"))
        assert released == []
        assert root.sums.digest() == digest_of(A, B)
        root.drop("x", NOW_NS)
        assert [out.state for out in root.release(NOW_NS)] == ["summed", "summed"]
        root.admit("x", NOW_NS)
        assert tell(second=2)[0][0].state == "refused"
        assert root.sums.digest() == digest_of(C, D)


def test_places_are_bounded_and_grow_old(tmp_path: Path):
    """A child keeps as many places as it may have devices, and after a day another child that has
    lost the device keeps its place."""
    with AggregateFile(tmp_path / "a.db", writable=True) as file, file.change("for the test"):

        def lose(device: str, at_ns: int, *members: int) -> None:
            file.replace_members(device, members)
            file.keep_places(device, (), at_ns, 2)
            file.replace_members(device, ())

        def places(device: str) -> list[int]:
            file.replace_members("other", range(9))
            found = [n for n in range(9) if file.sharing(device, [n])["other"] == (1, True)]
            file.replace_members("other", ())
            return found

        lose("x", 0, 7)
        lose("y", 1, 7)
        assert (places("x"), places("y")) == ([7], [])
        lose("y", PLACE_NS + 1, 7)
        assert (places("x"), places("y")) == ([], [7])
        lose("y", PLACE_NS + 2, 1, 2, 3)
        assert places("y") == [1, 2]
        file.leave_places("y")
        assert places("y") == []


def test_a_newer_message_of_a_displaced_site_counts(tmp_path: Path):
    """Without the child that it claimed."""
    claims = site(tmp_path / "x.db", "x", A, B)
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        root.receive([raw(A)], NOW_NS)
        root.receive([empty("a", A.revision + 1)], NOW_NS)
        root.receive([claims], NOW_NS)
        root.receive([raw(replace(A, revision=A.revision + 2))], NOW_NS)
        with aggregating(tmp_path / "x.db", name="x") as below:
            below.drop("a", NOW_NS)
            newer = "x", write_contribution(below.contribution(NOW_NS + 10**9), None)
        assert root.receive([newer], NOW_NS)[0].state == "summed"
        assert root.sums.digest() == digest_of(A, B)
        assert root.file.waiting() == []


def test_a_device_that_was_never_a_child_displaces_no_site(tmp_path: Path):
    """Else one member of a site could keep all others of the site out."""
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        root.receive([site(tmp_path / "x.db", "x", A, B)], NOW_NS)
        assert root.receive([raw(A)], NOW_NS)[0].state == "refused"
        assert root.sums.digest() == digest_of(A, B)


def test_a_device_that_was_only_ever_refused_gets_no_place_by_a_forget(tmp_path: Path):
    """It withdraws and comes back; the site that holds its sums, and those of others, stays."""
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        root.receive([site(tmp_path / "x.db", "x", A, B)], NOW_NS)
        root.receive([raw(A)], NOW_NS)
        root.receive([empty("a", A.revision + 1)], NOW_NS)
        (back,) = root.receive([raw(replace(A, revision=A.revision + 2))], NOW_NS)
        assert (back.state, back.displaced) == ("refused", ())
        assert root.sums.digest() == digest_of(A, B)


def test_a_device_that_sends_what_cannot_be_used_keeps_its_place(tmp_path: Path):
    """It has fitted its geometry again, and takes the fleet's back: a site that claimed it in the
    meantime gives way."""
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        root.receive([raw(A), site(tmp_path / "x.db", "x", A, B)], NOW_NS)
        root.receive([raw(A, revision=A.revision + 1, geometry="0" * 64)], NOW_NS)
        assert [out.state for out in root.release(NOW_NS)] == ["summed"]
        (back,) = root.receive([raw(A, revision=A.revision + 2)], NOW_NS)
        assert (back.state, back.displaced) == ("summed", ("x",))
        assert root.sums.digest() == digest_of(A)


def test_two_that_clash_with_each_other_wait_for_the_first(tmp_path: Path):
    """Three sites share a child: of the two that wait, one counts once the first has gone."""
    sites = [
        site(tmp_path / f"{name}.db", name, B, part)
        for name, part in (("x", A), ("y", C), ("z", D))
    ]
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        states = [out.state for out in root.receive(sites, NOW_NS)]
        assert states == ["summed", "refused", "refused"]
        root.drop("x", NOW_NS)
        assert sorted(out.state for out in root.release(NOW_NS)) == ["refused", "summed"]
        assert root.release(NOW_NS) == []
        assert root.sums.samples == B.samples + C.samples


def test_a_device_adopts_no_two_sums_of_one_device():
    """What a device adopts is compared in the same way, and refused with the reason."""
    listener = World()
    listener.feed(as_sum(A, ["a", "b"], "north"))
    made = as_sum(C, ["b", "c"], "south")
    assert "in the sums of north as well" in counted_twice(made, listener.ledger.contributions())
    listener.feed(made)
    held = listener.ledger.contributions()
    assert held["south"].samples == 0
    assert listener.runtime.knowledge.contributing == ("north",)
    listener.feed(as_sum(C, ["c", "d"], "east"))
    assert sorted(listener.runtime.knowledge.contributing) == ["east", "north"]


def test_a_number_for_each_device_takes_eight_bytes(tmp_path: Path):
    """Ten thousand of them are 80 KB of a message, and little more once compressed."""
    made = as_sum(A, [f"device-{number}" for number in range(10_000)], "north")
    few = as_sum(A, ["device-0"], "north")
    more = len(write_contribution(made, None)) - len(write_contribution(few, None))
    assert 60_000 < more < 82_000
    with aggregating(tmp_path / "r.db", name="root", devices_max=20_000) as root:
        assert root.receive([raw(made)], NOW_NS)[0].state == "summed"
        assert root.contribution(NOW_NS).devices == 10_000
        twice = root.receive([raw(as_sum(B, [f"device-{n}" for n in range(9_999)], "b"))], NOW_NS)
        assert "9999 devices that are in the sums of north" in twice[0].reason


def test_a_device_cannot_claim_another_ones_number(tmp_path: Path):
    """Where children are devices, none may pass for a sum of one other: it would keep that one
    out.  Numbers that are not sorted, twice, or too many are refused as well."""
    with aggregating(tmp_path / "s.db") as one:
        claim = as_sum(A, ["b"])
        assert "where each child is one device" in one.receive([raw(claim)], NOW_NS)[0].reason
        assert one.receive([raw(B)], NOW_NS)[0].state == "summed"
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        good = as_sum(A, ["x", "y", "z"])
        numbers = good.arrays[MEMBERS]
        for wrong, devices in (
            (numbers[::-1], 3),
            (numbers[[0, 0, 1]], 3),
            (numbers, 2),
            (-numbers[::-1], 3),
            (numbers << 8, 3),
            (numbers.reshape(3, 1), 3),
        ):
            bad = replace(good, arrays={**good.arrays, MEMBERS: wrong}, devices=devices)
            (out,) = root.receive([raw(bad)], NOW_NS)
            assert (out.state, "member" in out.reason) == ("refused", True), out
        assert root.receive([raw(good)], NOW_NS)[0].state == "summed"


def test_a_site_that_takes_in_another_ones_device_loses_its_place_alone(tmp_path: Path):
    """A newer sum that clashes replaces its older one with nothing; the other site is untouched."""
    north, south = (
        site(tmp_path / f"{name}.db", name, part) for name, part in (("north", A), ("south", C))
    )
    with aggregating(tmp_path / "r.db", name="root", devices_max=9) as root:
        root.receive([north, south], NOW_NS)
        with aggregating(tmp_path / "south.db", name="south") as below:
            below.receive([raw(A)], NOW_NS)
            later = "south", write_contribution(below.contribution(NOW_NS + 10**9), None)
        assert root.receive([later], NOW_NS)[0].state == "refused"
        assert root.sums.digest() == digest_of(A)
        assert root.receive([later], NOW_NS)[0].state == "refused"
        waits = root.file.waiting_payload("south")
        assert waits == later[1]
        for old in (south, empty("south", 1)):
            assert root.receive([old], NOW_NS)[0].state == "unchanged"
            assert root.file.waiting_payload("south") == waits


def test_a_file_of_before_takes_its_children_in_again(tmp_path: Path):
    """It does not know whose facts its sums hold: the messages that the broker retains count anew,
    of the same revision too."""
    path = tmp_path / "a.db"
    first = MigratedLayout(LAYOUT.APPLICATION_ID, MIGRATIONS[:1])
    with sqlite3.connect(path) as db:
        first.migrate(db, 0)
        db.execute("INSERT INTO children VALUES ('a', 'summed', 1, 16, 1, 0, 5, 1.0, 0)")
        db.execute("INSERT INTO sums VALUES ('a', 1, x'00')")
    db.close()
    with aggregating(path) as one:
        child = one.file.child("a")
        assert child is not None
        assert child.state == "refused"
        assert not one.sums.samples
        assert one.receive([raw(A)], NOW_NS)[0].state == "summed"
        assert one.contribution(NOW_NS).devices == 1
