from __future__ import annotations

import numpy as np

import hdc
from edge.core import limits
from edge.core.streams import Stream, Streams

CODES = hdc.plain(4, ((0, 4),), 1).project(np.zeros((1, 4), np.uint8))


def verdict(domain: str, *, known: bool) -> hdc.Verdict:
    """A verdict for a domain."""
    return hdc.Verdict(known=known, domain=domain, label="a", score=1, p_value=0.5)


def test_a_window_fills_and_slides():
    """A stream's window is full from its length on and keeps the newest verdicts."""
    stream = Stream(2)
    pushed = [stream.push(key, CODES, verdict(key, known=True)) for key in "abc"]
    assert pushed == [False, True, True]
    assert [kept.domain for kept in stream.verdicts] == ["b", "c"]
    assert [key for key, _ in stream.verdicts_by_key()] == ["a", "b", "c"]


def test_verdicts_are_given_again():
    """After knowledge has changed, the window holds what the new knowledge says."""
    stream = Stream(2)
    stream.push("a", CODES, verdict("old", known=False))
    stream.refresh(lambda _codes: verdict("new", known=True), 7)
    assert [kept.domain for kept in stream.verdicts] == ["new"]
    assert stream.version == 7


def test_a_stream_is_in_alarm_while_it_opens_a_domain():
    """The name of the domain being opened is the alarm."""
    stream = Stream(2)
    assert not stream.alarmed
    stream.opening = "domain-2"
    assert stream.alarmed


def test_openings_are_renamed():
    """Streams that open a domain follow its new name."""
    streams = Streams(2)
    streams.of("s").opening = "domain-2"
    assert streams.rename("domain-2", "scanner")
    assert streams.openings() == {"scanner"}
    assert not streams.rename("domain-2", "scanner")


def test_the_stream_silent_for_longest_goes_first():
    """Streams are bounded; hearing of one keeps it."""
    streams = Streams(2)
    first = streams.of("first")
    for number in range(limits.STREAMS_MAX - 1):
        streams.of(f"s{number}")
    assert streams.of("first") is first
    streams.of("one too many")
    assert streams.of("first") is first
    first.opening = "kept"
    assert streams.openings() == {"kept"}


def test_clearing_drops_all_windows():
    """What was forgotten may be in any window, so all go; alarms stay."""
    streams = Streams(2)
    stream = streams.of("s")
    stream.opening = "domain-2"
    stream.push("a", CODES, verdict("home", known=True))
    streams.clear()
    assert stream.verdicts == ()
    assert stream.alarmed
