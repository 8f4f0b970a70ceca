"""Selections in words, and names that no fact has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import Store
from edge.core.events import EraseFacts
from edge.core.facts import Selector
from edge.home.selections import describe_selector, missing_names
from tests.homes import RECEIPT, new_store
from tests.worlds import fact


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of four facts of two subjects."""
    subjects = ("person-one", "person-two")
    facts = [fact(f"f{n}", "ab"[n % 2], "hall", n + 1, subject=subjects[n // 2]) for n in range(4)]
    with new_store(tmp_path / "k.db", facts) as made:
        yield made


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (Selector(label="cat", until_ns=0), "label cat, until 1970-01-01T00:00:00Z"),
        (Selector(from_ns=1), "since 1970-01-01T00:00:00.000000001Z"),
        (Selector(ids=frozenset("abcde")), "ids a, b, c, ..."),
    ],
)
def test_selectors_are_described_in_words(selector: Selector, words: str) -> None:
    """Only given fields are named, of many ids the first few, and times as dates."""
    assert describe_selector(selector) == words


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        (Selector(subject="person-one", label="a"), []),
        (
            Selector(subject="persn-one"),
            ["no fact has the subject 'persn-one'; did you mean 'person-one'?"],
        ),
        (Selector(label="dog"), ["no fact has the label 'dog'; there are 'a', 'b'"]),
        (Selector(recording="r"), ["no fact has the recording 'r'"]),
        (Selector(ids=frozenset({"f1", "x"})), ["no fact has the id x (1 of 2 ids)"]),
    ],
)
def test_names_that_no_fact_has_are_told_with_the_most_similar(
    store: Store, selector: Selector, told: list[str]
) -> None:
    """A mistyped name is told with the one that was probably meant, or with all if these are few;
    names in use say nothing."""
    assert list(missing_names(store, selector)) == told


def test_an_id_that_was_forgotten_is_told_apart(store: Store) -> None:
    """A request that is repeated says that it was carried out."""
    store.apply(EraseFacts(("f1",), RECEIPT))
    told = list(missing_names(store, Selector(ids=frozenset({"f1", "f2", "x"}))))
    assert told == ["already forgotten: f1 (1 of 3 ids)", "no fact has the id x (1 of 3 ids)"]
