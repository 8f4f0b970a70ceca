"""Which observations of an unlearned domain are named, and when."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

import hdc
from edge.core import limits
from edge.core.config import Config
from edge.core.events import LabelRequest, StoreLabelCandidates
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.labelling import choose_candidates, score_candidates
from edge.core.session.label_buffer import BufferedObservation
from edge.core.session.label_requests import LabelRequests
from edge.core.session.novel_domains import UnlabelledRow
from edge.core.session.session_state import SessionState
from edge.core.session.stream import StreamState
from tests.worlds import clouds, fact

WIDE = 16
NEW = "domain-2"


def taught(domain: str = "home") -> Knowledge:
    """Knowledge of two clouds."""
    facts = [
        replace(fact(f"{label}{at}", label, domain, at), features=values.tobytes())
        for label, centre in (("a", 1), ("b", 2))
        for at, values in enumerate(clouds((centre,), 20, width=WIDE))
    ]
    return derive_knowledge(MemoryLedger(facts), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))


def show(
    session: SessionState, known: Knowledge, stream: StreamState, count: int, first: int = 0
) -> None:
    """Show observations of a new cloud; each joins the novel domain."""
    rows = clouds((7,), first + count, seed=3, width=WIDE)[first:]
    for at, values in enumerate(rows, first):
        key, raw = f"s:{at}", np.asarray(values, np.uint8).tobytes()
        session.label_buffer.add(
            key,
            BufferedObservation(
                stream="s", subject="", captured_at_ns=at, domain=NEW, features=raw
            ),
        )
        session.novel_domains.add(NEW, key, UnlabelledRow("a", raw))
        shown = np.asarray(values, np.uint8)
        stream.push(session.assess(key, shown, known, session.reference_model(known)))
    stream.alarm_domain = NEW


def requests_of(session: SessionState) -> LabelRequests:
    """The label requests of a session."""
    return LabelRequests(session.label_buffer, session.novel_domains)


def renewed(
    requests: LabelRequests, stream: StreamState, known: Knowledge
) -> Mapping[type, object]:
    """The effects and messages of an update, by type."""
    return {type(one): one for one in requests.update("s", stream, known)}


def test_requested_observations_become_candidates_best_first():
    """Requested observations are stored as candidates, best first, with the data that a label
    needs."""
    known, session = taught(), SessionState(Config(window=4))
    stream = session.streams.get("s")
    show(session, known, stream, 20)
    found = renewed(requests_of(session), stream, known)
    wanted, kept = found[LabelRequest], found[StoreLabelCandidates]
    assert isinstance(wanted, LabelRequest)
    assert isinstance(kept, StoreLabelCandidates)
    assert (wanted.stream, wanted.domain) == ("s", NEW)
    assert 0 < len(wanted.observation_ids) <= limits.LABEL_REQUEST_MAX
    assert tuple(one.observation_id for one in kept.candidates) == wanted.observation_ids
    scores = [one.score for one in kept.candidates]
    assert scores == [1 / place for place in range(1, len(scores) + 1)]
    assert {one.domain for one in kept.candidates} == {NEW}


def test_the_choice_is_renewed_once_there_are_twice_as_many():
    """A request is repeated once the observations have doubled, and not before."""
    known, session = taught(), SessionState(Config(window=4))
    stream, requests = (
        session.streams.get("s"),
        requests_of(session),
    )
    show(session, known, stream, 6)
    assert renewed(requests, stream, known)
    show(session, known, stream, 5, first=6)
    assert not renewed(requests, stream, known)
    show(session, known, stream, 1, first=11)
    assert renewed(requests, stream, known)


def test_nothing_is_wanted_of_a_domain_that_is_learned():
    """No labels are requested without an alarm, or for a domain with facts."""
    known, session = taught(), SessionState(Config(window=4))
    stream = session.streams.get("s")
    show(session, known, stream, 6)
    assert not renewed(requests_of(session), stream, taught(NEW))
    stream.alarm_domain = ""
    assert not renewed(requests_of(session), stream, known)


def test_learned_domains_answer_where_only_openings_are_near():
    """Labels are requested even if all nearest concepts belong to the novel domain."""
    known, session = taught(), SessionState(Config(window=4))
    stream = session.streams.get("s")
    show(session, known, stream, 8)
    renewed_requests = renewed(requests_of(session), stream, known)[LabelRequest]
    alone = StreamState(length=4, alarm_domain=NEW)
    for glance in stream.recent:
        alone.push(structs.replace(glance, novelties={NEW: 5}))
    assert renewed(requests_of(session), alone, known)[LabelRequest] == renewed_requests


def pool(*counts: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Clouds of so many rows each."""
    rows = [clouds((number + 1,), count, width=WIDE) for number, count in enumerate(counts)]
    return np.concatenate(rows).astype(np.float32)


def test_each_cloud_is_named_once():
    """With as many labels as clouds, one is chosen from each, the largest cloud first."""
    chosen = choose_candidates(pool(10, 30, 20), 3)
    assert [0 if at < 10 else 1 if at < 40 else 2 for at in chosen] == [1, 2, 0]


def test_labelled_clouds_are_not_requested_again():
    """A cloud without a label is preferred to one with a label."""
    rows = pool(30, 20)
    (chosen,) = choose_candidates(rows, 1, labelled=1)
    assert chosen >= 30


def test_the_typical_is_chosen():
    """An outlier of a cluster is not chosen."""
    rows = pool(30)
    rows[7] = 255
    assert choose_candidates(rows, 1) != (7,)


@given(st.integers(0, 12), st.integers(0, 6), st.integers(0, 12), st.integers(0, 5))
def test_a_choice_is_distinct_bounded_and_repeatable(
    rows: int, count: int, labelled: int, kinds: int
):
    """Chosen rows are distinct, unlabelled, bounded in number and repeatable."""
    features = np.random.default_rng(kinds).integers(0, 1 + kinds, (rows, WIDE)).astype(np.float32)
    chosen = choose_candidates(features, count, labelled)
    assert len(set(chosen)) == len(chosen) <= count
    assert all(labelled <= at < rows for at in chosen)
    assert chosen == choose_candidates(features, count, labelled)


def test_scores_ignore_a_common_shift_and_scale():
    """Answers shifted or scaled alike give the same scores."""
    answers = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found = [score_candidates([given]) for given in (answers, 4 * answers + 2)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    assert score_candidates([answers, answers]).shape == (5, 6)
