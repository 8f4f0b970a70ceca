"""An aggregator under hostile members, bad clocks and late messages."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edge.core import limits
from edge.core.knowledge.contributions import RANKS, count_facts
from edge.fleet.aggregator import BURST
from edge.signing.keys import load_key, make_key, public_key
from tests.aggregates import HOUR_NS, NOW_NS, aggregating, as_sum, digest_of, empty, raw, sent

A, B = sent("a"), sent("b")
A2, A3 = sent("a", 2, seed=5), sent("a", 3, seed=6)


@pytest.mark.parametrize("name", ["counts", "ones", "sums", "features", "gram", "scores"])
def test_unsigned_64_bit_numbers_are_refused(tmp_path: Path, name: str):
    """Numpy adds them to signed ones as floats: they would stop the aggregator."""
    arrays = {**A.arrays, name: np.abs(A.arrays[name].astype(np.int64)).astype(np.uint64)}
    with aggregating(tmp_path / "a.db") as one:
        outcomes = one.receive([raw(replace(A, arrays=arrays)), raw(B)], NOW_NS)
        assert [out.state for out in outcomes] == ["refused", "summed"]
        assert one.sums.digest() == digest_of(B)


@pytest.mark.parametrize("late", [raw(A2), empty("a", 2)])
def test_a_late_message_does_not_replace_a_newer_one_that_waits(
    tmp_path: Path, late: tuple[str, bytes]
):
    """The newest message waits, not the one that came last; an older withdrawal still counts."""
    with aggregating(tmp_path / "a.db", messages_per_hour=1.0) as one:
        one.receive([raw(A, revision=1)], NOW_NS)
        child = one.file.child("a")
        assert child is not None
        with one.file.change("spending its messages"):
            one.file.put_child(replace(child, tokens=0.0))
        assert one.receive([raw(A3, revision=3)], NOW_NS)[0].state == "waiting"
        outcome = one.receive([late], NOW_NS)[0]
        assert outcome.state == ("unchanged" if late[1] == raw(A2)[1] else "withdrawn")
        one.release(NOW_NS + 9 * HOUR_NS)
        assert one.sums.digest() == digest_of(A3)


def test_what_a_dropped_device_withdrew_stays_out_when_it_is_admitted(tmp_path: Path):
    """A forget while it was dropped counts: the revision before may come back from a broker."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        one.drop("a", NOW_NS)
        assert one.receive([empty("a", 2)], NOW_NS)[0].state == "refused"
        assert one.file.applied("a")[0].revision == 2
        one.admit("a", NOW_NS)
        assert one.receive([raw(A)], NOW_NS)[0].state == "unchanged"
        assert one.sums.digest() == digest_of(B)
        assert one.receive([raw(A3)], NOW_NS)[0].state == "summed"


def test_one_child_cannot_fill_the_sums_concepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sum with more concepts than are accepted would be refused whole by everybody above."""
    monkeypatch.setattr(limits, "CONTRIBUTED_CONCEPTS_MAX", 3)
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A)], NOW_NS)
        outcome = one.receive([raw(sent("c", labels="cd"))], NOW_NS)[0]
        assert outcome.state == "refused"
        assert "4 concepts in the sum, at most 3" in outcome.reason
        assert one.receive([raw(sent("c", labels="bc"))], NOW_NS)[0].state == "summed"
        # "c" makes room for its own new concept, and its old one is gone.
        assert one.receive([raw(sent("c", 2, labels="ad"))], NOW_NS)[0].state == "summed"
        assert len(one.sums.counts) == 3


def test_a_clock_that_was_set_back_makes_nobody_wait(tmp_path: Path):
    """A child that sent its eight messages while the clock was years ahead is heard again."""
    with aggregating(tmp_path / "a.db", messages_per_hour=1.0) as one:
        ahead = NOW_NS + 50_000 * HOUR_NS
        one.receive([raw(A, revision=1 + at) for at in range(int(BURST))], ahead)
        assert one.receive([raw(A3, revision=100)], NOW_NS)[0].state == "summed"
        rest = [raw(A3, revision=101 + at) for at in range(int(BURST))]
        assert one.receive(rest, NOW_NS)[-1].state == "waiting"


def test_the_saved_sum_does_not_keep_what_was_withdrawn(tmp_path: Path):
    """The sum saved at a stop is deleted with the first change after the next start."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(A), raw(B)], NOW_NS)
        one.close()
    with aggregating(tmp_path / "a.db") as two:
        assert two.sums.digest() == digest_of(A, B)
        two.receive([empty("a", 2)], NOW_NS)
        assert two.file.meta("saved") == b""
    with aggregating(tmp_path / "a.db") as three:
        assert three.sums.digest() == digest_of(B)


