"""Emulated fine-tuning: the sum of three models."""

from __future__ import annotations

import numpy as np
import pytest

import nas
from edge.core.adaptors import standardise
from edge.core.facts import Fact, stack_facts
from tests.contracts.test_adaptors import OTHERS, OWN, SPANS

pytest.importorskip("torch", reason="torch is not installed")

from edge.growth import train_adaptor
from edge.growth.recipes import emulated
from edge.growth.recipes.ridge import ridge_map
from edge.growth.training_set import AdaptorTrainingSet, make_adaptor_training_set

SMALL = SPANS[0][1]


def known(others: list[Fact]) -> AdaptorTrainingSet:
    """The facts as a recipe gets them."""
    one = nas.Blueprint(kind="linear", taps=(0, 1, 2), width=6)
    own, rest = stack_facts(OWN), stack_facts(others)
    return make_adaptor_training_set(one, own, rest, standardise(own, rest, SPANS), SPANS)


def test_the_map_is_the_large_base_and_the_small_change():
    """On the small model's columns: large base + tuned - base; on the others: the large base."""
    facts = known(OTHERS)
    base = facts.part(~facts.own)
    large = ridge_map(base, base.rows)
    change = ridge_map(facts, facts.rows[:, :SMALL]) - ridge_map(base, base.rows[:, :SMALL])
    made = emulated.emulated_map(facts, SMALL)
    np.testing.assert_allclose(made[:SMALL], large[:SMALL] + change, atol=1e-6)
    np.testing.assert_array_equal(made[SMALL:], large[SMALL:])


def test_without_other_domains_the_small_model_is_left():
    """The bases know nothing then."""
    made = emulated.emulated_map(known([]), SMALL)
    assert np.abs(made[:SMALL]).max() > 0
    assert not made[SMALL:].any()


@pytest.mark.parametrize("width", [2, 3, 6])
def test_the_first_columns_span_the_emulated_logits(width):
    """Columns of the adaptor hold the logits as they are where the width allows, and their
    principal part otherwise."""
    one = nas.Blueprint(kind="linear", taps=(0, 1, 2), width=width, recipe="emulated")
    arrays = train_adaptor(one, stack_facts(OWN), stack_facts(OTHERS), SPANS, 1)
    whole = emulated.emulated_map(known(OTHERS), SMALL)
    if width > whole.shape[1]:
        np.testing.assert_array_equal(arrays["W"][:, : whole.shape[1]], whole)
        assert np.abs(arrays["W"][:, whole.shape[1] :]).max() > 0
    else:
        sizes = np.linalg.svd(whole, compute_uv=False)
        found = np.linalg.svd(arrays["W"], compute_uv=False)
        np.testing.assert_allclose(found, sizes[:width], rtol=1e-4, atol=1e-6)


def test_the_ridge_regression_solves_its_equations():
    """Few columns and many give the minimum of the same penalised error."""
    facts = known(OTHERS)
    for columns in (facts.rows[:, :4], facts.rows.repeat(1, 8)):
        made = ridge_map(facts, columns).astype(float)
        inputs, shares = columns.numpy().astype(float), facts.weights.numpy().astype(float)[:, None]
        hot = np.eye(facts.labels)[facts.targets.numpy()]
        errors = inputs @ made - (hot - (shares * hot).sum(axis=0) / shares.sum())
        slope = inputs.T @ (shares * errors)
        penalty = -(slope * made).sum() / np.square(made).sum()
        assert penalty > 0
        np.testing.assert_allclose(slope, -penalty * made, atol=1e-3 * np.abs(slope).max())
