from __future__ import annotations

import pytest

from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    Enrol,
    FitGeometry,
    ForgetRequest,
    Label,
    Observation,
    Rejected,
)
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from tests.worlds import World, fact, vector

VALUES = vector(5)


def test_forgetting_reaches_the_window():
    """An unlabelled observation is forgotten by id, subject, stream or time, and stays so."""
    world = World()
    world.observe(vector(5), 0, subject="p")
    receipt = world.ask(ForgetRequest(request_id="r", selector=Selector(subject="p")), Receipt)
    assert receipt.facts_forgotten == 0
    assert world.ledger.was_forgotten("s:0")
    session = world.runtime._session  # noqa: SLF001 - nothing else shows it
    assert session.label_buffer.get("s:0") is None
    assert "forgotten" in world.ask(Label("s:0", "a"), Rejected).reason


def test_a_receipt_has_counts_concepts_and_digests():
    """A receipt has the count, the concepts and both digests; the second is that of the
    remaining facts."""
    world = World([fact("x", "a"), fact("y", "b"), fact("z", "b")])
    before = world.runtime.digest()
    receipt = world.ask(
        ForgetRequest(request_id="r", selector=Selector(label="b"), requested_at_ns=42), Receipt
    )
    assert (receipt.request_id, receipt.requested_at_ns) == ("r", 42)
    assert (receipt.facts_forgotten, receipt.concepts_touched) == (2, ("home/b",))
    assert receipt.digest_before == before
    never = World([fact("x", "a")]).runtime.digest()
    assert receipt.digest_after == world.runtime.digest() == never
    assert receipt.evicted_before == 0
    assert world.ledger.receipts == [receipt]


def test_a_receipt_counts_evictions_before_it():
    """The receipt counts earlier evictions, because the digest can't distinguish them from
    forgotten facts."""
    world = World([fact("x", at=1)], config=Config(facts_per_concept=1))
    world.feed(Enrol((fact("y", at=2),)))
    receipt = world.ask(ForgetRequest(request_id="r", selector=Selector(label="a")), Receipt)
    assert receipt.evicted_before == 1


def test_a_receipt_counts_facts_that_were_too_old_to_keep():
    """A fact too old for a full concept would have stayed, had the others never come."""
    world = World([fact("x", at=2)], config=Config(facts_per_concept=1, keep="newest"))
    assert "older" in world.ask(Enrol((fact("y", at=1),)), Acknowledgement).detail
    assert (
        world.ask(
            ForgetRequest(request_id="r", selector=Selector(label="a")), Receipt
        ).evicted_before
        == 1
    )


def test_forgetting_everything_by_an_empty_selector_is_refused():
    """A request that names nothing would forget all; it is refused."""
    world = World([fact("x")])
    world.ask(ForgetRequest(request_id="r", selector=Selector()), Rejected)
    assert len(world.ledger.facts()) == 1


def test_a_crash_inside_a_refit_leaves_a_request_to_repeat():
    """A receipt is written last: before it the facts are still there to be forgotten again."""
    world = World([fact(f"f{row}", "ab"[row % 2], at=row) for row in range(20)])
    world.feed(FitGeometry())
    request = ForgetRequest(request_id="r", selector=Selector(label="b"), refit_geometry=True)
    effects = world.runtime.handle(request)
    world.ledger.apply(effects[0])
    world.crash()
    assert world.runtime.digest() == world.derived()
    receipt = world.ask(request, Receipt)
    assert receipt.facts_forgotten == 10
    world.crash()
    assert world.runtime.digest() == receipt.digest_after


@pytest.mark.parametrize(
    ("again", "selector"),
    [
        (
            Observation(stream="s", sequence=1, captured_at_ns=150, payload=VALUES, id="o1"),
            Selector(from_ns=100, until_ns=200),
        ),
        (
            Observation(
                stream="s", sequence=1, captured_at_ns=50, payload=VALUES, id="o1", subject="ann"
            ),
            Selector(subject="ann"),
        ),
        (
            Observation(stream="other", sequence=1, captured_at_ns=50, payload=VALUES, id="o1"),
            Selector(stream="other"),
        ),
    ],
)
def test_a_redelivery_does_not_widen_a_request(again, selector):
    """An observation that comes again with other particulars matches; the fact of its id stays."""
    world = World([fact("x")])
    world.feed(Observation(stream="s", sequence=1, captured_at_ns=50, payload=VALUES, id="o1"))
    world.feed(Label("o1", "a", "home"))
    world.feed(again)
    receipt = world.ask(ForgetRequest(request_id="r", selector=selector), Receipt)
    assert receipt.facts_forgotten == 0
    assert world.ledger.get("o1") is not None
    assert world.runtime.digest() == world.derived()


def test_forgetting_nothing_is_rejected():
    """A request that matches nothing is rejected and leaves no receipt."""
    world = World([fact("x")])
    world.ask(ForgetRequest(request_id="r", selector=Selector(label="never")), Rejected)
    assert world.ledger.receipts == []


def test_a_refit_after_forgetting_leaves_no_trace():
    """After a refit even the frozen geometry has no trace of forgotten facts."""
    facts = [fact(f"f{row}", "ab"[row % 2], at=row) for row in range(20)]
    world = World(facts)
    world.feed(FitGeometry())
    world.feed(ForgetRequest(request_id="r", selector=Selector(label="b"), refit_geometry=True))
    never = World([row for row in facts if row.label == "a"])
    never.feed(FitGeometry())
    assert world.runtime.digest() == never.runtime.digest() == world.derived()
    assert "geometry" in world.ledger.receipts[0].rebuilt


def test_forgetting_all_facts_with_a_refit_is_a_fresh_start():
    """An emptied ledger has the digest of one that was always empty."""
    world = World([fact("x"), fact("y")])
    world.feed(FitGeometry())
    world.feed(ForgetRequest(request_id="r", selector=Selector(label="a"), refit_geometry=True))
    assert world.runtime.digest() == World().runtime.digest()
    world.crash()
    assert world.runtime.digest() == World().runtime.digest()


@pytest.mark.parametrize("refit", [False, True])
def test_all_facts_of_wide_features_are_forgotten(refit):
    """Memories without concepts serve whatever the width: here gains of columns are small."""
    facts = [
        fact(f"f{at}", "ab"[at % 2], "xy"[at // 40], at + 1, seed=at, width=600) for at in range(80)
    ]
    world = World(facts, width=600)
    world.feed(FitGeometry())
    world.ask(
        ForgetRequest(
            request_id="r", selector=Selector(stream="s"), requested_at_ns=0, refit_geometry=refit
        ),
        Receipt,
    )
    assert world.ledger.concepts() == {}
    assert world.runtime.knowledge.memory.keys == ()
