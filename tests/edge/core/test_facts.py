from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from edge.core.facts import (
    Fact,
    Selector,
    digest_facts,
    sample_facts,
    select_rows,
    stack_facts,
)
from tests.worlds import fact


@pytest.mark.parametrize(
    "change",
    [
        {"id": "y"},
        {"stream": "t"},
        {"domain": "away"},
        {"label": "b"},
        {"captured_at_ns": 1},
        {"features": bytes(8)},
        {"subject": "p"},
        {"revision": 1},
        {"recording": "r"},
    ],
)
def test_every_field_changes_the_hash(change):
    """Two facts that differ anywhere have different hashes."""
    one = fact("x")
    assert replace(one, **change).hash() != one.hash()


def test_a_fact_without_a_recording_keeps_its_hash():
    """Digests stored before facts had recordings stay valid: the hash is the one of that time."""
    one = Fact(
        id="x",
        stream="s",
        domain="d",
        label="l",
        captured_at_ns=5,
        features=b"abc",
        subject="p",
        revision=2,
    )
    assert one.hash().hex() == "d89a37e2b64a8460be07675dde13006ef497d5b4154a6e5c0e9e2a8787b7a25c"


def test_batches_carry_times_and_recordings():
    """A stacked batch, rows of it and a sample of it hold each fact's own time and recording."""
    rows = [
        replace(fact(f"f{at:02}", at=at), recording=f"r{at % 3}" if at % 2 else "")
        for at in range(40)
    ]
    held = {one.id: (one.captured_at_ns, one.recording) for one in rows}
    stacked = stack_facts(reversed(rows))
    chosen = select_rows(stacked, np.array([31, 4, 5]))
    sampled = sample_facts([stack_facts(rows[:25]), stack_facts(rows[25:])], 16)
    assert (len(stacked), len(chosen), len(sampled)) == (40, 3, 16)
    for batch in (stacked, chosen, sampled):
        assert batch.captured_at_ns.dtype == np.int64
        kept = zip(batch.captured_at_ns.tolist(), batch.recordings, strict=True)
        assert dict(zip(batch.ids, kept, strict=True)) == {one: held[one] for one in batch.ids}


def test_fields_do_not_run_into_each_other():
    """Text moved from one field to its neighbour gives another hash."""
    one = Fact(id="x", stream="ab", domain="c", label="d", captured_at_ns=0, features=b"")
    other = Fact(id="x", stream="a", domain="bc", label="d", captured_at_ns=0, features=b"")
    assert one.hash() != other.hash()


def test_a_higher_revision_supersedes():
    """A correction wins over the fact that it corrects, never the reverse."""
    old, new = fact("x", "a"), fact("x", "b", revision=1)
    assert new.supersedes(old)
    assert not old.supersedes(new)


def test_one_of_two_equal_revisions_supersedes():
    """Of two versions with the same revision exactly one wins, whoever compares them."""
    one, other = fact("x", "a"), fact("x", "b")
    assert one.supersedes(other) is not other.supersedes(one)
    assert not one.supersedes(replace(one))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector(), True),
        (Selector(ids=frozenset({"x", "z"})), True),
        (Selector(ids=frozenset()), False),
        (Selector(subject="p"), True),
        (Selector(subject=""), False),
        (Selector(recording="r"), True),
        (Selector(recording=""), False),
        (Selector(stream="s", domain="home", label="a"), True),
        (Selector(stream="s", domain="home", label="b"), False),
        (Selector(from_ns=5, until_ns=6), True),
        (Selector(from_ns=6), False),
        (Selector(until_ns=5), False),
    ],
)
def test_a_selector_wants_every_field_given(selector, expected):
    """A selector matches where all its fields do; times are half open."""
    one = replace(fact("x", at=5, subject="p"), recording="r")
    assert selector.matches(one) is expected


def test_only_a_selector_without_fields_is_empty():
    """An empty set of ids selects nothing, which is not the same as selecting everything."""
    assert Selector().empty
    assert not Selector(ids=frozenset()).empty
    assert not Selector(subject="").empty


def test_gather_sorts_by_id():
    """Facts come side by side in the order of their ids, each row its own features."""
    rows = [fact("b", "two"), fact("a", "one")]
    batch = stack_facts(rows)
    assert batch.ids == ("a", "b")
    assert batch.labels == ("one", "two")
    assert batch.features[1].tobytes() == rows[0].features


def test_gather_takes_nothing():
    """No facts give an empty batch."""
    assert len(stack_facts([])) == 0


def test_the_digest_of_facts_ignores_order_and_sees_changes():
    """The same facts in any order have one digest; a corrected fact gives another."""
    facts = [fact("a"), fact("b"), fact("c")]
    assert digest_facts(facts) == digest_facts(facts[::-1])
    assert digest_facts(facts) != digest_facts([*facts[:2], replace(facts[2], revision=1)])
    assert digest_facts([]) == "0" * 64
