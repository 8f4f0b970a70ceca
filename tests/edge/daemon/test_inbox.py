from __future__ import annotations

import threading

import numpy as np

from edge.config.streams import HttpStream
from edge.daemon import inbox as room
from edge.daemon.inbox import Inbox
from edge.daemon.stream_counters import StreamCounters
from edge.sources.measurement import InvalidMeasurement, Measurement


def streams(*names: str, rate_max: float = 0.0) -> dict[str, StreamCounters]:
    """Streams with an HTTP source."""
    return {name: StreamCounters(name, HttpStream(rate_max=rate_max), "1") for name in names}


def make_inbox(*names: str, rate_max: float = 0.0) -> Inbox[str]:
    """An inbox for some streams."""
    return Inbox(streams(*names, rate_max=rate_max), lambda: None)


def measure(stream: str, value: float = 0.0, size: int = 1) -> Measurement:
    """A small measurement."""
    return Measurement(stream, np.full(size, value, np.float32))


def test_measurements_come_out_in_order():
    """The first measurement added is the first taken, and all are counted."""
    taken = make_inbox("a", "b")
    for number, name in enumerate("aba"):
        assert taken.offer(measure(name, number))
    found = [taken.take() for _ in range(4)]
    assert [one.stream if one else None for one in found] == ["a", "b", "a", None]
    assert taken.streams["a"].received == 2
    assert len(taken) == 0


def test_the_oldest_of_the_fullest_stream_goes():
    """A flooding stream drops its own oldest measurement and counts it; other streams lose none."""
    taken = make_inbox("calm", "flood")
    taken.offer(measure("calm"))
    for number in range(room.OBSERVATIONS_MAX + 50):
        taken.offer(measure("flood", number))
    assert taken.streams["flood"].dropped == 51
    assert taken.streams["calm"].dropped == 0
    first, second = taken.take(), taken.take()
    assert first is not None
    assert second is not None
    assert (first.stream, float(second.payload[0])) == ("calm", 51.0)
    assert taken.room("flood") == 0


def test_bytes_are_bounded_too(monkeypatch):
    """Large measurements displace older ones by their size."""
    monkeypatch.setattr(room, "BYTES_MAX", 10_000)
    taken = make_inbox("a")
    offered = [taken.offer(measure("a", size=1_000)) for _ in range(4)]
    assert offered == [True, True, False, False]
    assert len(taken) == 2


def test_commands_are_never_dropped_but_refused():
    """If too many commands wait, the next is refused with a reason, and all others are kept."""
    taken = make_inbox()
    answers = [taken.add_command(str(number)) for number in range(room.COMMANDS_MAX + 1)]
    assert set(answers[:-1]) == {""}
    assert "wait already" in answers[-1]
    assert taken.crowded
    taken.refusing = "the outbox is full"
    assert taken.add_command("x") == "the outbox is full"
    assert [taken.take_command() for _ in range(room.COMMANDS_MAX)] == [
        str(number) for number in range(room.COMMANDS_MAX)
    ]


def test_a_stream_that_comes_too_fast_is_cut():
    """rate_max admits a burst of one second, and counts the rest as dropped."""
    taken = make_inbox("a", rate_max=5.0)
    assert sum(taken.offer(measure("a")) for _ in range(50)) in {5, 6}
    assert taken.streams["a"].dropped >= 44


def test_other_threads_wake_the_loop_and_lose_nothing():
    """With four threads adding at once, every measurement is taken or counted, and the loop is
    woken."""
    woken: list[int] = []
    taken: Inbox[str] = Inbox(streams("a"), lambda: woken.append(1))
    taken.offer(measure("a"))
    assert not woken
    threads = [
        threading.Thread(target=lambda: [taken.offer(measure("a")) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream = taken.streams["a"]
    assert stream.received == 2_001
    assert stream.dropped + len(taken) == 2_001
    assert woken


def test_rejections_are_counted_and_the_newest_kept():
    """An invalid measurement counts as received and rejected."""
    taken = make_inbox("a")
    for _ in range(room.REJECTIONS_MAX + 5):
        taken.reject("a", InvalidMeasurement("bad", ""))
    taken.reject("unknown", InvalidMeasurement("bad", ""))
    assert taken.streams["a"].rejected == room.REJECTIONS_MAX + 5
    rejections = 0
    while taken.take_rejection():
        rejections += 1
    assert rejections == room.REJECTIONS_MAX
    assert not taken.offer(measure("unknown"))
