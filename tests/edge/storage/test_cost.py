"""What SQLite does for an operation hardly grows with the ledger: counted, not timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge import Store
from edge.core import Selector, StoreFacts
from edge.core.facts import Fact
from tests.homes import distinct_facts, wide_card

WIDTH = 8
SMALL, LARGE = 400, 8_000
"""Facts of the two ledgers, of two concepts each."""

STEP = 20
"""Operations of SQLite between two counts."""


KNOWN = distinct_facts(1, WIDTH)[0].id
"""The id of a fact that both hold."""


def ledger(path: Path, count: int) -> Store:
    """A file with so many facts."""
    store = Store.create(path, wide_card(WIDTH))
    store.apply(StoreFacts(facts=tuple(distinct_facts(count, WIDTH)), evicted=()))
    return store


def steps(store: Store, call: Callable[[Store], Any]) -> int:
    """Count the operations of SQLite that a call takes, once caches are filled."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    call(store)
    store._db.set_progress_handler(count, STEP)  # noqa: SLF001 - nothing else counts them
    call(store)
    store._db.set_progress_handler(None, 0)  # noqa: SLF001 - as above
    return counted


def learn(store: Store) -> None:
    """Learn one more fact."""
    number = sum(store.concepts().values())
    one = distinct_facts(1, WIDTH)[0]
    fields = {name: getattr(one, name) for name in Fact.__struct_fields__}
    store.apply(StoreFacts(facts=(Fact(**{**fields, "id": f"more {number}"}),), evicted=()))


OPERATIONS: dict[str, Callable[[Store], Any]] = {
    "a sample of 50": lambda store: store.sample(50),
    "one more fact": learn,
    "a fact by its id": lambda store: store.get(KNOWN),
    "a selection by id": lambda store: store.select(Selector(ids=frozenset({KNOWN}))),
    "the oldest facts of a concept": lambda store: store.oldest("home", "a", 10),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_does_not_read_the_ledger(tmp_path: Path, name: str) -> None:
    """Twenty times as many facts take at most half as much again, and two counts for the depth of
    the indexes."""
    found = []
    for count in (SMALL, LARGE):
        with ledger(tmp_path / f"{count}.db", count) as store:
            found.append(steps(store, OPERATIONS[name]))
    small, large = found
    assert 0 < large <= 1.5 * small + 2
