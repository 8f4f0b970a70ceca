from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edge.core.facts import stack_facts
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.knowledge.time_sample import orders_in_time, sample_in_time
from tests.worlds import fact

SECOND = 10**9


def test_whole_runs_are_sampled_whatever_the_order():
    """A sample of many timed facts is made of runs of neighbours, and depends on their set only."""
    facts = [fact(f"f{at * 7919 % 3000:04}", at=SECOND * (at + 1)) for at in range(3000)]
    one = sample_in_time(MemoryLedger(facts), "home", 3000, 1024)
    other = sample_in_time(MemoryLedger(reversed(facts)), "home", 3000, 1024)
    assert one.ids == other.ids
    assert 700 < len(one) <= 1024
    places = np.sort(one.captured_at_ns) // SECOND
    neighbours = np.mean(np.diff(places) == 1)
    assert neighbours > 0.95


def test_facts_without_times_have_no_order():
    """Without capture times, with too few of them, or with too few facts there are no blocks."""
    timed = [fact(f"f{at:03}", at=SECOND * (at + 1)) for at in range(60)]
    assert set(orders_in_time(stack_facts(timed))) == {("home", "a")}
    assert not orders_in_time(stack_facts(timed[:30]))
    assert not orders_in_time(stack_facts([replace(one, captured_at_ns=0) for one in timed]))
    recorded = [
        replace(one, captured_at_ns=0, recording=f"r{at // 10}") for at, one in enumerate(timed)
    ]
    assert set(orders_in_time(stack_facts(recorded))) == {("home", "a")}


def test_a_few_facts_without_times_leave_a_domain_in_time_order():
    """Up to a tenth of them: they are spread over the blocks, by their ids alone.  One more, and
    the domain counts as independent."""
    timed = [fact(f"f{at:03}", at=SECOND * (at + 1)) for at in range(180)]
    untimed = [fact(f"u{at:03}") for at in range(21)]
    rows = stack_facts([*timed, *untimed[:20]])
    order = orders_in_time(rows)["home", "a"]
    assert np.array_equal(order.block[:180], np.sort(order.block[:180]))
    assert len(set(order.block[180:].tolist())) >= 3
    again = orders_in_time(stack_facts([*reversed(timed), *untimed[:20]]))["home", "a"]
    assert np.array_equal(again.block[180:], order.block[180:])
    assert not orders_in_time(stack_facts([*timed, *untimed]))


def test_runs_are_sampled_beside_facts_without_times():
    """A sample of many facts holds runs of neighbours, though some facts have no time."""
    facts = [fact(f"f{at:04}", at=SECOND * (at + 1)) for at in range(2000)]
    facts += [fact(f"u{at:04}") for at in range(200)]
    found = sample_in_time(MemoryLedger(facts), "home", 2200, 1024)
    assert int(found.captured_at_ns.min()) > 0
    assert 700 < len(found) <= 1024


def test_a_subject_is_held_out_as_a_whole():
    """With five subjects or more no subject lies in two blocks, even where they take turns; with
    fewer, recordings are held out."""
    facts = [
        replace(
            fact(f"f{at:03}", at=SECOND * (at + 1), subject=f"s{at // 2 % 6}"),
            recording=f"r{at // 6}",
        )
        for at in range(120)
    ]
    order = orders_in_time(stack_facts(facts))["home", "a"]
    for subject in range(6):
        own = [row for row, one in enumerate(facts) if one.subject == f"s{subject}"]
        assert len(set(order.block[own].tolist())) == 1
    assert len(set(order.block.tolist())) == 5
    few = [replace(one, subject="s0") for one in facts]
    order = orders_in_time(stack_facts(few))["home", "a"]
    for recording in range(20):
        rows = slice(6 * recording, 6 * recording + 6)
        assert len(set(order.block[rows].tolist())) == 1
