"""What facts did to others before they were forgotten: evictions, domains, names."""

from __future__ import annotations

import pytest

from edge.core.config import Config
from edge.core.events import Enrol, ForgetRequest, Label
from edge.core.facts import Selector
from edge.core.provenance import names_subject
from edge.core.receipt import EvictedConcept, Receipt
from tests.worlds import World, fact, vector


def test_a_receipt_counts_what_forgotten_facts_had_evicted():
    """Ten newcomers into a full concept, then forgotten: the receipt names the concept and the ten
    facts that a device which never saw them would hold."""
    old = [fact(f"old{n}", at=n + 1) for n in range(10)]
    world = World(old, config=Config(facts_per_concept=10, keep="newest"))
    flood = tuple(fact(f"new{n}", at=n + 100, subject="flood") for n in range(4))
    world.feed(Enrol(flood))
    receipt = world.ask(ForgetRequest(request_id="r", selector=Selector(subject="flood")), Receipt)
    assert receipt.evictions == (EvictedConcept("home", "a", 4),)
    again = world.ask(
        ForgetRequest(request_id="s", selector=Selector(ids=frozenset({"old9"}))), Receipt
    )
    assert again.evictions == ()


def placed_world() -> World:
    """A person named a domain for a subject's facts, and the detector put another's there."""
    rows = [
        fact(f"z{n}", "ab"[n % 2], "gallery-of-Zaphod", n + 1, subject="Zaphod") for n in range(8)
    ]
    world = World(rows)
    for n in range(4):
        world.observe(vector(n + 50), n, subject="Ford")
        world.feed(Label(f"s:{n}", "a"))
    return world


def test_domains_that_the_detector_chose_are_reported():
    """Facts that the detector put to the forgotten ones are counted in the receipt."""
    world = placed_world()
    receipt = world.ask(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"z1"}))), Receipt
    )
    assert [(one.domain, one.facts, one.renamed_to) for one in receipt.placed] == [
        ("gallery-of-Zaphod", 4, "")
    ]


def test_a_domain_that_names_a_forgotten_subject_gets_another_name():
    """The other subject's facts stay, under a domain that names nobody, and so does the receipt."""
    world = placed_world()
    receipt = world.ask(ForgetRequest(request_id="r", selector=Selector(subject="Zaphod")), Receipt)
    (name,) = world.runtime.knowledge.learned
    assert [(one.domain, one.facts, one.renamed_to) for one in receipt.placed] == [(name, 4, name)]
    assert "zaphod" not in f"{world.ledger.facts()} {world.ledger.concepts()}".casefold()
    assert "zaphod" not in f"{receipt.concepts_touched} {receipt.placed}".casefold()
    assert len(world.ledger.facts()) == 4
    assert receipt.digest_after


@pytest.mark.parametrize(
    ("domain", "subject", "found"),
    [
        ("gallery-of-Zaphod", "zaphod", True),
        ("Zaphod Beeblebrox's desk", "Zaphod Beeblebrox", True),
        ("line-1", "1", False),
        ("pumping", "pump", False),
        ("home", "", False),
    ],
)
def test_names_are_compared_word_by_word(domain, subject, found):
    """A name counts where its words are words of the domain, not where its letters occur."""
    assert names_subject(domain, subject) is found
