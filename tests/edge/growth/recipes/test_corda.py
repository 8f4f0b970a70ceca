"""CorDA: what its decomposition keeps, and where its training starts."""

from __future__ import annotations

import numpy as np
import pytest

import nas
from edge.core.facts import stack_facts
from tests.contracts.test_adaptors import OTHERS, OWN, SPANS

pytest.importorskip("torch", reason="torch is not installed")

from edge.growth import train_adaptor
from edge.growth.recipes import corda
from edge.growth.recipes.recipe import PLAIN_RATES


def rows(count: int, columns: int) -> np.ndarray:
    """Rows whose columns have different scales."""
    drawn = np.random.default_rng(3).standard_normal((count, columns))
    return (drawn * np.linspace(3, 0.1, columns)).astype(np.float32)


@pytest.mark.parametrize("count", [5, 40])
def test_the_covariance_is_that_of_the_rows_with_damping(count):
    """Products with it and with its inverse equal those with the full matrix."""
    given = rows(count, 12)
    full = given.T.astype(float) @ given / count
    full += corda.DAMPING * np.trace(full) / 12 * np.eye(12)
    found = corda.measure_covariance(given)
    weights = np.random.default_rng(1).standard_normal((4, 12))
    np.testing.assert_allclose(found.times(weights), weights @ full, rtol=1e-6)
    np.testing.assert_allclose(found.divided(weights), weights @ np.linalg.inv(full), rtol=1e-5)


@pytest.mark.parametrize("largest", [True, False])
def test_all_components_give_the_weights_again(largest):
    """B A equals W with every component, and lacks only what the others hold with fewer."""
    covariance = corda.measure_covariance(rows(30, 12))
    weights = np.random.default_rng(1).standard_normal((4, 12))
    outer, inner = corda.decompose(weights, covariance, 4, largest=largest)
    np.testing.assert_allclose(outer @ inner, weights, atol=1e-9)
    first, second = (corda.decompose(weights, covariance, 2, largest=one) for one in (True, False))
    np.testing.assert_allclose(first[0] @ first[1] + second[0] @ second[1], weights, atol=1e-9)


@pytest.mark.parametrize("count", [5, 40])
def test_the_identity_is_decomposed_as_any_weight(count):
    """The same components as of the identity matrix, without a matrix of that size."""
    covariance = corda.measure_covariance(rows(count, 12))
    for largest in (True, False):
        outer, inner = corda.decompose_identity(covariance, 12, 0, largest=largest)
        np.testing.assert_allclose(outer @ inner, np.eye(12), atol=1e-8)
    known = min(count, 12)
    outer, inner = corda.decompose_identity(covariance, 3, 0, largest=True)
    expected = corda.decompose(np.eye(12), covariance, 3, largest=True)
    np.testing.assert_allclose(outer @ inner, expected[0] @ expected[1], atol=1e-6)
    assert known >= 3


def test_the_smallest_components_hardly_meet_the_facts():
    """The trained part of the knowledge-preserved mode reads nothing from facts that lie in other
    directions; that of the task mode reads all that it can."""
    given = rows(5, 12)
    covariance = corda.measure_covariance(given)
    low, high = (
        np.abs(given @ (outer @ inner).T).max()
        for outer, inner in (
            corda.decompose_identity(covariance, 4, 0, largest=one) for one in (False, True)
        )
    )
    assert low < 1e-5 < high


@pytest.mark.parametrize("recipe", ["corda", "corda-kept"])
def test_training_starts_from_the_identity(recipe, monkeypatch):
    """Before the first step a residual block adds nothing: the start is subtracted again."""
    assert PLAIN_RATES
    monkeypatch.setattr(corda, "PLAIN_RATES", ())
    one = nas.Blueprint(kind="lowrank", taps=(0, 1, 2), rank=6, recipe=recipe)
    arrays = train_adaptor(one, stack_facts(OWN), stack_facts(OTHERS), SPANS, 1)
    assert np.abs(arrays["U0"]).max() > 0
    np.testing.assert_allclose(arrays["U0"] @ arrays["V0"], 0, atol=1e-5)
