"""An aggregator: whatever a network does, its sum is that of the newest message of each child."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.errors import StateError
from edge.fleet.aggregator import BURST, AggregatePlace
from edge.fleet.contribution_message import read_contribution, write_contribution
from edge.signing.keys import load_key, make_key, public_key
from edge.storage.aggregate_file import AggregateFile
from tests.aggregates import (
    HOUR_NS,
    NOW_NS,
    PLACE,
    aggregating,
    as_sum,
    digest_of,
    empty,
    raw,
    sent,
)
from tests.worlds import World

A, B, C = sent("a"), sent("b"), sent("c", labels="bc")
A2, B2 = sent("a", 2, seed=5), sent("b", 2, seed=6, labels="abc")
MESSAGES = (raw(A), raw(B), raw(C), raw(A2), raw(B2), empty("c", 2))


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    arrivals=st.lists(st.integers(0, len(MESSAGES) - 1), max_size=12),
    order=st.permutations(range(len(MESSAGES))),
    batches=st.integers(1, 5),
    crash=st.integers(0, 12),
)
def test_lost_doubled_late_and_reordered_messages_change_nothing(
    arrivals: Sequence[int], order: Sequence[int], batches: int, crash: int
):
    """Once the newest of each child has arrived, the sum is that of the newest, also over a crash
    in between."""
    stream = [MESSAGES[at] for at in (*arrivals, *order, *arrivals)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with aggregating(path) as first:
            first.receive(stream[:crash], NOW_NS)
        with aggregating(path) as second:
            for at in range(crash, len(stream), batches):
                second.receive(stream[at : at + batches], NOW_NS)
            assert second.sums.digest() == digest_of(A2, B2)
            made = second.contribution(NOW_NS)
    with TemporaryDirectory() as folder, aggregating(Path(folder) / "a.db") as straight:
        straight.receive([raw(A2), raw(B2)], NOW_NS)
        assert straight.contribution(NOW_NS).content == made.content
        assert made.devices == 2


def test_a_sum_has_one_revision_until_it_changes(tmp_path: Path):
    """Revisions follow the clock, and always rise; the same sum keeps its own, over restarts."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A)], NOW_NS)
        first = one.contribution(NOW_NS).revision
        assert first == NOW_NS // 10**9
        assert one.contribution(NOW_NS + HOUR_NS).revision == first
    with aggregating(tmp_path / "a.db") as again:
        assert again.contribution(NOW_NS + HOUR_NS).revision == first
        again.receive([raw(B)], NOW_NS)
        assert again.contribution(0).revision == first + 1
        again.drop("b", NOW_NS)
        assert again.contribution(0).revision == first + 2


def test_a_closed_aggregator_starts_from_its_saved_sum(tmp_path: Path):
    """What is saved at the end is used if nothing has changed since, and only then."""
    path = tmp_path / "a.db"
    with aggregating(path) as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        one.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE sums SET body = x'00' WHERE device = 'a'")
    with aggregating(path) as two:
        assert two.sums.digest() == digest_of(A, B)
        two.receive([raw(C)], NOW_NS)
    with pytest.raises(Exception, match=r"incomplete|header"), aggregating(path):
        pass


def test_a_failed_write_leaves_the_sum_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing of a batch counts if its transaction fails, in memory neither."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A)], NOW_NS)
        before = one.sums.digest()

        def fail(*_: object) -> None:
            raise StateError("writing: the disk is full", "free space")

        with monkeypatch.context() as patch:
            patch.setattr(one.file, "put_child", fail)
            with pytest.raises(StateError):
                one.receive([raw(B), raw(C)], NOW_NS)
        assert one.sums.digest() == before
        one.receive([raw(B)], NOW_NS)
        assert one.sums.digest() == digest_of(A, B)


