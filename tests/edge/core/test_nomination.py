"""Which observations of an unlearned domain are named, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import hdc
from edge.core import Config, Knowledge, MemoryLedger, Nominate, Wanted, derive, limits
from edge.core.nomination import Nomination
from edge.core.openings import Row
from edge.core.recent import Seen
from edge.core.session import Session
from edge.core.streams import Stream
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
    return derive(MemoryLedger(facts), hdc.plain(WIDE, ((0, WIDE),), 1))


def show(session: Session, known: Knowledge, stream: Stream, count: int, first: int = 0) -> None:
    """Show observations of a cloud that is new; each joins the opening."""
    rows = clouds((7,), first + count, seed=3, width=WIDE)[first:]
    for at, values in enumerate(rows, first):
        key, raw = f"s:{at}", np.asarray(values, np.uint8).tobytes()
        session.recent.put(key, Seen("s", "", at, NEW, raw))
        session.openings.add(NEW, key, Row("a", raw))
        codes = known.geometry.project(np.asarray(values, np.uint8))
        stream.push(session.glance(key, codes, known, session.lay(known)))
    stream.opening = NEW


def renewed(nomination: Nomination, stream: Stream, known: Knowledge) -> Mapping[type, object]:
    """What a renewal says, by its kind."""
    return {type(one): one for one in nomination.renew("s", stream, known)}


def test_what_is_wanted_is_nominated_best_first():
    """As many observations as are named leave as candidates, with what a label needs."""
    known, session = taught(), Session(Config(window=4))
    stream = session.streams.of("s")
    show(session, known, stream, 20)
    found = renewed(Nomination(session), stream, known)
    wanted, kept = found[Wanted], found[Nominate]
    assert isinstance(wanted, Wanted)
    assert isinstance(kept, Nominate)
    assert (wanted.stream, wanted.domain) == ("s", NEW)
    assert 0 < len(wanted.observation_ids) <= limits.WANTED_MAX
    assert tuple(one.observation_id for one in kept.candidates) == wanted.observation_ids
    scores = [one.score for one in kept.candidates]
    assert scores == [1 / place for place in range(1, len(scores) + 1)]
    assert {one.domain for one in kept.candidates} == {NEW}


def test_the_choice_is_renewed_once_there_are_twice_as_many():
    """Until then nothing is said again."""
    known, session = taught(), Session(Config(window=4))
    stream, nomination = session.streams.of("s"), Nomination(session)
    show(session, known, stream, 6)
    assert renewed(nomination, stream, known)
    show(session, known, stream, 5, first=6)
    assert not renewed(nomination, stream, known)
    show(session, known, stream, 1, first=11)
    assert renewed(nomination, stream, known)


def test_nothing_is_wanted_of_a_domain_that_is_learned():
    """Neither without an opening, nor where the opening has facts."""
    known, session = taught(), Session(Config(window=4))
    stream = session.streams.of("s")
    show(session, known, stream, 6)
    assert not renewed(Nomination(session), stream, taught(NEW))
    stream.opening = ""
    assert not renewed(Nomination(session), stream, known)


def test_learned_domains_answer_where_only_openings_are_near():
    """Of many concepts the nearest few may all be an opening's own: labels are wanted there too."""
    known, session = taught(), Session(Config(window=4))
    stream = session.streams.of("s")
    show(session, known, stream, 8)
    told = renewed(Nomination(session), stream, known)[Wanted]
    alone = Stream(4, opening=NEW)
    for glance in stream.recent:
        alone.push(replace(glance, near={NEW: 5}))
    assert renewed(Nomination(session), alone, known)[Wanted] == told
