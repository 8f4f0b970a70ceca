"""Moments are sums: they can be subtracted, merged and copied exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.knowledge.moments import GRAM_COLUMNS_MAX, Moments
from tests.worlds import vector

A, B = ("home", "a"), ("away", "b")


def rows(seeds: list[int], width: int = 6) -> np.ndarray:
    """Facts of some seeds, uint8 [n, width]."""
    return np.array([vector(seed, width) for seed in seeds], np.uint8).reshape(len(seeds), width)


def same(one: Moments, other: Moments) -> bool:
    """Return whether all sums are equal."""
    return (
        one.counts == other.counts
        and one.sums.keys() == other.sums.keys()
        and all(np.array_equal(one.sums[key], other.sums[key]) for key in one.sums)
        and np.array_equal(one.gram, other.gram)
    )


def test_sums_are_those_of_the_definition():
    """Sums by concept, and the products of all columns over all facts, of the first columns."""
    made, facts = Moments(4), rows([1, 2, 3])
    made.change(A, facts[:2], 1)
    made.change(B, facts[2:], 1)
    first = facts[:, :4].astype(np.int64)
    assert made.counts == {A: 2, B: 1}
    assert made.sums[A].tolist() == first[:2].sum(axis=0).tolist()
    assert made.gram.tolist() == (first.T @ first).tolist()


def test_products_of_many_full_rows_are_exact():
    """More rows than float32 could add up at once."""
    made, facts = Moments(3), np.full((1000, 3), 255, np.uint8)
    made.change(A, facts, 1)
    assert set(made.gram.ravel().tolist()) == {1000 * 255 * 255}


@settings(max_examples=25, deadline=None)
@given(gone=st.sets(st.integers(0, 7)))
def test_taking_away_equals_never_having_added(gone: set[int]):
    """Subtracting facts restores the earlier sums; an empty concept is removed."""
    made, never = Moments(6), Moments(6)
    kept = [seed for seed in range(8) if seed not in gone]
    made.change(A, rows(list(range(8))), 1)
    made.change(A, rows(sorted(gone)), -1)
    if kept:
        never.change(A, rows(kept), 1)
    assert same(made, never)


@pytest.mark.parametrize("columns", [6, GRAM_COLUMNS_MAX + 1])
def test_merging_equals_adding_both(columns: int):
    """Packed moments of two devices add up to those of one; wide ones keep no Gram matrix."""
    mine, theirs, both = Moments(columns), Moments(columns), Moments(columns)
    for made, concept, seeds in ((mine, A, [1, 2]), (theirs, A, [3]), (theirs, B, [4, 5])):
        made.change(concept, rows(seeds, columns), 1)
        both.change(concept, rows(seeds, columns), 1)
    assert bool(mine.gram.size) == (columns <= GRAM_COLUMNS_MAX)
    mine.merge(theirs.counts, theirs.pack(theirs.counts))
    assert same(mine, both)


def test_a_copy_changes_alone():
    """A copy and its original do not affect each other."""
    made = Moments(6)
    made.change(A, rows([1]), 1)
    before = made.copy()
    other = made.copy()
    other.change(B, rows([2]), 1)
    assert same(made, before)
    assert not same(other, before)