OTHER_CARD = raw(A, revision=9, card="0" * 64)
OTHER_VERSION = raw(A, revision=9, geometry="0" * 64, geometry_version=99)
OTHER_SEED = raw(A, revision=9, seed=7)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (OTHER_CARD, "encoder card"),
        (OTHER_VERSION, "version 99"),
        (OTHER_SEED, "seed 7"),
    ],
)
def test_what_does_not_fit_is_refused_and_takes_the_earlier_sums_out(
    tmp_path: Path, message: tuple[str, bytes], reason: str
):
    """Another card, geometry, version or seed: refused with a reason; what the device had sent
    before may hold facts that it has forgotten, so that goes too."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        (outcome,) = one.receive([message], NOW_NS)
        assert outcome.state == "refused"
        assert reason in outcome.reason
        assert one.sums.digest() == digest_of(B)
        (kept,) = one.file.refusals()
        assert (kept.device, kept.at_ns) == ("a", NOW_NS)
        assert reason in kept.reason
        assert one.receive([raw(A)], NOW_NS)[0].state == "unchanged"


def impossible() -> tuple[str, bytes]:
    """A contribution with more set bits than facts."""
    arrays = dict(A.arrays)
    arrays["ones"] = arrays["ones"].astype(np.int64) + 100
    return raw(A, revision=9, arrays=arrays)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (impossible(), "no facts sum up"),
        (("b", raw(A)[1]), "names the device a"),
        (("a", b"noise"), "does not begin with"),
        (("a", raw(A)[1][:-1]), "does not match"),
        (("a", bytes(25_000)), "too many"),
    ],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(
    tmp_path: Path, message: tuple[str, bytes], reason: str
):
    """Impossible arrays, another's name, damage, and too many bytes."""
    with aggregating(tmp_path / "a.db", payload_bytes_max=20_000) as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        before = one.sums.digest()
        (outcome,) = one.receive([message], NOW_NS)
        assert outcome.state == "refused"
        assert reason in outcome.reason
        assert one.sums.digest() == before == digest_of(A, B)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"facts_per_concept": 7}, "8 facts of one concept, at most 7"),
        ({"concepts_max": 1}, "2 concepts, at most 1"),
        ({"children": ("b",)}, "not among"),
    ],
)
def test_quotas_bound_a_child(tmp_path: Path, changes: dict[str, Any], reason: str):
    """A child beyond its quota is refused whole, with the number."""
    with aggregating(tmp_path / "a.db", **changes) as one:
        (outcome,) = one.receive([raw(A)], NOW_NS)
        assert outcome.state == "refused"
        assert reason in outcome.reason
        assert not one.sums.samples


def test_a_device_cannot_pass_for_many(tmp_path: Path):
    """The quota of facts is for each device; who is a sum of many must be allowed to be."""
    many = raw(as_sum(A, [f"device-{number}" for number in range(1_000)]))
    with aggregating(tmp_path / "a.db", facts_per_concept=7) as one:
        assert "a sum of 1000 devices" in one.receive([many], NOW_NS)[0].reason
    with aggregating(tmp_path / "b.db", facts_per_concept=7, devices_max=1_000) as two:
        claimed = two.receive([raw(A, devices=1_000)], NOW_NS)[0]
        assert "a sum of 1000 devices that does not name them" in claimed.reason
        assert "update the aggregator" in claimed.reason
        assert two.receive([many], NOW_NS)[0].state == "summed"
        assert two.contribution(NOW_NS).devices == 1_000


def test_who_sends_too_often_waits_with_the_newest_only(tmp_path: Path):
    """Beyond its rate the newest message of a child waits on the disk; a withdrawal never does."""
    with aggregating(tmp_path / "a.db", messages_per_hour=1.0) as one:
        burst = [raw(A, revision=1 + at) for at in range(int(BURST))]
        assert {out.state for out in one.receive(burst, NOW_NS)} == {"summed"}
        late = [raw(A2, revision=100), raw(B, device="a", revision=101)]
        assert [out.state for out in one.receive(late, NOW_NS)] == ["waiting", "waiting"]
        assert one.file.waiting() == [("a", NOW_NS)]
        assert one.release(NOW_NS) == []
        assert [out.state for out in one.release(NOW_NS + HOUR_NS)] == ["summed"]
        assert one.sums.digest() == digest_of(B)
        assert one.receive([empty("a", 200)], NOW_NS + HOUR_NS)[0].state == "withdrawn"
        assert not one.sums.samples


def test_a_device_that_comes_back_after_months_is_judged_by_its_revision(tmp_path: Path):
    """An old retained message changes nothing; a newer revision replaces what was held."""
    months = 200 * 24 * HOUR_NS
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A2)], NOW_NS)
        assert one.receive([raw(A)], NOW_NS + months)[0].state == "unchanged"
        assert one.sums.digest() == digest_of(A2)
        one.receive([raw(A, revision=50)], NOW_NS + months)
        assert one.sums.digest() == digest_of(A)


