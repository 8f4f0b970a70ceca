from __future__ import annotations

from dataclasses import replace

import pytest

from edge.core.facts import Fact, Selector, digest_facts, stack_facts
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
    ],
)
def test_every_field_changes_the_hash(change):
    """Two facts that differ anywhere have different hashes."""
    one = fact("x")
    assert replace(one, **change).hash() != one.hash()


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
        (Selector(stream="s", domain="home", label="a"), True),
        (Selector(stream="s", domain="home", label="b"), False),
        (Selector(from_ns=5, until_ns=6), True),
        (Selector(from_ns=6), False),
        (Selector(until_ns=5), False),
    ],
)
def test_a_selector_wants_every_field_given(selector, expected):
    """A selector matches where all its fields do; times are half open."""
    assert selector.matches(fact("x", at=5, subject="p")) is expected


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
