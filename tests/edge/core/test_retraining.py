"""Adaptors that a forget ends: how few, how they are made again, and how growth judges them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

import nas
from edge.core import limits
from edge.core.adaptors import KINDS, SOLVED_KINDS, AdaptorRecord
from edge.core.events import (
    CancelGrowth,
    Effect,
    Enrol,
    Event,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    GrowthReport,
    Publish,
    Rollback,
    StartGrowth,
    StoreAdaptor,
    Tick,
)
from edge.core.facts import Fact, Selector
from edge.core.forgetting import SLICE_FACTS
from edge.core.jobs import GrowthJob, GrowthResult
from edge.core.pending_forgets import AdvanceForget
from edge.core.receipt import AdaptorOutcome, Receipt
from edge.core.reconfigurator import OWN_FACTS_ENOUGH
from edge.core.retraining import derive_arrays, train_again
from edge.core.runtime import Runtime
from tests.worlds import World, fact

SOLVED = {
    "none": nas.Blueprint(kind="none", taps=(0,)),
    "random": nas.Blueprint(kind="random", taps=(0,), width=64, activation="relu"),
    "kernel": nas.Blueprint(kind="kernel", taps=(0,), width=64),
}
TRAINED = nas.Blueprint(kind="linear", taps=(0,), width=4)


def lessons(domain: str, count: int = OWN_FACTS_ENOUGH + 10) -> list[Fact]:
    """Facts of two classes, by turns."""
    start = sum(domain.encode()) * 1_000
    return [fact(f"{domain}-{n:03}", "ab"[n % 2], domain, n, seed=start + n) for n in range(count)]


class DeferringWorld(World):
    """A world whose runtime leaves derivations to the time between decisions, as a daemon does."""

    def crash(self) -> None:
        """Lose everything but the ledger."""
        self.runtime = Runtime(self.config, self.model, self.ledger, deferring=True)


def two_domains(kind: type[World] = World) -> World:
    """A world of two domains with enough facts of their own."""
    world = kind(lessons("home") + lessons("yard"))
    world.crash()
    return world


def step(world: World, event: Event) -> tuple[Effect, ...]:
    """Handle an event and apply its effects; all of them."""
    effects = world.runtime.handle(event)
    for effect in effects:
        world.ledger.apply(effect)
    return effects


def job_of(effects: tuple[Effect, ...]) -> GrowthJob:
    """The job that an event started."""
    (started,) = (one.job for one in effects if isinstance(one, StartGrowth))
    return started


def accepted(job: GrowthJob, blueprint: nas.Blueprint) -> GrowthResult:
    """What a worker returns that has found a blueprint better than the incumbent."""
    trained = train_again(replace(job, blueprint=blueprint), arrays_of)
    assert trained.record is not None
    record = replace(trained.record, provisional=False, accuracy=0.9, incumbent=0.8)
    return replace(trained, record=record, accuracy=0.9, incumbent=0.8, reason="better")


def arrays_of(blueprint, own, others, spans, seed):
    """The arrays of a solved kind, or of a trained one without torch: centres of the labels."""
    if blueprint.kind in SOLVED_KINDS:
        return derive_arrays(blueprint, own, others, spans, seed)
    arrays = derive_arrays(SOLVED["none"], own, others, spans, seed)
    rows = own.features.astype(np.float32).mean(axis=0)
    shapes = KINDS[blueprint.kind].shapes(blueprint, (own.features.shape[1],))
    return arrays | {name: np.resize(rows, shape) for name, shape in shapes.items()}


def refused(job: GrowthJob, accuracy: float = 0.7) -> GrowthFinished:
    """A worker's result without an adaptor."""
    return GrowthFinished(
        GrowthResult(
            job_id=job.id,
            domain=job.domain,
            record=None,
            reason="no better",
            accuracy=accuracy,
            incumbent=0.8,
        )
    )


