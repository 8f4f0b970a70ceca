from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import hdc
from edge.core import limits
from edge.core.session.stream import (
    OWN_WEIGHT,
    STAY_RATES,
    DomainFilter,
    DomainVotes,
    RouterLogits,
    SampleAssessment,
    StreamState,
    StreamStates,
    nearest_domain,
    posterior,
)

CODES = hdc.identity_geometry(4, ((0, 4),), 1).project(np.zeros((1, 4), np.uint8))


def glance(key: str, domain: str = "home", **near: int) -> SampleAssessment:
    """An assessment of an observation that is nearest to a domain."""
    verdict = hdc.Verdict(known=True, domain=domain, label="a", score=1, p_value=0.5)
    return SampleAssessment(
        key=key,
        codes=CODES,
        verdict=verdict,
        placement=verdict,
        novelties=dict(sorted(near.items())) or {domain: 0},
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
    """After a change of knowledge, the window is assessed again."""
    stream = shown(2, glance("a", "old"))
    stream.refresh(lambda kept: [glance(one.key, "new") for one in kept], 7)
    assert [look.verdict.domain for look in stream.window] == ["new"]
    assert stream.version == 7


def test_a_stream_is_in_alarm_while_it_opens_a_domain():
    """A stream with an alarm domain is in alarm."""
    stream = StreamState(length=2)
    assert not stream.alarmed
    stream.alarm_domain = "domain-2"
    assert stream.alarmed


def test_a_window_is_where_it_is_nearest_to_as_a_whole():
    """One observation nearest to another domain does not move a window."""
    stream = shown(3, glance("a", a=1, b=9), glance("b", a=6, b=5), glance("c", a=1, b=9))
    assert stream.window_domain == "a"


def test_a_domain_not_looked_at_counts_as_far():
    """A domain that an observation was not compared with counts as its farthest."""
    assert nearest_domain([glance("a", a=4, b=5), glance("b", b=1, c=9)]) == "b"


def test_neighbours_outweigh_a_stray_look():
    """Among observations of one domain, a stray one is assigned to that domain."""
    looks = [glance(str(at), a=0, b=100) for at in range(16)]
    looks[8] = glance("8", a=60, b=0)
    assert shown(16, *looks).smoothed_domain(8) == "a"


def test_where_domains_come_mixed_each_look_decides():
    """Between equally many observations of two domains, each is assigned by itself."""
    looks = [glance(str(at), a=100 * (at % 2), b=100 * (1 - at % 2)) for at in range(17)]
    stream = shown(16, *looks)
    assert [stream.smoothed_domain(at) for at in (7, 8, 9)] == ["b", "a", "b"]


def test_an_observation_is_settled_half_a_window_late():
    """The newest observation with half a window after it is smoothed."""
    stream = shown(4, *(glance(key) for key in "ab"))
    assert stream.fixed_lag() is None
    stream.push(glance("c"))
    found = stream.fixed_lag()
    assert found is not None
    assert found[0].key == "a"


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5), min_size=1), min_size=1),
    st.integers(0, 9),
)
def test_incremental_votes_equal_votes_from_scratch(nears, gone):
    """Votes updated one by one, removals included, equal those summed from scratch."""
    looks = [glance(str(at), **near) for at, near in enumerate(nears)]
    standing, left = DomainVotes(), looks[min(gone, len(looks) - 1) :]
    for look in looks:
        standing.add(look.novelties)
    for look in looks[: -len(left)]:
        standing.remove(look.novelties)
    assert standing.leader() == nearest_domain(left)
    weighted = [(left[-1].novelties, OWN_WEIGHT)]
    assert standing.leader_with(weighted) == nearest_domain(left, left[-1])


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 5), min_size=1)),
    st.sampled_from([1, 2, 3, 4]),
)
def test_a_stream_knows_where_it_is(nears, length):
    """Window and smoothed observation get the domain of their summed novelties, in windows of even
    and odd length."""
    stream = StreamState(length=length)
    for at, near in enumerate(nears):
        stream.push(glance(str(at), **near))
        found = stream.fixed_lag()
        assert stream.window_domain == nearest_domain(stream.window)
        if found:
            assert found[1] == stream.smoothed_domain(len(stream.recent) - 1 - length // 2)


def test_openings_are_renamed():
    """Alarms follow a renamed domain."""
    streams = StreamStates(2)
    streams.get("s").alarm_domain = "domain-2"
    assert streams.rename("domain-2", "scanner")
    assert streams.alarm_domains() == {"scanner"}
    assert not streams.rename("domain-2", "scanner")


def test_the_stream_silent_for_longest_goes_first():
    """Streams are bounded; the one silent for longest is dropped."""
    streams = StreamStates(2)
    first = streams.get("first")
    for number in range(limits.STREAMS_MAX - 1):
        streams.get(f"s{number}")
    assert streams.get("first") is first
    streams.get("one too many")
    assert streams.get("first") is first
    first.alarm_domain = "kept"
    assert streams.alarm_domains() == {"kept"}


def test_clearing_drops_all_windows():
    """Clearing drops all windows and keeps alarms."""
    streams = StreamStates(2)
    stream = streams.get("s")
    stream.alarm_domain = "domain-2"
    stream.push(glance("a"))
    streams.clear()
    assert stream.window == ()
    assert stream.alarmed


def route(names: tuple[str, ...], row: np.ndarray) -> RouterLogits:
    """What a router says with these logits."""
    places = {name: place for place, name in enumerate(names)}
    return RouterLogits(names, places, row, row.tolist())


def say(domain: int, sure: float = 0.7, domains: int = 3) -> np.ndarray:
    """Log-probabilities that favour one domain."""
    result = np.full(domains, (1 - sure) / (domains - 1))
    result[domain] = sure
    return np.asarray(np.log(result), np.float32)


def test_a_window_outvotes_a_stray():
    """In a stream that stays, one sample that looks like another domain stays with the rest."""
    window = np.array([*[say(1)] * 15, say(0)])
    assert posterior(window).argmax() == 1


def test_a_mixed_stream_is_left_alone():
    """In a stream that mixes domains at random, each sample counts for itself."""
    order = np.random.default_rng(3).integers(0, 3, 32)
    window = np.array([say(domain, 0.9) for domain in order])
    for end in range(16, 32):
        part = window[end - 16 : end]
        assert posterior(part).argmax() == order[end - 1]


def test_a_change_is_followed():
    """Two clear samples of another domain are enough for a stream to have moved."""
    window = np.array([*[say(0, 0.9)] * 14, *[say(2, 0.95)] * 2])
    assert posterior(window).argmax() == 2


def test_one_sample_is_itself():
    """The posterior of a window of one is the router's softmax."""
    np.testing.assert_allclose(posterior(say(1)[None]), np.exp(say(1)), rtol=1e-5)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=64), st.floats(0.34, 0.999999))
