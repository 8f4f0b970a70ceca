from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    Decision,
    DriftAlarm,
    Effect,
    Enrol,
    FitGeometry,
    ForgetRequest,
    Label,
    Observation,
    Publish,
    Rejected,
    Relabel,
    SetOutput,
    StoreFacts,
    StoreGeometry,
    StoreLabelCandidates,
)
from edge.core.facts import LabelCandidate, Selector
from edge.core.runtime import Runtime
from tests.worlds import World, clouds, fact, vector

WIDE = 64


def taught(config: Config | None = None, count: int = 200) -> World:
    """A world that knows two classes in one domain, `count` facts each."""
    rows = clouds((1, 2), count, width=WIDE)
    facts = [
        replace(fact(f"t{row:04}", "ab"[row // count], at=row), features=values.tobytes())
        for row, values in enumerate(rows)
    ]
    return World(facts, width=WIDE, config=config)


def run(world: World, centres: tuple[int, ...], count: int, start: int = 0) -> list[object]:
    """Observe `count` samples around each centre; everything published."""
    rows = clouds(centres, count, seed=9, width=WIDE)
    return [m for at, values in enumerate(rows) for m in world.observe(values, start + at)]


def test_nothing_is_decided_before_something_is_learned():
    """Without facts the runtime abstains, and says why."""
    decision = World().observe(vector(1), 0)[0]
    assert isinstance(decision, Decision)
    assert decision.known is None
    assert decision.label is None
    assert decision.reason == "nothing is learned yet"


def test_known_samples_are_recognised_and_answered():
    """Samples like the taught ones are known, in their domain, with their label."""
    decisions = [m for m in run(taught(), (1, 2), 30) if isinstance(m, Decision)]
    assert len(decisions) == 60
    assert np.mean([d.known for d in decisions]) > 0.9
    assert [d.guess for d in decisions] == ["a"] * 30 + ["b"] * 30
    assert {d.domain for d in decisions} == {"home"}


def test_a_new_sample_gets_no_label():
    """A novel sample gets a guess and no label."""
    decision = run(taught(), (7,), 1)[0]
    assert isinstance(decision, Decision)
    assert decision.known is False
    assert decision.label is None
    assert decision.guess in ("a", "b")


def test_too_few_facts_for_the_chosen_rate_are_reported():
    """With too few facts for the chosen rate, `known` is None with a reason, and the label
    answers."""
    decision = run(taught(count=5), (1,), 1)[0]
    assert isinstance(decision, Decision)
    assert decision.known is None
    assert decision.label == decision.guess == "a"
    assert decision.reason


def test_one_alarm_is_raised_and_cleared():
    """A stream that leaves the known domains raises one alarm, and clears it when it returns."""
    world = taught(Config(window=8))
    alarms = [m for m in run(world, (7,), 40) if isinstance(m, DriftAlarm)]
    assert [(alarm.raised, alarm.domain) for alarm in alarms] == [(True, "domain-2")]
    back = [m for m in run(world, (1,), 40, 100) if isinstance(m, DriftAlarm)]
    assert [(alarm.raised, alarm.domain) for alarm in back] == [(False, "home")]


def test_an_alarm_sets_its_streams_output():
    """A stream with an alarm output gets 1 during an alarm, after it was published."""
    world = taught(Config(window=8, alarm_outputs=(("s", 5), ("other", 6))))
    effects: list[Effect] = []
    for seed, start in ((7, 0), (1, 100)):
        for at, values in enumerate(clouds((seed,), 40, seed=4, width=WIDE), start):
            effects += world.runtime.handle(
                Observation(stream="s", sequence=at, captured_at_ns=at, payload=values)
            )
    kinds = [type(one.message) if isinstance(one, Publish) else type(one) for one in effects]
    assert [one for one in effects if isinstance(one, SetOutput)] == [
        SetOutput("s", 5, 1),
        SetOutput("s", 5, 0),
    ]
    assert kinds[kinds.index(SetOutput) - 1] is DriftAlarm


def test_late_labels_of_an_alarm_open_its_domain():
    """Labels without a domain go to the domain of the alarm, including those before the alarm."""
    world = taught(Config(window=8))
    run(world, (7,), 20)
    world.feed(Label("s:0", "a"))
    world.feed(Label("s:19", "b"))
    assert world.ledger.concepts()["domain-2", "a"] == 1
    assert world.ledger.concepts()["domain-2", "b"] == 1


def test_two_streams_open_two_domains():
    """A name being opened by one stream is not given to another."""
    world = taught(Config(window=4))
    rows = clouds((7, 8), 12, seed=9, width=WIDE)
    for at, values in enumerate(rows):
        world.observe(values, at, "one" if at < 12 else "two")
    world.feed(Label("one:11", "x"))
    world.feed(Label("two:23", "y"))
    assert {("domain-2", "x"), ("domain-3", "y")} <= set(world.ledger.concepts())


def test_an_enrolled_domain_ends_its_alarm():
    """Once the new domain is learned the window is judged again, and the alarm clears."""
    world = taught(Config(window=8))
    run(world, (7,), 30)
    rows = clouds((7,), 200, seed=3, width=WIDE)
    facts = [
        replace(fact(f"n{row}", domain="domain-2", at=row), features=values.tobytes())
        for row, values in enumerate(rows)
    ]
    world.feed(Enrol(tuple(facts)))
    alarms = [m for m in run(world, (7,), 10, 200) if isinstance(m, DriftAlarm)]
    assert [(alarm.raised, alarm.domain) for alarm in alarms] == [(False, "domain-2")]


def test_labels_follow_a_renamed_domain():
    """A domain renamed while its stream is in alarm keeps the new name for late labels."""
    world = taught(Config(window=8))
    run(world, (7,), 20)
    world.feed(Label("s:0", "a"))
    assert (
        world.ask(Relabel(Selector(domain="domain-2"), domain="scanner"), Acknowledgement).count
        == 1
    )
    world.feed(Label("s:1", "a"))
    run(world, (7,), 1, 50)
    world.feed(Label("s:50", "a"))
    assert world.ledger.concepts()["scanner", "a"] == 3
    assert ("domain-2", "a") not in world.ledger.concepts()


def test_a_domain_may_be_renamed_before_its_first_label():
    """An alarm's domain has a name before it has facts, and a person may change it."""
    world = taught(Config(window=8))
    run(world, (7,), 20)
    assert (
        world.ask(Relabel(Selector(domain="domain-2"), domain="scanner"), Acknowledgement).count
        == 0
    )
    world.feed(Label("s:19", "a"))
    assert world.ledger.concepts()["scanner", "a"] == 1


def test_a_late_label_uses_the_features_seen():
    """A label turns the observation it names into a fact, with its time, stream and subject."""
    world = World()
    world.observe(vector(5), 3, subject="p")
    assert world.ask(Label("s:3", "a"), Acknowledgement).count == 1
    assert world.ledger.get("s:3") == fact("s:3", "a", "domain-1", 3, seed=5, subject="p")


def test_a_label_may_name_its_domain():
    """A domain in the label wins over the detector's."""
    world = World()
    world.observe(vector(5), 0)
    world.feed(Label("s:0", "a", "garden"))
    assert world.ledger.concepts() == {("garden", "a"): 1}


def test_a_label_given_again_changes_nothing():
    """The same label twice is acknowledged twice and learned once."""
    world = World()
    world.observe(vector(5), 0)
    world.feed(Label("s:0", "a"))
    before = world.runtime.digest()
    assert world.ask(Label("s:0", "a"), Acknowledgement).count == 0
    assert world.runtime.digest() == before


def test_another_label_corrects():
    """A second label of an observation replaces the first, and the revision counts it."""
    world = World()
    world.observe(vector(5), 0)
    world.feed(Label("s:0", "a"))
    assert world.ask(Label("s:0", "b"), Acknowledgement).count == 1
    assert world.ledger.concepts() == {("domain-1", "b"): 1}
    assert world.runtime.digest() == world.derived()


def test_a_label_for_nothing_is_rejected():
    """A label for an observation that was never seen, or has left the window, is refused."""
    assert "expired" in World().ask(Label("s:0", "a"), Rejected).reason


def test_a_forgotten_observation_is_not_labelled():
    """Neither a label nor a redelivery with a label brings a forgotten observation back."""
    world = World()
    world.observe(vector(5), 0)
    world.feed(Label("s:0", "a"))
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"s:0"}))))
    world.observe(vector(5), 0)
    assert "forgotten" in world.ask(Label("s:0", "a"), Rejected).reason
    assert world.ledger.facts() == ()