def grow(world: World, domain: str, blueprint: nas.Blueprint) -> AdaptorRecord:
    """Grow an adaptor of a blueprint; the record that serves."""
    job = job_of(step(world, GrowRequest(domain)))
    step(world, GrowthFinished(accepted(job, blueprint)))
    return world.ledger.adaptors()[domain][0]


def forget(world: World, *ids: str, request: str = "r") -> tuple[Effect, ...]:
    """Forget facts."""
    return step(world, ForgetRequest(request_id=request, selector=Selector(ids=frozenset(ids))))


def receipt_of(world: World) -> Receipt:
    """The last receipt."""
    return world.ledger.receipts[-1]


def twin(world: World, gone: str) -> World:
    """A world of the same facts but one, which it never saw."""
    facts = [one for one in lessons("home") + lessons("yard") if one.id != gone]
    made = World(facts)
    assert made.runtime.digest() == world.runtime.digest()
    return made


def test_own_facts_alone_decide_where_they_are_enough() -> None:
    """With 300 own facts a job holds neither facts nor records of other domains; with fewer it
    holds both."""
    world = two_domains()
    grow(world, "home", SOLVED["kernel"])
    job = job_of(step(world, GrowRequest("yard")))
    assert (len(job.own), len(job.others), job.reusable) == (OWN_FACTS_ENOUGH + 10, 0, ())
    small = World(lessons("home") + lessons("yard", OWN_FACTS_ENOUGH - 1))
    grow(small, "home", SOLVED["kernel"])
    job = job_of(step(small, GrowRequest("yard")))
    assert (len(job.others), len(job.reusable)) == (OWN_FACTS_ENOUGH + 10, 1)


def test_an_incumbent_that_other_domains_have_shaped_does_not_compete() -> None:
    """A version grown with the others' facts has no say once own facts are enough; one that own
    facts alone have shaped has."""
    world = two_domains()
    own = grow(world, "home", SOLVED["none"])
    job = job_of(step(world, GrowRequest("home")))
    assert job.incumbent is not None
    assert job.incumbent.digest == own.digest
    step(world, refused(job))
    shaped = replace(own, version=2, facts=(*own.facts, "yard-003"))
    world.ledger.apply(StoreAdaptor(shaped))
    assert job_of(step(world, GrowRequest("home"))).incumbent is None


def test_one_fact_ends_the_adaptor_of_one_domain() -> None:
    """Of two domains with enough facts, forgetting a fact of one leaves the other's adaptor, and
    the receipt names what ended and what succeeds it."""
    world = two_domains()
    grow(world, "home", SOLVED["random"])
    other = grow(world, "yard", TRAINED)
    forget(world, "home-004")
    assert [one.digest for one in world.ledger.adaptors()["yard"]] == [other.digest]
    assert receipt_of(world).adaptors == (
        AdaptorOutcome(domain="home", version=1, outcome="derived again", successor=2),
    )
    assert "adaptors" in receipt_of(world).rebuilt


@pytest.mark.parametrize("kind", SOLVED)
def test_a_solved_kind_is_derived_again_within_the_request(kind: str) -> None:
    """Where nothing is deferred, the successor serves with the receipt: bit-equal to that of a
    twin that never saw the fact, and so are its answers."""
    world = two_domains()
    grow(world, "home", SOLVED[kind])
    forget(world, "home-004")
    (record,) = world.ledger.adaptors()["home"]
    assert (record.version, record.provisional) == (2, True)
    assert not world.ledger.pending_adaptors()
    other = twin(world, "home-004")
    same = grow(other, "home", SOLVED[kind])
    assert record.digest == same.digest
    rows = np.stack([np.frombuffer(one.features, np.uint8) for one in lessons("home")])
    served = world.runtime.knowledge.adaptor("home").answer(rows)
    assert np.array_equal(served, other.runtime.knowledge.adaptor("home").answer(rows))


