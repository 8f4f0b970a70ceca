"""Which observations of an unlearned domain are named, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import hdc
from edge.core import limits
from edge.core.config import Config
from edge.core.events import LabelRequest, StoreLabelCandidates
from edge.core.knowledge.knowledge import Knowledge, derive_knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.session.label_buffer import BufferedObservation
from edge.core.session.label_requests import LabelRequests
from edge.core.session.novel_domains import UnlabelledRow
from edge.core.session.session import SessionState
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
    """Show observations of a cloud that is new; each joins the opening."""
    rows = clouds((7,), first + count, seed=3, width=WIDE)[first:]
    for at, values in enumerate(rows, first):
        key, raw = f"s:{at}", np.asarray(values, np.uint8).tobytes()
        session.recent.put(
            key,
            BufferedObservation(
                stream="s", subject="", captured_at_ns=at, domain=NEW, features=raw
            ),
        )
        session.openings.add(NEW, key, UnlabelledRow("a", raw))
        codes = known.geometry.project(np.asarray(values, np.uint8))
        stream.push(session.glance(key, codes, known, session.lay(known)))
    stream.opening = NEW


def renewed(
    nomination: LabelRequests, stream: StreamState, known: Knowledge
) -> Mapping[type, object]:
    """What a renewal says, by its kind."""
    return {type(one): one for one in nomination.renew("s", stream, known)}


def test_what_is_wanted_is_nominated_best_first():
    """As many observations as are named leave as candidates, with what a label needs."""
    known, session = taught(), SessionState(Config(window=4))
    stream = session.streams.of("s")
    show(session, known, stream, 20)
    found = renewed(LabelRequests(session), stream, known)
    wanted, kept = found[LabelRequest], found[StoreLabelCandidates]
    assert isinstance(wanted, LabelRequest)
    assert isinstance(kept, StoreLabelCandidates)
    assert (wanted.stream, wanted.domain) == ("s", NEW)
    assert 0 < len(wanted.observation_ids) <= limits.WANTED_MAX
    assert tuple(one.observation_id for one in kept.candidates) == wanted.observation_ids
    scores = [one.score for one in kept.candidates]
    assert scores == [1 / place for place in range(1, len(scores) + 1)]
    assert {one.domain for one in kept.candidates} == {NEW}


def test_the_choice_is_renewed_once_there_are_twice_as_many():
    """Until then nothing is said again."""
    known, session = taught(), SessionState(Config(window=4))
    stream, nomination = session.streams.of("s"), LabelRequests(session)
    show(session, known, stream, 6)
    assert renewed(nomination, stream, known)
    show(session, known, stream, 5, first=6)
    assert not renewed(nomination, stream, known)
    show(session, known, stream, 1, first=11)
    assert renewed(nomination, stream, known)


def test_nothing_is_wanted_of_a_domain_that_is_learned():
    """Neither without an opening, nor where the opening has facts."""
    known, session = taught(), SessionState(Config(window=4))
    stream = session.streams.of("s")
    show(session, known, stream, 6)
    assert not renewed(LabelRequests(session), stream, taught(NEW))
    stream.opening = ""
    assert not renewed(LabelRequests(session), stream, known)


def test_learned_domains_answer_where_only_openings_are_near():
    """Of many concepts the nearest few may all be an opening's own: labels are wanted there too."""
    known, session = taught(), SessionState(Config(window=4))
    stream = session.streams.of("s")
    show(session, known, stream, 8)
    told = renewed(LabelRequests(session), stream, known)[LabelRequest]
    alone = StreamState(length=4, opening=NEW)
    for glance in stream.recent:
        alone.push(replace(glance, near={NEW: 5}))
    assert renewed(LabelRequests(session), alone, known)[LabelRequest] == told
