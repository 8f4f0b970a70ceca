"""Growth as the runtime plans it: requests, accepted results, and jobs ended by a forget
request."""

import math
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

import nas
from edge.core import limits
from edge.core.adaptors.record import AdaptorRecord
from edge.core.config import Config
from edge.core.events import (
    CancelGrowth,
    Effect,
    Enrol,
    Event,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    GrowthReport,
    Label,
    Rejected,
    Relabel,
    Rollback,
    StartGrowth,
    Tick,
)
from edge.core.facts import Fact, Selector
from edge.core.jobs import GrowthJob, GrowthResult
from edge.core.receipt import Receipt
from edge.core.reconfigurator import job_fingerprint, surplus_adaptor
from tests.worlds import World, fact

BLUEPRINT = nas.Blueprint(kind="none", taps=(0,))
ARRAYS = {"centre": np.zeros(8, np.float32), "factor": np.ones(8, np.float32)}
ENOUGH = limits.GROWTH_FACTS_MIN


def lessons(count: int, domain: str = "home", start: int = 0) -> list[Fact]:
    """Facts of two classes, by turns."""
    names = range(start, start + count)
    return [fact(f"{domain}-{n:03}", "ab"[n % 2], domain, n, seed=n) for n in names]


def step(world: World, event: Event) -> tuple[Effect, ...]:
    """Handle an event and apply its effects; all of them."""
    effects = world.runtime.handle(event)
    for effect in effects:
        world.ledger.apply(effect)
    return effects


def started(world: World, event: Event | None = None) -> GrowthJob:
    """The job that an event starts."""
    jobs = [e.job for e in step(world, event or Tick()) if isinstance(e, StartGrowth)]
    assert len(jobs) == 1
    return jobs[0]


def result(
    job: GrowthJob, gain: float = 0.1, facts: tuple[str, ...] | None = None
) -> GrowthFinished:
    """A worker's result with an adaptor."""
    ids = job.own.ids if facts is None else facts
    record = AdaptorRecord(
        domain=job.domain,
        version=job.version,
        blueprint=BLUEPRINT,
        arrays=ARRAYS,
        facts=ids,
        own=len(job.own),
        seed=job.seed,
        accuracy=0.8 + gain,
        incumbent=0.8,
    )
    return GrowthFinished(
        GrowthResult(
            job_id=job.id,
            domain=job.domain,
            record=record,
            reason="better",
            accuracy=0.8 + gain,
            incumbent=0.8,
        )
    )


def nothing(job: GrowthJob, reason: str = "no better than what serves") -> GrowthFinished:
    """A worker's result without an adaptor."""
    return GrowthFinished(
        GrowthResult(
            job_id=job.id,
            domain=job.domain,
            record=None,
            reason=reason,
            accuracy=math.nan,
            incumbent=math.nan,
        )
    )


def test_a_domain_becomes_due_with_enough_facts() -> None:
    """One fact too few starts no growth; the last one does."""
    world = World(lessons(ENOUGH - 1))
    assert step(world, Tick()) == ()
    world = World(lessons(ENOUGH))
    job = started(world)
    assert (job.domain, job.version, len(job.own)) == ("home", 1, ENOUGH)
    assert job.budget == Config().budget


def test_one_class_is_never_due() -> None:
    """A domain of one class is never due."""
    assert step(World([fact(f"f{n}") for n in range(3 * ENOUGH)]), Tick()) == ()


def test_a_class_of_one_fact_makes_no_second_class() -> None:
    """It cannot be held out and learned from; another fact of it makes the domain due."""
    facts = [fact(f"f{n:03}", "a", seed=n) for n in range(3 * ENOUGH)]
    lone = fact("lone", "b", seed=900)
    assert step(World([*facts, lone]), Tick()) == ()
    assert started(World([*facts, lone, fact("other", "b", seed=901)])).domain == "home"