@pytest.mark.parametrize("blueprint", [SOLVED["kernel"], TRAINED], ids=["solved", "trained"])
def test_a_pending_adaptor_is_made_at_the_next_tick_and_after_a_crash(
    blueprint: nas.Blueprint,
) -> None:
    """How the adaptor was made is kept with the erasure; the next tick starts a job of the same
    blueprint and seed, also after a crash, and its result serves as provisional."""
    world = two_domains(DeferringWorld)
    first = grow(world, "home", blueprint)
    forget(world, "home-004")
    assert "home" not in world.ledger.adaptors()
    job = job_of(step(world, Tick()))
    world.crash()
    job = job_of(step(world, Tick()))
    assert (job.blueprint, job.seed, job.version) == (blueprint, first.seed, 2)
    assert "home-004" not in job.facts
    assert not len(job.others)
    effects = step(world, GrowthFinished(train_again(job, arrays_of)))
    messages = [one.message for one in effects if isinstance(one, Publish)]
    assert [one.state for one in messages if isinstance(one, GrowthReport)] == ["serving"]
    (record,) = world.ledger.adaptors()["home"]
    assert record.provisional
    assert record.digest == grow(twin(world, "home-004"), "home", blueprint).digest
    assert not world.ledger.pending_adaptors()


def provisional_world() -> World:
    """A world in which a provisional adaptor serves the domain home."""
    world = two_domains(DeferringWorld)
    grow(world, "home", TRAINED)
    forget(world, "home-004")
    job = job_of(step(world, Tick()))
    step(world, GrowthFinished(train_again(job, arrays_of)))
    return world


def judging(world: World) -> GrowthJob:
    """The growth that judges the domain home, started by ticks alone."""
    while True:
        job = job_of(step(world, Tick()))
        if job.domain == "home":
            return job
        step(world, refused(job))


def test_growth_judges_a_domain_as_if_it_had_no_provisional_adaptor() -> None:
    """A provisional adaptor makes its domain due; the job knows nothing of it."""
    job = judging(provisional_world())
    assert (job.incumbent, job.blueprint, job.version) == (None, None, 3)


def test_a_provisional_adaptor_ends_with_the_verdict() -> None:
    """Whether growth accepts another adaptor or none, the provisional one is gone afterwards, as
    on a device that never saw the forgotten fact."""
    world = provisional_world()
    step(world, refused(judging(world)))
    assert "home" not in world.ledger.adaptors()
    world = provisional_world()
    step(world, GrowthFinished(accepted(judging(world), SOLVED["kernel"])))
    (record,) = world.ledger.adaptors()["home"]
    assert (record.version, record.provisional) == (3, False)


def test_a_growth_that_could_not_measure_is_no_verdict() -> None:
    """A worker that was killed leaves the provisional adaptor serving."""
    world = provisional_world()
    step(world, refused(judging(world), math.nan))
    assert world.ledger.adaptors()["home"][0].provisional


def test_a_version_before_is_no_worse_off() -> None:
    """A version that the forgotten fact has not shaped stays, serves meanwhile, and is the
    incumbent when growth judges."""
    world = two_domains(DeferringWorld)
    old = grow(world, "home", SOLVED["none"])
    step(world, Enrol((fact("late", "a", "home", 400, seed=77),)))
    grow(world, "home", TRAINED)
    forget(world, "late")
    assert [one.digest for one in world.ledger.adaptors()["home"]] == [old.digest]
    job = job_of(step(world, Tick()))
    step(world, GrowthFinished(train_again(job, arrays_of)))
    assert [one.version for one in world.ledger.adaptors()["home"]] == [3, 1]
    found = judging(world).incumbent
    assert found is not None
    assert found.digest == old.digest


def test_a_second_forget_cancels_the_job_and_it_starts_again() -> None:
    """A job that holds a fact which is forgotten meanwhile is cancelled; the blueprint stays."""
    world = two_domains(DeferringWorld)
    grow(world, "home", TRAINED)
    forget(world, "home-004")
    job = job_of(step(world, Tick()))
    assert CancelGrowth(job.id) in forget(world, "home-005", request="r2")
    again = job_of(step(world, Tick()))
    assert (again.blueprint, again.version) == (TRAINED, 2)
    assert not {"home-004", "home-005"} & again.facts


