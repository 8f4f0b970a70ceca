"""The rows of the recipes."""

from __future__ import annotations

import numpy as np
import pytest

import nas
from edge.core.facts import stack_facts
from tests.contracts.test_adaptors import OTHERS, OWN, SPANS, facts

pytest.importorskip("torch", reason="torch is not installed")

from benchmarks.kinds.recipes import LONGER, recipe_rows
from benchmarks.nas.tasks import SearchTask


@pytest.fixture(scope="module")
def task() -> SearchTask:
    """Three labels that are told apart easily."""
    held = stack_facts(facts("home", 5))
    return SearchTask(
        name="clouds",
        spans=SPANS,
        own=stack_facts(OWN),
        others=stack_facts(OTHERS),
        held=held.features,
        sought=np.array(held.labels),
    )


def test_every_recipe_meets_plain_training_of_the_same_blueprint(task):
    """Each recipe and longer plain training has an outcome, with the same rivals for a blueprint
    and seed; the plain one is its own rival."""
    rows = list(recipe_rows([task], seeds=(1,)))
    assert {one.recipe for one in rows} == {*nas.RECIPES, *LONGER}
    assert all(one.accuracy > 0.5 for one in rows)
    for blueprint in {one.blueprint for one in rows}:
        mine = [one for one in rows if one.blueprint == blueprint]
        assert len({(one.plain, one.head) for one in mine}) == 1
        assert next(one for one in mine if one.recipe == nas.PLAIN).accuracy == mine[0].plain
        assert len({one.recipe for one in mine}) == len(mine)