def test_fitting_freezes_the_geometry():
    """Fitting stores the geometry before it reports it, and a restart uses it."""
    world = World([fact("x"), fact("y", "b")])
    effects = world.runtime.handle(FitGeometry())
    assert isinstance(effects[0], StoreGeometry)
    for effect in effects:
        world.ledger.apply(effect)
    before = world.runtime.digest()
    world.crash()
    assert world.runtime.digest() == before


def test_fitting_the_geometry_needs_facts():
    """The geometry cannot be fitted to an empty ledger."""
    world = World()
    world.ask(FitGeometry(), Rejected)
    assert world.ledger.geometry() is None


def test_fitting_the_geometry_drops_windows_of_the_old_one():
    """Codes of an old geometry mean nothing under a new one: each window starts again."""
    world = taught(Config(window=4))
    run(world, (1,), 3)
    world.feed(FitGeometry())
    decisions = [m for m in run(world, (1,), 4, 10) if isinstance(m, Decision)]
    assert [d.window_p == 1.0 for d in decisions[:3]] == [True] * 3


def test_relabelling_moves_facts():
    """Selected facts get another label; those that have it already are left alone."""
    world = World([fact("x", "a"), fact("y", "a"), fact("z", "b")])
    assert world.ask(Relabel(Selector(stream="s"), "b"), Acknowledgement).count == 2
    assert world.ledger.concepts() == {("home", "b"): 3}
    assert [row.revision for row in world.ledger.facts()] == [1, 1, 0]
    assert world.ask(Relabel(Selector(stream="s"), "b"), Acknowledgement).count == 0
    assert world.runtime.digest() == world.derived()