def test_a_provisional_adaptor_is_made_again_too() -> None:
    """A fact that shaped a provisional adaptor ends it; the same blueprint is trained again."""
    world = provisional_world()
    forget(world, "home-005", request="r2")
    job = job_of(step(world, Tick()))
    assert (job.blueprint, job.version) == (TRAINED, 3)


def test_a_rollback_drops_what_is_pending() -> None:
    """Rolling back a domain whose adaptor is being made again ends that."""
    world = two_domains(DeferringWorld)
    grow(world, "home", TRAINED)
    forget(world, "home-004")
    job = job_of(step(world, Tick()))
    effects = step(world, Rollback("home"))
    assert CancelGrowth(job.id) in effects
    assert not world.ledger.pending_adaptors()


def test_what_cannot_be_made_again_ends() -> None:
    """Without a worker a trained kind is dropped and a solved one derived; with too few facts left,
    or none, nothing is made, and the receipt calls that ended."""
    world = two_domains(DeferringWorld)
    grow(world, "home", SOLVED["kernel"])
    grow(world, "yard", TRAINED)
    forget(world, "home-004", "yard-004")
    job = job_of(step(world, Tick(grows=False)))
    step(world, GrowthFinished(train_again(job, arrays_of)))
    step(world, Tick(grows=False))
    assert sorted(world.ledger.adaptors()) == ["home"]
    assert not world.ledger.pending_adaptors()
    few = World(lessons("home", limits.GROWTH_FACTS_MIN))
    grow(few, "home", SOLVED["none"])
    forget(few, "home-004")
    assert [one.outcome for one in receipt_of(few).adaptors] == ["ended"]
    step(few, Tick())
    assert not few.ledger.pending_adaptors()
    world = two_domains(DeferringWorld)
    grow(world, "home", TRAINED)
    step(world, ForgetRequest(request_id="all", selector=Selector(domain="home")))
    while world.runtime.erasing:
        step(world, AdvanceForget(1))
    step(world, Tick())
    assert not world.ledger.pending_adaptors()


def test_a_failed_training_leaves_nothing_pending() -> None:
    """If the worker cannot train the blueprint again, the domain goes on without, and growth is
    due."""
    world = two_domains(DeferringWorld)
    grow(world, "home", TRAINED)
    forget(world, "home-004")
    step(world, refused(job_of(step(world, Tick())), math.nan))
    assert not world.ledger.pending_adaptors()
    assert judging(world).blueprint is None


def test_a_search_result_does_not_pass_for_a_training() -> None:
    """A worker that answers a training with a judged record, or a growth with a provisional one,
    is not believed."""
    world = two_domains(DeferringWorld)
    job = job_of(step(world, GrowRequest("home")))
    wrong = train_again(replace(job, blueprint=TRAINED), arrays_of)
    step(world, GrowthFinished(wrong))
    assert not world.ledger.adaptors()


def test_a_growth_that_holds_facts_of_a_later_slice_ends_at_once() -> None:
    """A request of more facts than leave at once cancels growth that holds any of them: a result
    that arrives before they are erased installs nothing."""
    world = two_domains(DeferringWorld)
    job = job_of(step(world, GrowRequest("yard")))
    gone = [f"home-{n:03}" for n in range(SLICE_FACTS)] + ["yard-004"]
    effects = forget(world, *gone)
    assert "yard-004" in job.facts
    assert world.ledger.get("yard-004") is not None
    assert [one for one in effects if isinstance(one, CancelGrowth)] == [CancelGrowth(job.id)]
    step(world, GrowthFinished(accepted(job, SOLVED["kernel"])))
    assert world.ledger.adaptors() == {}
