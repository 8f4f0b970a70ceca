"""The fault runs, in small: what they count can fail, and holds."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults_driver import Heard
from benchmarks.faults_fuzz import Fuzzer
from benchmarks.faults_places import untold
from tests.brokers import needs_mosquitto


def _told(number: int, kind: str = "decision", **more: object) -> dict[str, object]:
    return {"schema": f"auricle/v1/{kind}", "sequence": number, "historical": False, **more}


def test_missing_numbers_and_two_meanings_are_counted():
    """A number that neither came nor lies in a gap is missing; one that comes twice with another
    meaning is a conflict, one that comes again as late is none."""
    heard = Heard()
    for told in (_told(1, x=1), _told(1, x=1) | {"historical": True}, _told(3, x=1), _told(7)):
        heard.take(told)
    assert (heard.unreported(), heard.repeated, heard.conflicts) == (4, 1, 0)
    heard.take(_told(8, "gap", first=4, last=5))
    heard.take(_told(3, x=2))
    assert (heard.unreported(), heard.conflicts) == (2, 1)


def test_jumps_of_the_clock_have_to_be_told():
    """Both, there and back, by their size."""
    heard = Heard()
    heard.take(_told(1, "clock-jump", seconds=-946_080_000.0))
    assert untold(heard.jumps) == 1
    heard.take(_told(2, "clock-jump", seconds=5.0))
    assert untold(heard.jumps) == 1
    heard.take(_told(3, "clock-jump", seconds=946_080_003.2))
    assert untold(heard.jumps) == 0


@needs_mosquitto
def test_broken_messages_at_every_door_are_taken_or_refused_with_a_reason(tmp_path: Path):
    """By a daemon in a process of its own, through a real broker and its HTTP door."""
    fuzzed = Fuzzer(tmp_path, seed=4).run(400)
    assert (fuzzed.messages, fuzzed.crashes, fuzzed.bugs, fuzzed.unexplained) == (400, 0, 0, 0)
    assert min(fuzzed.by_door.values()) > 0
