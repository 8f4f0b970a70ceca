"""Undo of each kind of action: what comes back, what has changed since stays, and what a forget
request takes with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    CancelGrowth,
    ConfirmAlarm,
    Decision,
    Effect,
    Enrol,
    Event,
    ForgetRequest,
    GrowRequest,
    Label,
    LabelMany,
    PersonEvent,
    Rejected,
    Relabel,
    Rollback,
    StartGrowth,
    StoreLabelCandidates,
    Tick,
    Undo,
    Undoable,
    UndoMerge,
    Unlabel,
)
from edge.core.facts import LabelCandidate, Selector
from tests.drifts import SHIFT
from tests.edge.core.session.test_alarm_questions import WINDOW, Watch
from tests.edge.core.test_domain_merges import domains, merge, opened_world
from tests.edge.core.test_reconfigurator import ENOUGH, lessons, result, started, step
from tests.worlds import World, fact, vector


def act(world: World, event: PersonEvent, action: str = "a", at_ns: int = 1) -> tuple[Effect, ...]:
    """Handle a person's event."""
    return step(world, Undoable(event, action, at_ns))


def undo(world: World, action: str = "a", at_ns: int = 2) -> Acknowledgement | Rejected:
    """Undo an action; the answer."""
    answers = world.feed(Undo(action, at_ns))
    (found,) = (one for one in answers if isinstance(one, Acknowledgement | Rejected))
    return found


def candidates(world: World, *keys: str, domain: str = "home") -> None:
    """Let observations wait for a label."""
    world.ledger.apply(
        StoreLabelCandidates(
            tuple(
                LabelCandidate(
                    observation_id=key,
                    stream="cam",
                    subject="ann",
                    domain=domain,
                    captured_at_ns=5 + at,
                    score=0.25,
                    features=vector(50 + at).tobytes(),
                    recording="today",
                )
                for at, key in enumerate(keys)
            )
        )
    )


def test_undone_labels_wait_again_as_they_did() -> None:
    """The observations are candidates with the features, the domain and the score that they had,
    also in another run, and can be labelled again."""
    world = World([fact("f1"), fact("f2", "b")])
    candidates(world, "c1", "c2")
    before, digest = dict(world.ledger.candidates()), world.runtime.digest()
    act(world, LabelMany((Label("c1", "b", "attic"), Label("c2", "new"))))
    assert not world.ledger.candidates()
    world.crash()
    answer = undo(world)
    assert isinstance(answer, Acknowledgement)
    assert (answer.count, answer.detail) == (2, "")
    assert dict(world.ledger.candidates()) == before
    assert world.runtime.digest() == digest == world.derived()
    assert world.ask(Label("c1", "b"), Acknowledgement).count == 1


def test_labels_that_cannot_be_used_are_named() -> None:
    """Each refused label has a reason; the others are learned together."""
    world = World([fact("f1"), fact("gone")])
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"gone"}))))
    candidates(world, "c1", "c2")
    labels = (
        Label("c1", "b"),
        Label("nowhere", "b"),
        Label("gone", "b"),
        Label("c1", "a"),
        Label("c2", "bad\nlabel"),
        Label("f1", "b"),
    )
    reasons = [one.reason if one else "" for one in world.runtime.refusals(labels)]
    assert ["expired" in one for one in reasons] == [False, True, False, False, False, False]
    assert ["forgotten" in one for one in reasons] == [False, False, True, False, False, False]
    assert ["twice" in one for one in reasons] == [False, False, False, True, False, False]
    assert ["printable" in one for one in reasons] == [False, False, False, False, True, False]
    act(world, LabelMany(labels))
    assert [(one.id, one.label) for one in world.ledger.facts()] == [("c1", "b"), ("f1", "b")]
    undo(world)
    assert [(one.id, one.label) for one in world.ledger.facts()] == [("f1", "a")]


def test_evicted_facts_come_back_unless_they_were_forgotten() -> None:
    """A full concept evicts its oldest facts for new labels.  An undo brings back those that no
    request has forgotten since; the forgotten ones leave no trace in the record."""
    world = World(
        [fact(f"f{n}", at=n) for n in range(3)], config=Config(facts_per_concept=3, keep="newest")
    )
    candidates(world, "c1", "c2")
    act(world, LabelMany((Label("c1", "a"), Label("c2", "a"))))
    assert [one.id for one in world.ledger.facts()] == ["c1", "c2", "f2"]
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f0"}))))
    assert world.ledger.was_forgotten("f0")
    (action,) = world.ledger.actions()
    assert {row.fact.id for row in action.facts} == {"c1", "c2", "f1"}
    undo(world)
    assert [one.id for one in world.ledger.facts()] == ["f1", "f2"]
    assert world.ledger.evictions() == 1
    assert world.runtime.digest() == world.derived()