def test_no_device_claims_more_held_out_samples_than_facts():
    """Otherwise one with a few facts would set the thresholds of every domain."""
    from edge.core.knowledge.contributions import find_invalid_contribution
    from tests.aggregates import PLACE

    held = len(A.arrays["held"])
    for samples, reason in ((A.samples, ""), (A.samples + 1, "ranks holds")):
        ranks = np.tile(np.array([samples, 5], np.int64), (held, 1))
        given = as_sum(A, ["a"])
        given = replace(given, arrays={**given.arrays, RANKS: ranks})
        assert find_invalid_contribution(given, PLACE.geometry).startswith(reason)
        assert bool(find_invalid_contribution(given, PLACE.geometry)) == bool(reason)


def test_one_child_cannot_push_out_the_refusals_of_others(tmp_path: Path):
    """A device still learns why it is refused, whatever another one sends."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([("b", b"garbage")], NOW_NS)
        one.receive([("a", b"rubbish")] * 1_100, NOW_NS)
        assert one.file.last_refusal("b")
        assert len(one.file.refusals()) == 9


def test_messages_that_waited_are_read_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not all at once: memory must not grow with the number of children."""
    with aggregating(tmp_path / "a.db", messages_per_hour=1.0) as one:
        for name in "abc":
            burst = [raw(sent(name), revision=1 + at) for at in range(1 + int(BURST))]
            one.receive(burst, NOW_NS)
        assert len(one.file.waiting()) == 3
        log: list[str] = []
        read, change = one.file.waiting_payload, one.file.put_child

        def reading(device: str) -> Any:
            log.append(f"read {device}")
            return read(device)

        def changing(row: Any) -> Any:
            log.append(f"done {row.device}")
            return change(row)

        monkeypatch.setattr(one.file, "waiting_payload", reading)
        monkeypatch.setattr(one.file, "put_child", changing)
        one.release(NOW_NS + HOUR_NS)
        assert log.index("done a") < log.index("read b")
        assert one.file.waiting() == []


def test_revisions_of_a_sum_differ_by_no_fact_or_by_eight(tmp_path: Path):
    """An observer who holds every revision of the sum: members learn, replace, withdraw, are
    dropped; no difference of two is of one to seven facts of a concept."""
    random = np.random.default_rng(3)
    seen: list[dict[Any, int]] = []
    with aggregating(tmp_path / "a.db") as one:
        for step in range(1, 40):
            name = "abcd"[int(random.integers(4))]
            count, labels = 8 * int(random.integers(1, 3)), ("a", "ab", "bc")[step % 3]
            made = raw(sent(name, step, seed=0, count=count, labels=labels))
            one.receive([empty(name, step) if step % 7 == 0 else made], NOW_NS)
            if step == 20:
                one.drop("d", NOW_NS)
            published = one.contribution(NOW_NS)
            seen.append(count_facts(published.arrays) if published.samples else {})
    for before, after in pairwise(seen):
        for concept in before.keys() | after.keys():
            assert abs(before.get(concept, 0) - after.get(concept, 0)) not in range(1, 8)


def test_garbage_under_a_devices_name_changes_nothing(tmp_path: Path):
    """With keys nobody can number, withdraw or stop a device that does not hold its key."""
    public = make_key(tmp_path / "a.key")
    key, keys = load_key(tmp_path / "a.key"), {"a": public_key(public, "a")}
    from edge.fleet.contribution_message import write_contribution

    forged = [empty("a", limits.COUNT_MAX), raw(A, revision=limits.COUNT_MAX)]
    with aggregating(tmp_path / "a.db", keys=keys) as one:
        one.receive([("a", write_contribution(A, key))], NOW_NS)
        assert {out.state for out in one.receive(forged, NOW_NS)} == {"refused"}
        assert one.sums.digest() == digest_of(A)
        one.receive([("a", write_contribution(A2, key))], NOW_NS)
        assert one.sums.digest() == digest_of(A2)


def test_a_forged_revision_can_be_taken_back(tmp_path: Path):
    """Without keys anyone can number a device's sums so high that its own never count; an operator
    drops the device and admits it from any revision on."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(B, device="a", revision=limits.COUNT_MAX)], NOW_NS)
        assert one.receive([raw(A2)], NOW_NS)[0].state == "unchanged"
        one.drop("a", NOW_NS)
        one.admit("a", NOW_NS)
        assert one.receive([raw(A2)], NOW_NS)[0].state == "unchanged"
        one.drop("a", NOW_NS)
        assert one.admit("a", NOW_NS, reset=True)
        assert one.file.applied("a") == []
        assert one.receive([raw(A2)], NOW_NS)[0].state == "summed"
        assert one.file.applied("a")[0].revision == 2
        assert one.sums.digest() == digest_of(A2)
