from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.core.session.domain_filter import STAYS, DomainFilter, posterior


def say(domain: int, sure: float = 0.7, domains: int = 3) -> np.ndarray:
    """Log-probabilities that favour one domain."""
    said = np.full(domains, (1 - sure) / (domains - 1))
    said[domain] = sure
    return np.asarray(np.log(said), np.float32)


def test_a_window_outvotes_a_stray():
    """In a stream that stays, one sample that looks like another domain stays with the rest."""
    window = np.array([*[say(1)] * 15, say(0)])
    assert posterior(window).argmax() == 1


def test_a_mixed_stream_is_left_alone():
    """Where domains come at random, each sample counts for itself."""
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
    """A window of one says what the router said."""
    np.testing.assert_allclose(posterior(say(1)[None]), np.exp(say(1)), rtol=1e-5)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=64), st.floats(0.34, 0.999999))
def test_a_window_gives_probabilities(domains, sure):
    """Whatever the window, what comes out adds up to one."""
    said = posterior(np.array([say(domain, sure) for domain in domains]))
    assert said.dtype == np.float32
    assert abs(float(said.sum()) - 1) < 1e-4
    assert (said >= 0).all()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0.34, 0.99999)), min_size=1, max_size=40),
    st.integers(1, 9),
)
def test_a_trail_follows_its_window(said, length):
    """What a trail returns, by a short cut or not, is what its last rows say together."""
    trail, rows, names = DomainFilter(length), [], ("a", "b", "c")
    for domain, sure in said:
        rows.append(say(domain, sure))
        found = posterior(np.array(rows[-length:]))
        where = trail.follow(names, rows[-1])
        assert found[names.index(where)] >= found.max() * (1 - 1e-5)


def test_a_sure_sample_decides_alone():
    """A sample that is surer than the slowest rate of moving allows needs no past; others do."""
    ahead = 1 + 3 * STAYS[-1] / (1 - STAYS[-1])
    for times, place in ((1.1, 2), (0.01, 0)):
        window = np.array([say(0, 0.999999)] * 16)
        window[-1] = [0, 0, np.log(times * ahead)]
        assert posterior(window).argmax() == place
        trail = DomainFilter(16)
        assert [trail.follow(("0", "1", "2"), row) for row in window][-1] == str(place)


def test_other_domains_start_a_new_trail():
    """Rows that say something of other domains are dropped."""
    trail = DomainFilter(4)
    for _ in range(4):
        trail.follow(("a", "b", "c"), say(0, 0.99))
    assert trail.follow(("a", "b", "d"), say(2, 0.5)) == "d"