def test_a_forget_request_covers_facts_as_they_were() -> None:
    """A request for the former label of a corrected fact drops it from the record: it stays as it
    is, and an undo does not bring the label back."""
    world = World([fact("f1", "cat"), fact("f2", "cat"), fact("f3", "dog")])
    act(world, Relabel(Selector(ids=frozenset({"f1"})), "dog"))
    world.feed(ForgetRequest(request_id="r", selector=Selector(label="cat")))
    assert [(one.id, one.label) for one in world.ledger.facts()] == [("f1", "dog"), ("f3", "dog")]
    assert world.ledger.actions() == ()
    answer = undo(world)
    assert isinstance(answer, Rejected)
    assert "no action" in answer.reason


def test_what_was_changed_since_stays() -> None:
    """Facts that a later action has changed are left alone and counted; in reverse order all goes
    back."""
    world = World([fact(f"f{n}") for n in range(3)])
    act(world, Relabel(Selector(domain="home"), "b"), "first")
    act(world, Label("f1", "c"), "second")
    answer = undo(world, "first")
    assert isinstance(answer, Acknowledgement)
    assert (answer.count, answer.detail) == (2, "1 were changed since, or have no room, and stay")
    assert [one.label for one in world.ledger.facts()] == ["a", "c", "a"]
    act(world, Label("f1", "d"), "third")
    answer = undo(world, "second")
    assert isinstance(answer, Rejected)
    assert "changed again" in answer.reason


def test_an_action_that_changes_nothing_is_not_recorded() -> None:
    """A label that is known already, and a rejected one, leave no record."""
    world = World([fact("f1")])
    act(world, Label("f1", "a"))
    act(world, Label("nowhere", "a"), "b")
    act(world, Unlabel(("nowhere",)), "c")
    assert world.ledger.actions() == ()


def test_an_action_is_undone_once() -> None:
    """The second undo of an action is refused."""
    world = World([fact("f1")])
    act(world, Label("f1", "b"))
    assert isinstance(undo(world), Acknowledgement)
    answer = undo(world)
    assert isinstance(answer, Rejected)
    assert "already" in answer.reason
    assert world.ledger.actions()[0].text(1) == "labelled 1 observation as b"


@pytest.mark.parametrize(
    "event",
    [
        Undoable(Label("", "a"), "a", 1),
        Undoable(Label("x", "a"), "", 1),
        Undoable(Label("x", "a"), "a", -1),
        Undoable(Enrol(()), "a", 1),  # type: ignore[arg-type]
        Undo("", 1),
        LabelMany(("x",)),  # type: ignore[arg-type]
        Unlabel(("",)),
    ],
)
def test_invalid_events_are_rejected(event: Event) -> None:
    """Each changes nothing and is rejected with a reason."""
    world = World([fact("x")])
    before = world.runtime.digest()
    (answer,) = world.feed(event)
    assert isinstance(answer, Rejected)
    assert world.runtime.digest() == before
    assert world.ledger.actions() == ()


def test_a_renamed_domain_has_its_name_and_its_adaptor_back() -> None:
    """Renaming a domain retires its adaptor; an undo brings both back."""
    world = World(lessons(ENOUGH))
    step(world, result(started(world)))
    act(world, Relabel(Selector(domain="home"), domain="house"))
    assert world.ledger.adaptors() == {}
    (action,) = world.ledger.actions()
    assert action.text(ENOUGH) == "renamed the domain home to house"
    undo(world)
    assert {one.domain for one in world.ledger.facts()} == {"home"}
    assert [one.version for one in world.ledger.adaptors()["home"]] == [1]


def test_a_rollback_is_undone_until_a_newer_version_is_grown() -> None:
    """The removed version serves again, before the older one; a new one ends that."""
    world = World(lessons(ENOUGH))
    step(world, result(started(world)))
    step(world, result(started(world, GrowRequest("home"))))
    act(world, Rollback("home"), "first")
    assert [one.version for one in world.ledger.adaptors()["home"]] == [1]
    undo(world, "first")
    assert [one.version for one in world.ledger.adaptors()["home"]] == [2, 1]
    act(world, Rollback("home"), "second")
    step(world, result(started(world, GrowRequest("home"))))
    assert [one.version for one in world.ledger.adaptors()["home"]] == [2, 1]
    undo(world, "second")
    assert [one.version for one in world.ledger.adaptors()["home"]] == [2, 1]


def test_a_rolled_back_version_of_forgotten_facts_does_not_return() -> None:
    """A forget request deletes versions that are kept aside, too."""
    world = World(lessons(ENOUGH))
    step(world, result(started(world)))
    act(world, Rollback("home"))
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"home-000"}))))
    undo(world)
    assert world.ledger.adaptors() == {}