def test_the_result_of_another_job_changes_nothing() -> None:
    """The result of another job than the running one is reported as abandoned."""
    world = World(lessons(ENOUGH))
    job = started(world)
    messages = world.ask(result(msgspec.structs.replace(job, id="another")), GrowthReport)
    assert (messages.state, messages.version) == ("abandoned", 0)
    assert not world.ledger.adaptors()
    assert world.ask(result(job), GrowthReport).state == "serving"


def test_growth_can_be_switched_off() -> None:
    """With growth off only a request starts a job."""
    world = World(lessons(ENOUGH), config=Config(growth=False))
    assert step(world, Tick()) == ()
    assert started(world, GrowRequest("home")).domain == "home"


def test_one_job_runs_at_a_time() -> None:
    """A second due domain waits, and a request is rejected with a reason."""
    world = World(lessons(ENOUGH) + lessons(2 * ENOUGH, "yard"))
    job = started(world)
    assert job.domain == "yard"
    assert step(world, Tick()) == ()
    assert "yard is being grown" in world.ask(GrowRequest("home"), Rejected).reason
    world.feed(nothing(job))
    assert started(world).domain == "home"


def test_an_adaptor_is_installed_and_serves_the_next_answer() -> None:
    """A better result is stored, reported, and survives a crash."""
    world = World(lessons(ENOUGH))
    messages = world.ask(result(started(world)), GrowthReport)
    assert (messages.state, messages.version, messages.incumbent) == ("serving", 1, 0.8)
    world.crash()
    assert [record.version for record in world.ledger.adaptors()["home"]] == [1]
    assert world.runtime.knowledge.answer("home", values(lessons(1)[0])) in "ab"


def test_growth_is_due_again_when_facts_have_grown_by_half() -> None:
    """An adaptor of 20 facts is due at 30, also after a crash."""
    world = World(lessons(ENOUGH))
    world.feed(result(started(world)))
    world.crash()
    grow_by = ENOUGH // 2
    for one in lessons(grow_by - 1, start=ENOUGH):
        enrol(world, one)
    assert step(world, Tick()) == ()
    enrol(world, lessons(1, start=ENOUGH + grow_by - 1)[0])
    job = started(world)
    assert job.version == 2
    assert job.incumbent is not None
    assert job.incumbent.version == 1


def enrol(world: World, one: Fact) -> None:
    """Learn one fact."""
    world.feed(Enrol((one,)))


def test_a_failed_growth_is_not_repeated_on_the_same_facts() -> None:
    """A refusal is kept through a crash; a changed label makes the domain due again."""
    world = World(lessons(ENOUGH))
    assert world.ask(nothing(started(world)), GrowthReport).state == "refused"
    world.crash()
    assert step(world, Tick()) == ()
    world.feed(Relabel(Selector(ids=frozenset({"home-000"})), label="b"))
    world.crash()
    assert started(world).domain == "home"


def test_a_late_or_foreign_result_changes_nothing() -> None:
    """A result of a cancelled job is reported as abandoned and not installed."""
    world = World(lessons(ENOUGH))
    good = result(started(world))
    world.crash()
    assert world.ask(good, GrowthReport).state == "abandoned"
    assert world.ledger.adaptors() == {}


def test_a_result_that_does_not_fit_its_job_is_refused() -> None:
    """A result of another domain, version or set of facts is not installed."""
    for change in ({"domain": "yard"}, {"version": 7}, {"facts": ("stranger",)}):
        world = World(lessons(ENOUGH))
        good = result(started(world)).result
        assert good.record is not None
        bad = msgspec.structs.replace(good, record=msgspec.structs.replace(good.record, **change))
        assert world.ask(GrowthFinished(bad), GrowthReport).state == "refused"
        assert world.ledger.adaptors() == {}


