from __future__ import annotations

import numpy as np

from edge.core.adaptors.standardisation import LEVELS, balance_weights, standardise
from edge.core.facts import FactBatch, stack_facts, untimed_batch


def batch(domain: str, shift: int, count: int) -> FactBatch:
    """Facts whose levels are shifted by a constant."""
    rows = np.random.default_rng(shift).integers(10, 60, (count, 6), np.uint8) + np.uint8(shift)
    ids = tuple(f"{domain}{row:04}" for row in range(count))
    return untimed_batch(ids, (domain,) * count, ("a",) * count, rows)


def test_each_domain_is_centred_on_its_own_mean():
    """With many own facts the centre is the mean of the domain."""
    own, others = batch("home", 5, 2000), batch("away", 100, 500)
    standard = standardise(own, others, ((0, 6),))
    np.testing.assert_allclose(standard.centre, LEVELS[own.features].mean(axis=0), atol=0.1)
    np.testing.assert_allclose(
        standard.centres, LEVELS[others.features].mean(axis=0)[None], rtol=1e-5
    )


def test_few_facts_are_shrunk_towards_the_others():
    """A single fact moves the centre less than a tenth of the way."""
    own, others = batch("home", 5, 1), batch("away", 100, 500)
    standard = standardise(own, others, ((0, 6),))
    near = np.abs(standard.centre - standard.centres[0])
    assert (near < 0.1 * np.abs(LEVELS[own.features[0]] - standard.centres[0]) + 1e-3).all()


def test_a_domain_without_others_is_standardised():
    """Without other domains the statistics are finite."""
    standard = standardise(batch("home", 5, 3), stack_facts([]), ((0, 6),))
    assert standard.centres.shape == (0, 6)
    assert np.isfinite(standard.factor).all()


def test_a_column_of_a_small_tap_weighs_more():
    """Columns of a tap with few columns get a weight above one, the others below."""
    weights = balance_weights(((0, 5), (5, 6)), 6)
    assert weights[5] > 1 > weights[0]