def test_a_growth_is_cancelled_or_its_version_removed() -> None:
    """Undone while it runs, the job is cancelled; later its version goes, and those before serve
    as they did.  It is not grown again from the same facts."""
    world = World(lessons(ENOUGH))
    act(world, GrowRequest("home"), "running")
    effects = step(world, Undo("running", 2))
    assert [type(one) for one in effects if isinstance(one, CancelGrowth)] == [CancelGrowth]
    for version in (1, 2):
        step(world, result(started(world, GrowRequest("home"))))
        assert world.ledger.adaptors()["home"][0].version == version
    act(world, GrowRequest("home"), "grown")
    job = world.runtime._growth.running  # noqa: SLF001 - the job that the action started
    assert job is not None
    step(world, result(job))
    assert [one.version for one in world.ledger.adaptors()["home"]] == [3, 2]
    undo(world, "grown")
    assert [one.version for one in world.ledger.adaptors()["home"]] == [2, 1]
    later = (*step(world, Enrol(())), *step(world, Tick()))
    assert not [one for one in later if isinstance(one, StartGrowth)]
    answer = undo(world, "grown", 3)
    assert isinstance(answer, Rejected)


def test_a_merge_that_was_undone_is_merged_again() -> None:
    """Undoing an undo of a merge moves the facts to the merged domain, and the record stands."""
    world = opened_world()
    merge(world)
    (record,) = world.ledger.domain_merges()
    act(world, UndoMerge(record.id))
    assert domains(world) == {"home", "domain-2"}
    undo(world)
    assert domains(world) == {"home"}
    assert world.ledger.domain_merges() == (record,)


def asked_watch(folder: Path) -> Watch:
    """A home whose stream cam has raised a lasting alarm."""
    watch = Watch(folder / "home")
    watch.see(2 * WINDOW, 0, 1)
    watch.see(3 * WINDOW, SHIFT, 2)
    return watch


def test_an_answer_to_an_alarm_is_taken_back(tmp_path: Path) -> None:
    """The level is the one before the answer, so the alarm returns and is asked about again, and
    the observed rate does not count its observations."""
    watch = asked_watch(tmp_path)
    counted = watch.home.runtime.observed_rates()["cam"].samples
    event = ConfirmAlarm(watch.asked.alarm_id, "cam", harmless=True, at_ns=9)
    watch.home.feed(Undoable(event, "a", 9))
    assert watch.home.runtime.observed_rates()["cam"].samples > counted
    watch.home.feed(Undo("a", 10))
    assert watch.home.runtime.observed_rates()["cam"].samples == counted
    assert watch.home.store.recalibrations()["cam"].confirmed == ()
    later = [one for one in watch.see(4 * WINDOW, SHIFT, 3) if isinstance(one, Decision)]
    assert later[-1].alarm
    assert watch.asked.stream == "cam"


def test_a_real_alarm_is_asked_about_again(tmp_path: Path) -> None:
    """An answer that the change is real closes the question; undone, it is open again."""
    watch = asked_watch(tmp_path)
    asked = watch.asked
    watch.home.feed(Undoable(ConfirmAlarm(asked.alarm_id, "cam", harmless=False, at_ns=9), "a", 9))
    assert watch.home.runtime.alarm_questions() == ()
    watch.home.feed(Undo("a", 10))
    assert watch.asked == asked


def test_a_forgotten_answer_cannot_be_taken_back(tmp_path: Path) -> None:
    """A request that covers the stream's records ends the record of the answer."""
    watch = asked_watch(tmp_path)
    event = ConfirmAlarm(watch.asked.alarm_id, "cam", harmless=True, at_ns=9)
    watch.home.feed(Undoable(event, "a", 9))
    watch.home.feed(
        ForgetRequest(request_id="r", selector=Selector(stream="cam"), requested_at_ns=10)
    )
    assert watch.home.store.actions() == ()
    (answer,) = watch.home.feed(Undo("a", 11))
    assert isinstance(answer, Rejected)


def test_an_undo_finds_no_room_for_facts_older_than_a_concept_keeps() -> None:
    """Labels that came in since keep their place; the evicted facts stay away, and are counted."""
    config = Config(facts_per_concept=2, keep="newest")
    world = World([fact(f"f{n}", at=n) for n in range(2)], config=config)
    candidates(world, "c1", "c2")
    act(world, Label("c1", "a"), "first")
    act(world, Label("c2", "a"), "second")
    answer = undo(world, "first")
    assert isinstance(answer, Acknowledgement)
    assert [one.id for one in world.ledger.facts()] == ["c2", "f0"]
    world.feed(Enrol(tuple(replace(fact(f"n{n}", at=9 + n)) for n in range(2))))
    answer = undo(world, "second")
    assert isinstance(answer, Acknowledgement)
    assert (answer.count, answer.detail[:1]) == (0, "2")
    assert [one.id for one in world.ledger.facts()] == ["n0", "n1"]
    assert world.runtime.digest() == world.derived()