def test_relabelling_nothing_is_rejected():
    """A selector that matches nothing is rejected."""
    World([fact("x")]).ask(Relabel(Selector(label="never"), "b"), Rejected)


def test_facts_are_durable_before_they_are_acknowledged():
    """StoreFacts precedes the Acknowledgement."""
    world = World()
    kinds = [type(effect) for effect in world.runtime.handle(Enrol((fact("x"),)))]
    assert kinds[0] is StoreFacts
    assert len(kinds) == 2


def test_a_crash_between_effects_loses_nothing_acknowledged():
    """Effects that were never applied leave the ledger as before; a new runtime starts there."""
    world = World([fact("x")])
    before = world.runtime.digest()
    world.runtime.handle(Enrol((fact("y", "b"),)))
    world.crash()
    assert world.runtime.digest() == before == world.derived()


def test_a_crash_changes_no_decision():
    """Verdict, route and answer of the next observation are those of a run that never crashed."""
    one, other = taught(), taught()
    other.crash()
    sample = clouds((2,), 1, seed=5, width=WIDE)[0]
    assert one.observe(sample, 0) == other.observe(sample, 0)


def test_the_same_events_give_the_same_effects():
    """Nothing in the core depends on anything but its input."""
    assert run(taught(), (1, 7, 2), 12) == run(taught(), (1, 7, 2), 12)


def test_a_runtime_opens_from_the_ledger():
    """Opening derives: the digest is that of the runtime that taught the ledger."""
    world = World([fact("x"), fact("y", "b")])
    opened = Runtime(Config(), world.model, world.ledger)
    assert opened.digest() == world.runtime.digest()


def test_a_candidate_can_be_labelled_after_its_window_and_is_forgotten_on_request() -> None:
    """A kept candidate takes a label after a crash, and a forget request reaches it."""
    for event in (
        Label("late", "a"),
        ForgetRequest(request_id="r", selector=Selector(domain="domain-9")),
    ):
        world = World([fact("f1")])
        kept = LabelCandidate(
            observation_id="late",
            stream="s",
            subject="",
            domain="domain-9",
            captured_at_ns=5,
            score=1.0,
            features=fact("late").features,
        )
        world.ledger.apply(StoreLabelCandidates((kept,)))
        world.crash()
        world.feed(event)
        assert dict(world.ledger.candidates()) == {}
        stored = world.ledger.get("late")
        if isinstance(event, Label):
            assert stored is not None
            assert (stored.domain, stored.label) == ("domain-9", "a")
        else:
            assert stored is None
            assert world.ledger.was_forgotten("late")
