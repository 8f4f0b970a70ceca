from __future__ import annotations

import pytest

from edge.core.adaptation import BasisRefit, OpeningAdapter
from edge.core.events import Enrol, ForgetRequest, Label, Observation
from edge.core.facts import Selector
from edge.core.pending_forgets import AdvanceForget
from edge.core.receipt import Receipt
from edge.core.runtime import Runtime
from edge.core.session.row_origins import NAMES_MAX, RowOrigins
from tests.edge.core.session.adapted_worlds import (
    NAMES,
    WIDE,
    drawn,
    fit_all,
    right,
    stream,
    taught,
)
from tests.worlds import fact


def test_an_opened_domain_is_answered_better():
    """From its opening on, a domain without labels is answered better than without adaptation."""
    classes = drawn(240, 3)
    adapted, plain = (stream(taught(policy), classes) for policy in ("auto", "off"))
    assert plain[-1].degraded
    assert all(one.adaptation is None for one in plain)
    assert adapted[-1].adaptation.samples > 60
    assert right(adapted[80:], classes[80:]) > right(plain[80:], classes[80:]) + 0.1


def test_every_degraded_decision_reports_its_adaptation():
    """Decisions outside the opened domain report none; those inside a growing number of samples,
    but for samples that a learned domain answers."""
    decisions = stream(taught(), drawn(120, 3))
    assert {one.adaptation is not None for one in decisions if not one.degraded} == {False}
    degraded = [one for one in decisions if one.degraded]
    adapted = [one.adaptation for one in degraded if one.adaptation is not None]
    assert all(one.known is not False for one in degraded if one.adaptation is None)
    assert len(adapted) > 0.8 * len(degraded)
    samples = [one.samples for one in adapted]
    assert samples == sorted(samples)
    assert adapted[0].strength <= adapted[-1].strength <= 1


def test_the_answer_that_was_served_is_the_one_that_is_scored():
    """The label buffer holds the guess of every decision, adapted or not."""
    world = taught()
    for shift in (1.0, 0.0):
        for one in stream(world, drawn(60, 3), shift, start=int(100 * shift)):
            assert world.runtime.buffered(one.observation_id).guess == one.guess != ""


def test_adaptation_leaves_ledger_and_digest_alone():
    """Neither facts nor digest change by samples that were adapted to."""
    world = taught()
    digest, facts = world.runtime.digest(), dict(world.ledger.contents())
    stream(world, drawn(120, 3))
    assert world.runtime.digest() == digest == world.derived()
    assert dict(world.ledger.contents()) == facts


def test_new_facts_count_from_the_next_solution_on():
    """Facts that other streams learn meanwhile do not start an opened domain again one by one."""
    world = taught()
    stream(world, drawn(60, 3))
    fits = []
    solve = BasisRefit.solve

    def counted(refit):
        fits.append(refit)
        solve(refit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BasisRefit, "solve", counted)
        for at in range(33):
            world.feed(Enrol((fact(f"late{at}", "a", at=500 + at, width=WIDE),)))
            stream(world, drawn(1, at), start=100 + at)
    assert len(fits) == 1


def test_a_few_labels_do_not_switch_adaptation_off():
    """With facts for half of the labels the adapted answer serves on; with more, the head that is
    solved from them does, and the domain is no longer degraded."""
    world = taught()
    classes = drawn(80, 3)
    decisions = stream(world, classes)
    for at in (-1, -2):
        world.feed(Label(decisions[at].observation_id, NAMES[classes[at]]))
    few = stream(world, drawn(5, 4), start=100)
    assert all(one.degraded and one.adaptation is not None for one in few)
    assert few[-1].adaptation.samples >= decisions[-1].adaptation.samples
    world.feed(Label(decisions[-3].observation_id, NAMES[classes[-3]]))
    after = stream(world, drawn(5, 5), start=200)
    assert all(not one.degraded and one.adaptation is None for one in after)


def test_without_adaptation_the_first_label_ends_the_degraded_state():
    """With the policy off, a domain with a fact is answered by its own head."""
    world = taught("off")
    classes = drawn(80, 3)
    decisions = stream(world, classes)
    assert decisions[-1].degraded
    world.feed(Label(decisions[-1].observation_id, NAMES[classes[-1]]))
    assert not any(one.degraded for one in stream(world, drawn(5, 4), start=100))


def test_a_forget_request_drops_what_it_reaches():
    """After a forget of a subject, what was adapted to its samples starts again without them."""
    world = taught()
    stream(world, drawn(60, 3))
    before = stream(world, drawn(60, 5), start=60, seed=8, subject="eve")[-1]
    assert before.adaptation.samples > 60
    request = ForgetRequest(request_id="r1", selector=Selector(subject="eve"), requested_at_ns=200)
    world.ask(request, Receipt)
    assert not world.runtime.holds_traces(Selector(subject="eve"))
    after = stream(world, drawn(1, 5), start=300, seed=8)[0]
    assert after.adaptation is None or after.adaptation.samples <= 60


