from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import hdc
from edge.core import limits
from edge.core.session.domain_votes import DomainVotes
from edge.core.session.stream import SampleAssessment, StreamState, StreamStates, nearest_domain

CODES = hdc.identity_geometry(4, ((0, 4),), 1).project(np.zeros((1, 4), np.uint8))


def glance(key: str, domain: str = "home", **near: int) -> SampleAssessment:
    """A look at an observation that is nearest to a domain."""
    verdict = hdc.Verdict(known=True, domain=domain, label="a", score=1, p_value=0.5)
    return SampleAssessment(
        key=key,
        codes=CODES,
        verdict=verdict,
        placed=verdict,
        near=dict(sorted(near.items())) or {domain: 0},
    )


def shown(length: int, *looks: SampleAssessment) -> StreamState:
    """A stream that has shown some observations."""
    stream = StreamState(length=length)
    for look in looks:
        stream.push(look)
    return stream


def test_a_window_fills_and_slides():
    """A stream's window is full from its length on and keeps the newest observations."""
    stream = StreamState(length=2)
    full = []
    for key in "abcdefg":
        stream.push(glance(key))
        full.append(stream.full)
    assert full == [False, True, True, True, True, True, True]
    assert [look.key for look in stream.window] == ["f", "g"]
    assert [look.key for look in stream.recent] == ["b", "c", "d", "e", "f", "g"]


def test_observations_are_looked_at_again():
    """After knowledge has changed, the window holds what the new knowledge says."""
    stream = shown(2, glance("a", "old"))
    stream.refresh(lambda look: glance(look.key, "new"), 7)
    assert [look.verdict.domain for look in stream.window] == ["new"]
    assert stream.version == 7


def test_a_stream_is_in_alarm_while_it_opens_a_domain():
    """The name of the domain being opened is the alarm."""
    stream = StreamState(length=2)
    assert not stream.alarmed
    stream.opening = "domain-2"
    assert stream.alarmed


def test_a_window_is_where_it_is_nearest_to_as_a_whole():
    """One observation that looks like elsewhere does not move a window."""
    stream = shown(3, glance("a", a=1, b=9), glance("b", a=6, b=5), glance("c", a=1, b=9))
    assert stream.here == "a"


def test_a_domain_not_looked_at_counts_as_far():
    """A domain that an observation was not compared with is as far as its farthest."""
    assert nearest_domain([glance("a", a=4, b=5), glance("b", b=1, c=9)]) == "b"


def test_neighbours_outweigh_a_stray_look():
    """Amid observations of one domain a look that leans elsewhere stays in that domain."""
    looks = [glance(str(at), a=0, b=100) for at in range(16)]
    looks[8] = glance("8", a=60, b=0)
    assert shown(16, *looks).place(8) == "a"


def test_where_domains_come_mixed_each_look_decides():
    """Between equally many observations of two domains, each goes where it looks to belong."""
    looks = [glance(str(at), a=100 * (at % 2), b=100 * (1 - at % 2)) for at in range(17)]
    stream = shown(16, *looks)
    assert [stream.place(at) for at in (7, 8, 9)] == ["b", "a", "b"]


def test_an_observation_is_settled_half_a_window_late():
    """The newest observation with half a window after it is settled."""
    stream = shown(4, *(glance(key) for key in "ab"))
    assert stream.settled() is None
    stream.push(glance("c"))
    found = stream.settled()
    assert found is not None
    assert found[0].key == "a"


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5), min_size=1), min_size=1),
    st.integers(0, 9),
)
def test_a_standing_is_what_all_its_looks_say(nears, gone):
    """Kept up to date one by one, also where looks go, it names what adding up anew names."""
    looks = [glance(str(at), **near) for at, near in enumerate(nears)]
    standing, left = DomainVotes(), looks[min(gone, len(looks) - 1) :]
    for look in looks:
        standing.add(look.near)
    for look in looks[: -len(left)]:
        standing.remove(look.near)
    assert standing.first() == nearest_domain(left)
    assert standing.first(left[-1].near) == nearest_domain(left, left[-1])


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 5), min_size=1)))
def test_a_stream_knows_where_it_is(nears):
    """Window and settled observation are placed as their looks say, however many have gone by."""
    stream = StreamState(length=3)
    for at, near in enumerate(nears):
        stream.push(glance(str(at), **near))
        found = stream.settled()
        assert stream.here == nearest_domain(stream.window)
        if found:
            assert found[1] == stream.place(len(stream.recent) - 2)


def test_openings_are_renamed():
    """Streams that open a domain follow its new name."""
    streams = StreamStates(2)
    streams.of("s").opening = "domain-2"
    assert streams.rename("domain-2", "scanner")
    assert streams.openings() == {"scanner"}
    assert not streams.rename("domain-2", "scanner")


def test_the_stream_silent_for_longest_goes_first():
    """Streams are bounded; hearing of one keeps it."""
    streams = StreamStates(2)
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
    streams = StreamStates(2)
    stream = streams.of("s")
    stream.opening = "domain-2"
    stream.push(glance("a"))
    streams.clear()
    assert stream.window == ()
    assert stream.alarmed