def test_a_window_gives_probabilities(domains, sure):
    """For any window the outputs add up to one."""
    result = posterior(np.array([say(domain, sure) for domain in domains]))
    assert result.dtype == np.float32
    assert abs(float(result.sum()) - 1) < 1e-4
    assert (result >= 0).all()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0.34, 0.99999)), min_size=1, max_size=40),
    st.integers(1, 9),
)
def test_a_trail_follows_its_window(result, length):
    """A filter returns, with or without its shortcuts, the most likely domain of its last rows."""
    trail, rows, names = DomainFilter(length), [], ("a", "b", "c")
    for domain, sure in result:
        rows.append(say(domain, sure))
        found = posterior(np.array(rows[-length:]))
        where = trail.update(route(names, rows[-1]))
        assert found[names.index(where)] >= found.max() * (1 - 1e-5)


def test_a_sure_sample_decides_alone():
    """A sample with a lead above the largest prior odds decides alone; others do not."""
    ahead = 1 + 3 * STAY_RATES[-1] / (1 - STAY_RATES[-1])
    for times, place in ((1.1, 2), (0.01, 0)):
        window = np.array([say(0, 0.999999)] * 16)
        window[-1] = [0, 0, np.log(times * ahead)]
        assert posterior(window).argmax() == place
        trail = DomainFilter(16)
        assert [trail.update(route(("0", "1", "2"), row)) for row in window][-1] == str(place)


def test_other_domains_start_a_new_trail():
    """Logits of another set of domains are dropped."""
    trail = DomainFilter(4)
    for _ in range(4):
        trail.update(route(("a", "b", "c"), say(0, 0.99)))
    assert trail.update(route(("a", "b", "d"), say(2, 0.5))) == "d"