def test_a_row_is_matched_by_name_time_or_id():
    """A selector reaches an opened domain by any name of its rows, and not by another."""
    names = RowOrigins()
    names.add(Observation(stream="s", sequence=1, captured_at_ns=10, payload=0, subject="eve"))
    assert names.may_match(Selector(subject="eve"))
    assert names.may_match(Selector(stream="s", from_ns=10, until_ns=11))
    assert not names.may_match(Selector(subject="bob"))
    assert not names.may_match(Selector(from_ns=11))
    assert not names.may_match(Selector(label="a"))


def test_more_names_than_are_noted_match_any():
    """Where more subjects were seen than are noted, every subject is reached."""
    names = RowOrigins()
    for at in range(NAMES_MAX + 2):
        names.add(
            Observation(stream="s", sequence=at, captured_at_ns=at, payload=0, subject=f"p{at}")
        )
    assert names.may_match(Selector(subject="never seen"))
    assert not names.may_match(Selector(stream="other"))


def test_decisions_do_not_wait_for_what_is_fitted_beside_serving():
    """With many facts, answers are adapted from when the basis has been fitted in the background,
    and to more samples each time a solution has been."""
    world = taught(count=300)
    world.runtime = Runtime(world.config, world.model, world.ledger, deferring=True)
    before = stream(world, drawn(60, 3))
    assert before[-1].degraded
    assert before[-1].adaptation is None
    fit_all(world)
    first = stream(world, drawn(40, 4), start=60)[-1].adaptation
    assert first is not None
    fit_all(world)
    second = stream(world, drawn(1, 5), start=100)[-1].adaptation
    assert second.samples > first.samples


def test_no_decision_computes_a_basis_or_a_solution(monkeypatch):
    """With many facts, neither a start, nor a domain that opens with the rows it was opened by, nor
    any sample after it fits a part of adaptation within a decision."""
    world = taught(count=300)
    world.runtime = Runtime(world.config, world.model, world.ledger, deferring=True)
    serving: list[int] = []

    def guarded(made):
        def solve(*given):
            assert not serving, "a decision waits"
            return made(*given)

        return solve

    monkeypatch.setattr(BasisRefit, "solve", guarded(BasisRefit.solve))
    monkeypatch.setattr(OpeningAdapter, "solution", guarded(OpeningAdapter.solution))
    decisions = []
    for turn, shift in enumerate((0.0, 1.0, 1.0, -1.5, -1.5, -1.5)):
        serving.append(turn)
        decisions = stream(world, drawn(60, turn), shift, start=100 * turn)
        serving.clear()
        fit_all(world)
    assert decisions[-1].adaptation.samples > 60
    assert len(world.runtime.adapted_domains()) > 0


def test_a_forget_request_drops_what_is_being_fitted():
    """A basis that was being fitted when facts were forgotten never serves."""
    world = taught(count=300)
    world.runtime = Runtime(world.config, world.model, world.ledger, deferring=True)
    stream(world, drawn(60, 3))
    while not isinstance(refit := world.runtime.next_refit(), BasisRefit):
        refit.gather(world.ledger)
        world.runtime.prepare(refit)
        refit.solve()
        world.runtime.accept(refit, solved=True)
    refit.gather(world.ledger)
    request = ForgetRequest(
        request_id="r1", selector=Selector(ids=frozenset({"t0001"})), requested_at_ns=200
    )
    world.feed(request)
    while world.runtime.forgetting:
        fit_all(world)
        world.feed(AdvanceForget(1))
    refit.solve()
    world.runtime.accept(refit, solved=True)
    assert stream(world, drawn(1, 5), start=100)[-1].adaptation is None


def test_a_restart_starts_again():
    """After a crash the opened domain is found and adapted to again."""
    world = taught()
    stream(world, drawn(80, 3))
    world.crash()
    again = stream(world, drawn(80, 4), start=100, seed=5)
    assert again[-1].adaptation.samples > 16


@pytest.mark.parametrize("count", [1, 12])
def test_a_domain_that_ends_as_soon_as_it_opened_changes_nothing(count):
    """Back in the known domain, decisions are those of a runtime without adaptation."""
    worlds = taught("auto"), taught("off")
    back = []
    for world in worlds:
        stream(world, drawn(count, 3))
        classes = drawn(60, 6)
        back.append([m.guess for m in stream(world, classes, 0.0, seed=6, start=50)[30:]])
    assert back[0] == back[1]
