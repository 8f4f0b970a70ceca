"""Evaluation without side effects, and routing counts."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

import encoder
from edge.core.events import Decision, StoreAdaptor
from edge.core.jobs import GrowthJob
from edge.sim.evaluation import decide_sample, decide_stream, tabulate_routing, without_adaptors
from tests.growers import record_of
from tests.worlds import World, clouds, fact, vector

CENTRES = (11, 22, 33, 44)


def taught() -> World:
    """Two domains of two classes each, far apart."""
    rows = clouds(CENTRES, 12)
    names = [("home", "a"), ("home", "b"), ("away", "a"), ("away", "b")]
    facts = [
        fact(f"f-{at:03}", names[at // 12][1], names[at // 12][0], at, seed=0) for at in range(48)
    ]
    return World(
        replace(one, captured_at_ns=at, features=rows[at].tobytes()) for at, one in enumerate(facts)
    )


def test_an_evaluation_gives_the_decisions_of_the_runtime() -> None:
    """Domain and guess are those of a decision, and the runtime stays unchanged."""
    world = taught()
    before = world.runtime.digest()
    for seed in CENTRES:
        found = decide_sample(world.runtime.knowledge, encoder.Features(vector(seed)), world.config)
        answer = world.observe(vector(seed), seed, stream=f"s{seed}")[0]
        assert isinstance(answer, Decision)
        assert (found.domain, found.guess, found.known) == (
            answer.domain,
            answer.guess,
            answer.known,
        )
    assert world.runtime.digest() == before


def test_routing_is_counted_by_sample_and_by_window() -> None:
    """Rows are truths, homes lie on the diagonal, and a row of windows has one for each place."""
    world = taught()
    known, config = world.runtime.knowledge, world.config
    rows = {
        name: [encoder.Features(values) for values in clouds((seed,), 20, seed=9)]
        for name, seed in (("far", 33), ("near", 11), ("never", 55))
    }
    singles = {
        name: [decide_sample(known, row, config) for row in found] for name, found in rows.items()
    }
    streams = {name: decide_stream(known, found, config) for name, found in rows.items()}
    learned = {("far", "away"): 24, ("near", "home"): 24}
    routing = tabulate_routing(
        singles, streams, learned=learned, knowledge=known, window=config.window
    )
    assert routing.rows == ("far", "near", "never")
    assert routing.columns == ("away", "home")
    assert routing.homes == (0, 1, None)
    assert routing.counts[:2] == ((20, 0), (0, 20))
    assert routing.windows[:2] == ((5, 0), (0, 5))


def test_heads_answer_without_adaptors() -> None:
    """The same facts and geometry without their adaptors give the scores of the head."""
    world = taught()
    known = world.runtime.knowledge
    own, others = known.training_facts("home")
    plain = known.adaptor("home").answer(vector(11))
    job = GrowthJob(
        id="home:1",
        domain="home",
        version=1,
        seed=1,
        budget=world.config.budget,
        spans=((0, 8),),
        own=own,
        others=others,
    )
    world.ledger.apply(StoreAdaptor(record_of(job)))
    known.refit("home")
    adapted = known.adaptor("home").answer(vector(11))
    alone = without_adaptors(known, world.ledger.facts()).adaptor("home").answer(vector(11))
    assert not np.allclose(adapted, plain)
    assert np.allclose(alone, plain)
