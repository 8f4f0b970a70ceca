"""Adaptation beside a forget request, failed fits, busy domains, and labels of few domains."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edge.core.adaptation import BasisRefit
from edge.core.config import Config
from edge.core.events import Decision, FitGeometry, ForgetRequest, Label
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.core.runtime import Runtime
from edge.core.session import OpeningRefit, openings
from tests.edge.core.session.adapted_worlds import (
    NAMES,
    WIDE,
    drawn,
    fit_all,
    right,
    seen,
    stream,
    taught,
)
from tests.worlds import World, fact


def beside(count=300):
    """A world whose fits run beside serving."""
    world = taught(count=count)
    world.runtime = Runtime(world.config, world.model, world.ledger, deferring=True)
    return world


def test_a_domain_with_few_labels_is_adapted_to_after_a_forget():
    """A forget request elsewhere does not end the adaptation of a domain with few labels."""
    world, classes = taught(), drawn(80, 3)
    first = stream(world, classes)
    for at in (-1, -2):
        world.feed(Label(first[at].observation_id, NAMES[classes[at]]))
    selector = Selector(ids=frozenset({"t0001"}))
    world.ask(ForgetRequest(request_id="r", selector=selector, requested_at_ns=200), Receipt)
    assert stream(world, drawn(60, 5), start=200)[-1].adaptation is not None


def test_explanations_of_a_learned_domain_are_not_adapted():
    """Once labels have ended the adaptation, people see what decisions answer, too."""
    world, classes = taught(), drawn(80, 3)
    first = stream(world, classes)
    for at in range(60, 70):
        world.feed(Label(first[at].observation_id, NAMES[classes[at]]))
    after = stream(world, drawn(20, 5), start=200)
    assert all(one.adaptation is None for one in after)
    explained = [world.runtime.explain(one.observation_id) for one in after]
    assert all(one is not None and one.adaptation is None for one in explained)
    assert world.runtime.adapted_domains() == {}


def labelled(count, wrong=0):
    """Whether a stream is adapted to after labels, some of which contradict the adapted answers;
    and after one more."""
    world, classes = taught(), drawn(120, 3)
    first = stream(world, classes)
    for at in range(60, 60 + count):
        given = classes[at] + 1 if at < 60 + wrong else classes[at]
        world.feed(Label(first[at].observation_id, NAMES[given % len(NAMES)]))
    found = [stream(world, drawn(20, 5), start=200)]
    world.feed(Label(first[-1].observation_id, NAMES[classes[-1]]))
    found.append(stream(world, drawn(20, 6), start=300))
    return [one[-1].adaptation is not None for one in found]


def test_adapted_answers_serve_while_they_match_the_labels():
    """With more than few labels, up to three for each, adapted answers go on if three quarters of
    the labels confirm them."""
    assert labelled(7) == [True, True]
    assert labelled(9) == [True, False]
    assert labelled(7, wrong=3) == [False, False]


def test_few_labels_that_contradict_adapted_answers_end_them(monkeypatch):
    """Adapted answers end with their first labels where these contradict them, until a forget
    request."""
    monkeypatch.setattr(openings, "MATCHED_FACTS_MIN", 2)
    world, classes = taught(), drawn(120, 3)
    first = stream(world, classes)
    for at in (60, 61):
        world.feed(Label(first[at].observation_id, NAMES[(classes[at] + 1) % len(NAMES)]))
    assert stream(world, drawn(20, 5), start=200)[-1].adaptation is None
    selector = Selector(ids=frozenset({first[61].observation_id}))
    world.ask(ForgetRequest(request_id="r", selector=selector, requested_at_ns=300), Receipt)
    assert stream(world, drawn(60, 6), start=400)[-1].adaptation is not None


def next_of(world, kind):
    """Fit what is due until a refit of a kind is; return that one, not fitted yet."""
    while not isinstance(refit := world.runtime.next_refit(), kind):
        assert refit is not None
        refit.gather(world.ledger)
        if world.runtime.prepare(refit):
            refit.solve()
        world.runtime.accept(refit, solved=True)
    return refit


def watch(world, name, shift, count, start):
    """Observe a moved domain in a stream."""
    for at, row in enumerate(seen(drawn(count, start), shift, start)):
        world.observe(row, start + at, stream=name)


def test_the_domain_that_waits_longest_is_solved_first():
    """A busy opened domain does not keep another from its solutions."""
    world = beside()
    for start, count in ((0, 60), (500, 20)):
        for name, shift in (("A", 1.0), ("B", -2.0)):
            watch(world, name, shift, count, start + 100 * (name == "B"))
            fit_all(world)
    solved = []
    for turn in range(1, 7):
        for name, shift in (("A", 1.0), ("B", -2.0)):
            watch(world, name, shift, 80, 1000 * turn + 100 * (name == "B"))
        refit = next_of(world, OpeningRefit)
        refit.solve()
        solved.append(refit.domain)
        world.runtime.accept(refit, solved=True)
    assert len(set(solved)) > 1


def test_a_failed_fit_is_tried_again():
    """A basis that could not be fitted is wanted again, and a failed solution does not repeat at
    once."""
    world = beside()
    stream(world, drawn(60, 3))
    world.runtime.accept(next_of(world, BasisRefit), solved=False)
    stream(world, drawn(10, 4), start=100)
    fit_all(world)
    decisions = stream(world, drawn(60, 5), start=200)
    assert decisions[-1].adaptation is not None
    refit = world.runtime.next_refit()
    assert refit is not None
    world.runtime.accept(refit, solved=False)
    assert world.runtime.next_refit() is None


def test_sums_of_other_devices_let_no_decision_wait_for_a_basis():
    """In a fleet the basis is fitted beside serving, too."""
    world = beside()
    other = world.runtime.contribute("other", 1).contribution
    world.feed(replace(other, device="other"))
    assert not world.runtime.knowledge.may_wait
    assert stream(world, drawn(60, 3))[-1].adaptation is None
    fit_all(world)
    assert stream(world, drawn(60, 5), start=200)[-1].adaptation is not None


def test_a_label_that_one_domain_knows_is_still_answered():
    """Heads that do not know a label have no say against the one that does."""
    facts = []
    for number in range(4):
        known = (0, 1, 2) if number == 0 else (0, 1)
        classes = np.array(known)[np.arange(60) % len(known)]
        rows = seen(classes, 0.1 * number, seed=number)
        facts += [
            replace(fact(f"d{number}{at:04}", NAMES[one], f"d{number}", at), features=row.tobytes())
            for at, (one, row) in enumerate(zip(classes, rows, strict=True))
        ]
    recalls = {}
    for policy in ("off", "auto"):
        world = World(facts, width=WIDE, config=Config(window=8, adaptation=policy))
        world.feed(FitGeometry())
        classes = drawn(200, 9)
        decisions = [
            message
            for at, row in enumerate(seen(classes, -1.0, 77))
            for message in world.observe(row, at)
            if isinstance(message, Decision)
        ]
        third = [one for one, of in zip(decisions, classes, strict=True) if of == 2]
        recalls[policy] = right(third, [2] * len(third))
    assert recalls["auto"] >= recalls["off"] - 0.05


def test_a_dark_scene_is_no_domain():
    """Black pictures in a row adapt nothing, and cost nothing once the light is back."""
    after = {}
    for policy in ("off", "auto"):
        world = taught(policy)
        for at in range(60):
            world.observe(np.zeros(WIDE, np.uint8), at)
        classes = drawn(30, 4)
        after[policy] = right(stream(world, classes, shift=0.8, start=100), classes)
    assert after["auto"] >= after["off"] - 0.05
