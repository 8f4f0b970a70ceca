"""An opened domain that proves to be a known one: its facts follow, on record, and can go back."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.domain_merges import DomainMerge
from edge.core.events import Acknowledgement, ForgetRequest, Label, Rejected, UndoMerge
from edge.core.facts import Selector
from tests.worlds import World, clouds, fact

WIDE = 64
LABELLED = 4


def opened_world() -> World:
    """A world whose runtime has opened domain-2 and learned four of its observations."""
    facts = [
        replace(fact(f"t{row:04}", "a", at=row), features=values.tobytes())
        for row, values in enumerate(clouds((1,), 120, width=WIDE))
    ]
    world = World(facts, width=WIDE, config=Config(window=8))
    for at, row in enumerate(clouds((7,), 40, seed=5, width=WIDE)):
        world.observe(np.asarray(row), at, subject="ann" if at == 0 else "bob")
    for at in range(LABELLED):
        world.feed(Label(f"s:{at + 20}", "a"))
    assert domains(world) == {"home", "domain-2"}
    return world


def domains(world: World) -> set[str]:
    """The domains of all facts."""
    return {one.domain for one in world.ledger.facts()}


def merge(world: World, source: str = "domain-2", target: str = "home") -> list[Acknowledgement]:
    """Let the session propose a merge; the acknowledgements of the next observation."""
    world.runtime._session.propose_merge(source, target)  # noqa: SLF001
    found = world.observe(np.asarray(clouds((7,), 1, seed=9, width=WIDE)[0]), 100)
    return [one for one in found if isinstance(one, Acknowledgement)]


def test_facts_follow_a_merge_on_record():
    """The facts of a merged domain move, the merge is recorded and acknowledged."""
    world = opened_world()
    (ack,) = merge(world)
    assert domains(world) == {"home"}
    assert ack.count == LABELLED
    assert "relabel --undo s:100" in ack.detail
    (record,) = world.ledger.domain_merges()
    assert (record.id, record.source, record.target) == ("s:100", "domain-2", "home")
    assert set(record.fact_ids) == {f"s:{at + 20}" for at in range(LABELLED)}
    assert world.runtime.digest() == world.derived()


def test_a_merge_can_be_undone_and_stays_undone():
    """After an undo the facts are back, in a restarted runtime too, and nothing merges them
    again."""
    world = opened_world()
    merge(world)
    world.crash()
    before = world.ask(UndoMerge("s:100"), Acknowledgement)
    assert before.count == LABELLED
    assert domains(world) == {"home", "domain-2"}
    assert world.runtime.digest() == world.derived()
    assert not merge(world)
    assert domains(world) == {"home", "domain-2"}
    assert world.ask(UndoMerge("s:100"), Rejected).hint


def test_a_corrected_fact_stays_where_a_person_put_it():
    """An undo moves only the facts that are still where the merge put them."""
    world = opened_world()
    merge(world)
    world.feed(Label("s:20", "a", "kitchen"))
    assert world.ask(UndoMerge("s:100"), Acknowledgement).count == LABELLED - 1
    assert world.ledger.get("s:20").domain == "kitchen"  # type: ignore[union-attr]


def test_a_forgotten_fact_leaves_the_record():
    """A forget request removes its facts from the record, and a record without facts is gone."""
    world = opened_world()
    merge(world)
    world.feed(ForgetRequest(request_id="r1", selector=Selector(ids=frozenset({"s:20"}))))
    assert "s:20" not in world.ledger.domain_merges()[0].fact_ids
    world.feed(ForgetRequest(request_id="r2", selector=Selector(subject="bob")))
    assert not world.ledger.domain_merges()


def test_a_domain_with_a_name_of_its_own_is_merged_by_people_only():
    """A domain that a person named is not merged."""
    world = opened_world()
    world.feed(Label("s:30", "a", "kitchen"))
    assert not merge(world, "kitchen")
    assert "kitchen" in domains(world)


@pytest.mark.parametrize("merge_id", ["", "x" * 201])
def test_an_undo_names_a_merge(merge_id: str):
    """An id that cannot be one is refused."""
    assert "merge_id" in world_without_merges().ask(UndoMerge(merge_id), Rejected).reason


def world_without_merges() -> World:
    """A world with one fact."""
    return World([fact("f1")])


def test_a_record_describes_itself():
    """The acknowledgement says how to undo."""
    record = DomainMerge(id="m", source="domain-2", target="home", at_ns=1, fact_ids=("f",))
    assert str(record) == "merged domain-2 into home; undo: auricle relabel --undo m"