def test_two_versions_are_kept_and_rollback_returns_to_the_older() -> None:
    """The third version pushes out the first; rollbacks go back to the head alone."""
    world = World(lessons(ENOUGH))
    for _ in range(3):
        world.feed(result(started(world, GrowRequest("home"))))
    assert [record.version for record in world.ledger.adaptors()["home"]] == [3, 2]
    assert "version 2 serves again" in world.ask(Rollback("home"), GrowthReport).detail
    assert "head alone" in world.ask(Rollback("home"), GrowthReport).detail
    assert "no adaptor serves" in world.ask(Rollback("home"), Rejected).reason


def test_forgetting_ends_versions_and_the_running_job() -> None:
    """Forgetting removes versions grown from the facts and cancels the job that holds them."""
    world = World(lessons(ENOUGH) + lessons(2 * ENOUGH, "yard"))
    world.feed(result(started(world)))
    world.feed(result(started(world)))
    assert sorted(world.ledger.adaptors()) == ["home", "yard"]
    job = started(world, GrowRequest("home"))
    effects = step(
        world, ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"home-003"})))
    )
    assert CancelGrowth(job.id) in effects
    assert sorted(world.ledger.adaptors()) == ["yard"]
    receipt = world.ledger.receipts[-1]
    assert isinstance(receipt, Receipt)
    assert "adaptors" in receipt.rebuilt
    again = started(world, GrowRequest("home"))
    assert "home-003" not in again.facts


def test_a_domain_that_lost_its_facts_loses_its_adaptors() -> None:
    """A merged domain's adaptor is retired with its last fact."""
    world = World(lessons(ENOUGH) + lessons(4, "yard"))
    world.feed(result(started(world)))
    messages = [
        message
        for message in world.feed(Relabel(Selector(domain="home"), domain="yard"))
        if isinstance(message, GrowthReport) and message.state == "retired"
    ]
    assert [(m.domain, m.version) for m in messages] == [("home", 1)]
    assert "home" not in world.ledger.adaptors()


def test_the_adaptor_that_gains_least_makes_room() -> None:
    """Beyond the limit of adaptors the smallest gain retires, the newcomer included."""
    record = AdaptorRecord(
        domain="d",
        version=1,
        blueprint=BLUEPRINT,
        arrays=ARRAYS,
        facts=(),
        own=0,
        seed=1,
        accuracy=0.9,
        incumbent=0.5,
    )
    full = {
        f"d{n:02}": (msgspec.structs.replace(record, domain=f"d{n:02}", incumbent=0.5 + n / 1000),)
        for n in range(limits.ADAPTORS_MAX)
    }
    assert surplus_adaptor(full, msgspec.structs.replace(record, domain="d00")) is None
    leaving = surplus_adaptor(full, msgspec.structs.replace(record, domain="new"))
    assert leaving is not None
    assert leaving.domain == f"d{limits.ADAPTORS_MAX - 1:02}"
    poor = msgspec.structs.replace(record, domain="new", accuracy=0.5)
    assert surplus_adaptor(full, poor) is poor


def test_labels_alone_start_growth_at_the_next_tick() -> None:
    """Late labels count as facts: the tick after the last of them starts the job."""
    world = World()
    for at, one in enumerate(lessons(ENOUGH)):
        world.observe(values(one), at)
        world.feed(Label(f"s:{at}", one.label))
        assert bool(step(world, Tick())) == (at == ENOUGH - 1)


def values(one: Fact) -> NDArray[np.uint8]:
    """A fact's features as a measurement."""
    return np.frombuffer(one.features, np.uint8)


def test_the_fingerprint_depends_on_ids_and_labels_alone() -> None:
    """Same facts, same hash; another label, another hash."""
    world = World(lessons(ENOUGH))
    own, _ = world.runtime.knowledge.training_facts("home")
    assert job_fingerprint(own) == job_fingerprint(replace(own, features=own.features * 0))
    assert job_fingerprint(own) != job_fingerprint(replace(own, labels=("c", *own.labels[1:])))
