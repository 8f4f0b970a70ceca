"""Blueprints that name a recipe, and the recipe that growth trains a kind by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas import PLAIN, RECIPES, Blueprint, enumerate_space, with_measured_recipe
from nas.recipe_space import MEASURED, recipe_blueprints


@pytest.mark.parametrize("taps", [1, 2, 8])
def test_they_come_last_and_are_few(taps):
    """The space without them stays as it is, and the search hardly takes longer."""
    space, named = list(enumerate_space(taps)), list(recipe_blueprints(taps))
    assert space[-len(named) :] == named
    assert all(one.recipe == PLAIN for one in space[: -len(named)])
    assert len(named) < len(space) / 20
    assert len(set(named)) == len(named)


def test_every_recipe_has_a_shape():
    """An encoder with several taps meets each recipe."""
    assert {one.recipe for one in recipe_blueprints(8)} == set(RECIPES) - {PLAIN}


def test_the_measured_recipe_replaces_a_plain_one_only():
    """A blueprint that names a recipe keeps it; a kind without a better one stays plain."""
    linear = Blueprint(kind="linear", taps=(0,), width=32)
    assert with_measured_recipe(linear) == replace(linear, recipe=MEASURED["linear"])
    guided = replace(linear, recipe="guided")
    assert with_measured_recipe(guided) == guided
    fusion = Blueprint(kind="fusion", taps=(0, 1), width=32)
    assert with_measured_recipe(fusion) == fusion
