"""The explanation of an observation for labelling."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edge.core.events import Decision, ForgetRequest, Observation
from edge.core.facts import Selector
from edge.core.session.explanation import COLUMNS_MAX, CONCEPT_FACTS_MAX, EXAMPLES_MAX, Explanation
from tests.worlds import World, clouds, fact


def taught(width: int = 16, count: int = 60) -> World:
    """A world that knows two clouds in the domain home."""
    rows = clouds((1, 2), count, width=width)
    facts = [
        replace(
            fact(f"{'ab'[at // count]}{at}", "ab"[at // count], "home", at, width=width),
            features=np.asarray(row, np.uint8).tobytes(),
        )
        for at, row in enumerate(rows)
    ]
    return World(facts, width=width)


def explained(world: World, row: object) -> tuple[Decision, Explanation]:
    """The decision on a sample, and its explanation."""
    (decision, *_) = world.feed(
        Observation(stream="cam", sequence=1, captured_at_ns=5, payload=row)
    )
    assert isinstance(decision, Decision)
    found = world.runtime.explain("cam:1")
    assert found is not None
    return decision, found


def test_an_explanation_agrees_with_the_decision():
    """Guess, p-value and verdict are those that were served."""
    for centre in (2, 7):
        world = taught()
        decision, found = explained(world, clouds((centre,), 1, seed=5, width=16)[0])
        assert (found.guess, found.p_value) == (decision.guess, decision.p_value)
        assert found.known is decision.known
        assert found.stream == "cam"


def test_examples_are_the_nearest_of_all():
    """No fact is nearer than those shown, which come nearest first."""
    world = taught()
    row = clouds((2,), 1, seed=5, width=16)[0]
    _, found = explained(world, row)
    batches = list(world.ledger.batches())
    distances = {
        one: float(np.sqrt(np.square(values.astype(float) - row).mean()))
        for batch in batches
        for one, values in zip(batch.ids, batch.features, strict=True)
    }
    nearest = sorted(distances, key=lambda one: (distances[one], one))[:EXAMPLES_MAX]
    assert [one.observation_id for one in found.examples] == nearest
    assert {one.label for one in found.examples} == {found.label} == {"b"}
    assert [one.distance for one in found.examples] == [distances[one] for one in nearest]


def test_the_most_different_column_comes_first():
    """A column far outside the range of the nearest concept leads, with that range."""
    world = taught()
    rows = np.stack(clouds((2,), 60, width=16))
    strange = rows[0].copy()
    column = int(np.argmin(rows.mean(axis=0)))
    strange[column] = 255
    _, found = explained(world, strange)
    first = found.columns[0]
    assert (first.column, first.level) == (column, 255)
    assert first.low <= first.mean <= first.high < 255
    assert len(found.columns) == COLUMNS_MAX
    assert found.compared == 60


def test_large_concepts_are_sampled():
    """A bounded number of facts is compared, so that an explanation stays fast."""
    world = taught(count=CONCEPT_FACTS_MAX + 100)
    _, found = explained(world, clouds((2,), 1, seed=5, width=16)[0])
    assert CONCEPT_FACTS_MAX // 2 <= found.compared <= CONCEPT_FACTS_MAX


def test_nothing_known_is_no_error():
    """Without facts, and for a forgotten observation, there is no guess and no error."""
    world = World(width=16)
    world.feed(
        Observation(
            stream="cam", sequence=1, captured_at_ns=5, payload=clouds((2,), 1, width=16)[0]
        )
    )
    found = world.runtime.explain("cam:1")
    assert found is not None
    assert (found.guess, found.examples, found.columns) == ("", (), ())
    world.feed(
        ForgetRequest(
            request_id="r", selector=Selector(ids=frozenset({"cam:1"})), requested_at_ns=9
        )
    )
    assert world.runtime.explain("cam:1") is None
