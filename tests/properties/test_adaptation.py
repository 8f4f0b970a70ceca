"""Adaptation without labels changes answers alone, for any sequence of events."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.adaptation import OPENING_BYTES_MAX
from edge.core.config import Config
from edge.core.events import Decision, Enrol, FitGeometry, ForgetRequest, Label
from edge.core.facts import Selector
from tests.edge.core.session.adapted_worlds import NAMES, WIDE, seen
from tests.worlds import World, fact

Steps = st.lists(
    st.one_of(
        # A stretch of a stream: how far it has moved, how many samples, of which seed.
        st.tuples(st.sampled_from((0.0, 1.0, -1.5)), st.integers(1, 60), st.integers(0, 3)),
        # A label of the newest observation but so many.
        st.integers(0, 80),
        # A forget request for the newest observations, or for a label.
        st.integers(1, 40).map(lambda count: Selector(ids=frozenset(map(str, range(count))))),
        st.sampled_from(NAMES).map(lambda name: Selector(label=name)),
        st.just("crash"),
    ),
    max_size=8,
)


def worlds() -> tuple[World, World]:
    """A world that adapts and one that does not, each with three classes in one domain."""
    classes = np.random.default_rng(1).integers(0, len(NAMES), 60)
    facts = [
        fact(f"t{at:02}", NAMES[one], at=at, width=WIDE) for at, one in enumerate(classes.tolist())
    ]
    made = []
    for policy in ("auto", "off"):
        world = World(width=WIDE, config=Config(window=4, adaptation=policy, false_alarm_rate=0.1))
        world.feed(Enrol(tuple(facts)))
        world.feed(FitGeometry())
        made.append(world)
    return made[0], made[1]


def play(world: World, steps: list[object]) -> None:
    """Feed the steps to a world."""
    shown: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            moved, count, seed = step
            classes = np.random.default_rng(seed).integers(0, len(NAMES), count)
            for at, row in enumerate(seen(classes, moved, seed)):
                found = world.observe(row, 100 * (number + 1) + at)
                shown += [one.observation_id for one in found if isinstance(one, Decision)]
        elif isinstance(step, int) and shown:
            world.feed(Label(shown[-1 - step % len(shown)], NAMES[step % 3]))
        elif isinstance(step, Selector):
            chosen = Selector(ids=frozenset(shown[-len(step.ids) :])) if step.ids else step
            world.feed(ForgetRequest(request_id=f"r{number}", selector=chosen))
        elif step == "crash":
            world.crash()


@settings(max_examples=40)
@given(Steps)
def test_facts_and_digest_do_not_depend_on_adaptation(steps):
    """After any streams, labels, forget requests and crashes, facts and digest are bit for bit
    those of a device that does not adapt, and follow from the facts; every domain stays bounded."""
    adapts, plain = worlds()
    for world in (adapts, plain):
        play(world, steps)
    assert adapts.ledger.contents() == plain.ledger.contents()
    assert adapts.runtime.digest() == plain.runtime.digest() == adapts.derived()
    for kept in adapts.runtime.adapted_domains().values():
        assert kept.nbytes <= OPENING_BYTES_MAX
