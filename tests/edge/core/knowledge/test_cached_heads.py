from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import hdc
from edge.core import limits
from edge.core.adaptors import Adaptor
from edge.core.config import Config
from edge.core.events import RemoveAdaptor, StoreAdaptor, StoreFacts
from edge.core.facts import Fact, hash_rank
from edge.core.jobs import GrowthJob
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.knowledge.refits import HeadRefit, Refit
from tests.growers import record_of
from tests.worlds import WIDTH, fact, vector

GEOMETRY = hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1)
FACTS = [fact(f"f{row:02}", "ab"[row % 2], "xy"[row % 3 == 0], row, seed=row) for row in range(24)]
ROWS = np.array([vector(seed) for seed in range(9)])


class World:
    """Knowledge of two domains, both of which have answered, over its ledger."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(FACTS)
        self.known: Knowledge = derive_knowledge(self.ledger, GEOMETRY)
        for domain in ("y", "x"):
            self.known.adaptor(domain)

    def learn(self, *facts: Fact) -> None:
        """Learn facts, in knowledge and ledger."""
        self.known.add(facts)
        self.ledger.apply(StoreFacts(facts=facts, evicted=()))

    def stale(self) -> HeadRefit:
        """Return the background fit of a head that is due, with its facts read; fails if there is
        none.  Thresholds and router are fitted before."""
        while True:
            found = self.known.next_refit()
            assert found is not None
            self.gather(found)
            if isinstance(found, HeadRefit):
                return found
            found.solve()
            self.known.accept(found, solved=True)

    def gather(self, found: Refit) -> None:
        """Read the facts of a fit."""
        found.gather(self.ledger)
        assert self.known.prepare(found)

    def solve(self, found: HeadRefit) -> Adaptor:
        """Solve a fit, hand it in, and return the result."""
        found.solve()
        made = found.made
        assert made is not None
        self.known.accept(found, solved=True)
        return made

    def settled(self) -> bool:
        """Return whether no head is left to fit, whatever else is."""
        while (found := self.known.next_refit()) is not None:
            if isinstance(found, HeadRefit):
                return False
            self.gather(found)
            found.solve()
            self.known.accept(found, solved=True)
        return True

    def fresh(self, domain: str) -> list[list[float]]:
        """What knowledge derived from the ledger answers."""
        answers = derive_knowledge(self.ledger, GEOMETRY).adaptor(domain).answer(ROWS)
        return [row.tolist() for row in answers]


@pytest.fixture
def world() -> World:
    """Two domains in use."""
    return World()


def job_for(world: World, domain: str) -> GrowthJob:
    """The growth job of a domain."""
    own, others = world.known.training_facts(domain)
    return GrowthJob(
        id="j",
        domain=domain,
        version=1,
        seed=1,
        budget=Config().budget,
        spans=GEOMETRY.slices,
        own=own,
        others=others,
    )


def test_nothing_is_stale_before_a_fact_changes(world):
    """No head is stale before a fact changes."""
    assert world.settled()
    assert derive_knowledge(world.ledger, GEOMETRY).next_refit() is None


def test_recently_used_heads_are_solved_first_in_the_background(world):
    """After a label both domains' heads are stale, and those solved in the background equal those
    derived from the ledger."""
    world.learn(fact("new", "a", "x", 99, seed=99))
    for domain in ("x", "y"):
        fitting = world.stale()
        assert fitting.domain == domain
        made = world.solve(fitting)
        assert world.known.adaptor(domain) is made
        assert made.answer(ROWS).tolist() == world.fresh(domain)
    assert world.settled()


def test_an_idle_domain_is_solved_in_the_background_once(world):
    """A domain that has not answered since is not solved in the background again."""
    world.learn(fact("new", "a", "x", 99, seed=99))
    for _ in range(2):
        world.solve(world.stale())
    world.known.adaptor("y")
    world.learn(fact("more", "b", "x", 100, seed=100))
    fitting = world.stale()
    assert fitting.domain == "y"
    world.known.accept(fitting, solved=False)
    assert world.settled()


@pytest.mark.parametrize("domain", ["x", "y", "z"])
def test_a_background_fit_of_changed_facts_does_not_answer(world, domain):
    """A fact of any domain that arrives during a background fit outdates its result."""
    world.learn(fact("new", "a", "x", 99, seed=99))
    fitting = world.stale()
    world.learn(fact("more", "b", domain, 100, seed=100))
    made = world.solve(fitting)
    assert world.known.adaptor("x") is not made
    assert world.known.adaptor("x").answer(ROWS).tolist() == world.fresh("x")


def test_a_fact_beyond_the_sample_changes_nothing(world, monkeypatch):
    """With full samples, a fact that hashes higher does not outdate the expected fit."""
    monkeypatch.setattr(limits, "HEAD_FACTS_MAX", 6)
    monkeypatch.setattr(limits, "SUPPORT_FACTS_MAX", 4)
    world.known.refit("x")
    world.known.adaptor("x")
    world.known.refit("x")
    fitting = world.stale()
    many = [fact(f"more{row}", "a", "x", row, seed=row) for row in range(99)]
    beyond = [one for one in many if not fitting.scopes[0].changes(hash_rank(one.id))]
    world.learn(beyond[0])
    made = world.solve(fitting)
    assert world.known.adaptor("x") is made


def test_an_adaptor_solved_on_demand_is_kept(world):
    """An adaptor solved on demand during a background fit is kept."""
    world.learn(fact("new", "a", "x", 99, seed=99))
    fitting = world.stale()
    made = world.known.adaptor("x")
    world.solve(fitting)
    assert world.known.adaptor("x") is made


def test_a_new_adaptor_is_solved_before_it_serves(world):
    """An adaptor solved on top of a record answers once the record serves, not before."""
    record = record_of(job_for(world, "x"))
    fitting = world.known.head_for(record)
    world.gather(fitting)
    before = world.known.adaptor("x")
    world.ledger.apply(StoreAdaptor(record))
    world.known.refit("x")
    made = world.solve(fitting)
    assert before is not made
    assert world.known.adaptor("x") is made
    assert made.answer(ROWS).tolist() == world.fresh("x")


def test_a_removed_record_leaves_no_adaptor(world):
    """A record that was refused or removed leaves no adaptor behind."""
    record = record_of(job_for(world, "x"))
    fitting = world.known.head_for(record)
    world.gather(fitting)
    world.solve(fitting)
    world.known.refit("x")
    assert world.known.adaptor("x").answer(ROWS).tolist() == world.fresh("x")
    world.ledger.apply(StoreAdaptor(record))
    world.known.refit("x")
    fitting = world.stale()
    world.ledger.apply(RemoveAdaptor("x", 1))
    world.known.refit("x")
    world.solve(fitting)
    assert world.known.adaptor("x").answer(ROWS).tolist() == world.fresh("x")


def test_a_record_of_a_domain_without_facts_is_not_solved(world):
    """A record of a domain without facts yields no fit."""
    assert world.known.head_for(replace(record_of(job_for(world, "x")), domain="z")) is None


def test_solved_adaptors_are_bounded(world, monkeypatch):
    """Beyond the bound the adaptor not used for longest is dropped; used again, it answers the
    same."""
    before = world.known.adaptor("x")
    world.known.adaptor("y")
    monkeypatch.setattr(limits, "HEADS_BYTES_MAX", before.nbytes + 1)
    world.known.refit("y")
    world.known.adaptor("y")
    again = world.known.adaptor("x")
    assert again is not before
    assert again.answer(ROWS).tolist() == before.answer(ROWS).tolist()
    assert world.known.adaptor("x") is again
