from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.errors import StateCorruptError
from edge.core.facts import Receipt, Selector
from edge.storage.rows import COLUMNS, fact_of, row_of, tombstone_row, veil_id, where_clause
from tests.worlds import WIDTH, fact

KEY = b"k" * 32


def test_a_row_is_a_fact():
    """A fact's row gives the fact again, in the order of the columns."""
    one = fact("a", subject="ann", revision=3)
    assert fact_of(row_of(one), WIDTH, Path("k.db")) == one
    names = COLUMNS.split(", ")
    assert dict(zip(names, row_of(one), strict=True)) == {
        name: getattr(one, name) for name in names
    }


@pytest.mark.parametrize("features", [b"", b"x" * (WIDTH + 1), "x" * WIDTH, None, 5])
def test_features_of_another_kind_are_damage(features):
    """A row whose features are not `width` bytes raises StateCorruptError that names the fact."""
    row = ("a", "s", "d", "l", 0, features, "", 0)
    with pytest.raises(StateCorruptError, match="'a'"):
        fact_of(row, WIDTH, Path("k.db"))


def test_a_clause_holds_what_was_given():
    """Only the fields given narrow the selection; ids are left to the caller."""
    assert where_clause(Selector()) == ("1", ())
    assert where_clause(Selector(ids=frozenset({"a"}))) == ("1", ())
    where, values = where_clause(Selector(label="'; DROP TABLE facts", until_ns=0))
    assert where == "label = ? AND captured_at_ns < ?"
    assert values == ("'; DROP TABLE facts", 0)


def test_a_tomb_says_nothing_without_its_key():
    """Under another key the same id has another hash, of fixed length."""
    assert tombstone_row(KEY, "a") != tombstone_row(b"x" * 32, "a")
    assert len(tombstone_row(KEY, "a" * 200)) == 32


def test_a_veiled_receipt_keeps_no_id_and_no_subject():
    """What is stored of a receipt names neither the ids nor the subject that went."""
    selector = Selector(ids=frozenset({"secret-1", "secret-2"}), subject="secret-person")
    body = veil_id(
        Receipt(
            request_id="r",
            requested_at_ns=7,
            selector=selector,
            facts_forgotten=2,
            concepts_touched=("d/l",),
            digest_before="x",
            digest_after="y",
            rebuilt=(),
            evicted_before=0,
            not_covered=(),
        ),
        KEY,
    )
    assert "secret" not in str(body)
    assert body["selector"]["subject"] == tombstone_row(KEY, "secret-person").hex()
    assert body["facts_forgotten"] == 2
