"""An aggregator that is killed, or whose disk is full: what it acknowledged stays, and no more."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from edge.core.errors import StateError
from edge.core.knowledge.fleet_sums import FleetSums
from edge.fleet.aggregator import Aggregator
from edge.storage.serialization import unpack_arrays
from tests.aggregates import NOW_NS, PLACE, aggregating, empty, raw, sent
from tests.disks import small_disk

CHILD = """
import sys
from pathlib import Path
from tests.aggregates import HOUR_NS, NOW_NS, aggregating, empty, raw, sent

base = {name: sent(name) for name in "abcd"}
revision = int(sys.argv[2]) * 100_000
with aggregating(Path(sys.argv[1])) as one:
    print("ready", flush=True)
    while True:
        for name in "abcd":
            revision += 1
            now_ns = NOW_NS + revision * HOUR_NS
            given = raw(base[name], revision=revision) if revision % 5 else empty(name, revision)
            one.receive([given], now_ns)
            print(name, revision, flush=True)
            one.contribution(now_ns)
            if revision % 7 == 0:
                one.drop("d", now_ns)
                one.admit("d", now_ns)
            if revision % 3 == 0:
                one.close()
            if revision % 5 == 0:
                one.file.shrink_log()
"""
"""An aggregator that takes in, publishes, drops and saves until it is killed."""


def stored_sum(one: Aggregator) -> str:
    """The digest of what the file holds of all children."""
    sums = FleetSums(PLACE.geometry)
    for _, (_, body) in one.file.every_sums():
        sums.change(unpack_arrays(zlib.decompress(body)), 1)
    return sums.digest()


def test_a_kill_at_any_point_loses_nothing_that_was_acknowledged(tmp_path: Path):
    """After each of eight kills the sum is that of the stored contributions, and every revision
    that was answered is there."""
    path, root = tmp_path / "a.db", Path(__file__).parents[3]
    for turn in range(1, 9):
        words = [sys.executable, "-c", CHILD, str(path), str(turn)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=root) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.02 * turn)
            child.send_signal(signal.SIGKILL)
            lines = [line.split() for line in child.stdout.read().splitlines()]
        answered = {line[0]: int(line[1]) for line in lines if len(line) == 2}
        with aggregating(path) as one:
            assert one.sums.digest() == stored_sum(one)
            for device, revision in answered.items():
                found = one.file.child(device)
                assert found is not None
                assert found.revision >= revision


def fill_up(one: Aggregator) -> None:
    """Sum more than the disk holds."""
    for number in range(200):
        one.receive([raw(sent(f"b{number}", labels="abcdef"))], NOW_NS)


def test_a_full_disk_changes_nothing(tmp_path: Path):
    """What cannot be written is an error, and neither the sum nor the file has changed; with room
    again the same message is summed, and a withdrawal is as well."""
    with small_disk(tmp_path / "disk", 4) as disk, aggregating(disk.folder / "a.db") as one:
        one.receive([raw(sent("a"))], NOW_NS)
        disk.fill()
        with pytest.raises(StateError):
            fill_up(one)
        assert one.sums.digest() == stored_sum(one)
        assert one.sums.samples == one.file.sample_count()
        disk.free()
        assert one.receive([raw(sent("c"))], NOW_NS)[0].state == "summed"
        assert one.receive([empty("a", 2)], NOW_NS)[0].state == "withdrawn"
        assert one.sums.digest() == stored_sum(one)


def test_only_the_owner_reads_the_sums(tmp_path: Path):
    """As with the knowledge file; the log and its index as well."""
    with aggregating(tmp_path / "a.db") as one:
        one.receive([raw(sent("a"))], NOW_NS)
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        assert len(modes) == 4
        assert set(modes.values()) == {0o600}