def test_a_dropped_child_is_as_if_it_had_never_been_there(tmp_path: Path):
    """Sums, thresholds and the published content are those of a fleet without it; it stays out
    until it is admitted."""
    with aggregating(tmp_path / "never.db") as never:
        never.receive([raw(A), raw(B)], NOW_NS)
        expected = never.contribution(NOW_NS).content
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A), raw(B), raw(C)], NOW_NS)
        assert one.contribution(NOW_NS).content != expected
        assert one.drop("c", NOW_NS)
        assert one.sums.digest() == digest_of(A, B)
        assert one.contribution(NOW_NS).content == expected
        newer = raw(C, revision=5)
        assert "dropped" in one.receive([newer], NOW_NS)[0].reason
        assert one.sums.digest() == digest_of(A, B)
        assert not one.drop("nobody", NOW_NS)
        assert not one.admit("a", NOW_NS)
        assert one.admit("c", NOW_NS)
        assert one.receive([raw(C)], NOW_NS)[0].state == "unchanged"
        assert one.receive([newer], NOW_NS)[0].state == "summed"
        assert one.sums.digest() == digest_of(A, B, C)


def test_withdrawn_sums_leave_the_file(tmp_path: Path):
    """After a withdrawal no byte of the sums is in the file or its log."""
    path = tmp_path / "a.db"
    body = raw(A)[1][-600:-200]
    with aggregating(path) as one:
        one.receive([raw(A)], NOW_NS)
        assert any(body in file.read_bytes() for file in tmp_path.iterdir())
        one.receive([empty("a", 2)], NOW_NS)
        one.file.shrink_log()
        assert not any(body in file.read_bytes() for file in tmp_path.iterdir())


def test_another_geometry_takes_all_sums_out_until_they_come_again(tmp_path: Path):
    """With a new geometry in the home nothing held fits; the same revisions count if they fit."""
    other = AggregatePlace(PLACE.geometry, "f" * 64)
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        one.close()
    with aggregating(tmp_path / "a.db", place=other) as two:
        assert not two.sums.samples
        assert "encoder card" in two.receive([raw(A)], NOW_NS)[0].reason
    with aggregating(tmp_path / "a.db") as three:
        assert three.receive([raw(A)], NOW_NS)[0].state == "summed"
        assert three.sums.digest() == digest_of(A)


def test_only_signed_messages_count_where_keys_are_given(tmp_path: Path):
    """A message without the child's signature is refused."""
    public = make_key(tmp_path / "a.key")
    key, keys = load_key(tmp_path / "a.key"), {"a": public_key(public, "a")}
    with aggregating(tmp_path / "a.db", keys=keys) as one:
        assert "not signed" in one.receive([raw(A)], NOW_NS)[0].reason
        assert one.receive([("a", write_contribution(A, key))], NOW_NS)[0].state == "summed"


def test_a_poisoner_is_found_bounded_and_dropped(tmp_path: Path):
    """Of twenty members one has its labels swapped: the check names it alone, its share is what
    its facts are, and without it the sum is that of the others."""
    honest = [sent(f"m{n}", seed=n, count=12) for n in range(20)]
    swapped = dict(sent("bad", count=12).arrays)
    for name in ("ones", "sums", "features"):
        swapped[name] = swapped[name][::-1].copy()
    bad = replace(sent("bad", count=12), arrays=swapped)
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(each) for each in (*honest, bad)], NOW_NS)
        found = one.check()
        assert {each.device for each in found} == {"bad"}
        assert all(each.share == pytest.approx(1 / 21) for each in found)
        assert {row.device for row in one.file.outliers()} == {"bad"}
        one.drop("bad", NOW_NS)
        assert one.sums.digest() == digest_of(*honest)
        assert one.check() == []


def test_two_aggregators_cannot_write_one_file(tmp_path: Path):
    """The second one is told so; reading is always possible."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A)], NOW_NS)
        with pytest.raises(StateError, match="another process"):
            AggregateFile(tmp_path / "a.db", writable=True)
        with AggregateFile(tmp_path / "a.db", writable=False) as reader:
            assert [child.device for child in reader.children()] == ["a"]


def test_an_aggregate_is_read_as_a_contribution(tmp_path: Path):
    """What is published upward has the format of a contribution, and a device can adopt it."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        message = write_contribution(one.contribution(NOW_NS), None)
    found = read_contribution(message, {})
    assert (found.device, found.devices, found.samples) == ("site", 2, 32)
    listener = World()
    listener.feed(found)
    assert listener.runtime.knowledge.contributing == ("site",)
