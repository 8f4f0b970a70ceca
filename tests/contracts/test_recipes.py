"""The contract of training recipes, for every entry of the table and every kind that it trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nas
from edge.core.adaptors import build_transform, solve_adaptor, standardise
from edge.core.adaptors.record import SOLVED_KINDS
from edge.core.errors import StateCorruptError
from edge.core.facts import FactBatch, stack_facts, untimed_batch
from tests.contracts.test_adaptors import LABELS, OTHERS, OWN, SPANS, WIDTH, accuracy, facts

pytest.importorskip("torch", reason="torch is not installed")

from edge.growth import RECIPES, recipe_applies, train_adaptor
from edge.growth.adaptor_training import train_by
from edge.growth.recipes.recipe import PLAIN_RATES

TAPS = (0, 1, 2)
SHAPES = (
    nas.Blueprint(kind="linear", taps=TAPS, width=6),
    nas.Blueprint(kind="linear", taps=TAPS, width=2),
    nas.Blueprint(kind="lowrank", taps=TAPS, rank=4),
    nas.Blueprint(kind="lowrank", taps=TAPS, rank=3, activation="relu", depth=2),
    nas.Blueprint(kind="sliced", taps=TAPS, rank=3, activation="relu", depth=4),
    nas.Blueprint(kind="bottleneck", taps=TAPS, width=24, rank=12, activation="tanh", depth=3),
    nas.Blueprint(kind="fusion", taps=TAPS, width=12, rank=4),
)
CASES = [
    replace(shape, recipe=name)
    for name in nas.RECIPES
    for shape in SHAPES
    if recipe_applies(replace(shape, recipe=name))
] + [
    # An odd rank, and one larger than the columns.
    nas.Blueprint(kind="lowrank", taps=TAPS, rank=rank, recipe=recipe)
    for rank, recipe in ((3, "corda"), (40, "corda-kept"))
]
NOTHING = stack_facts([])


def train(
    blueprint: nas.Blueprint, own: FactBatch, others: FactBatch = NOTHING, seed: int = 1
) -> dict[str, np.ndarray]:
    """Train on the usual spans."""
    return train_adaptor(blueprint, own, others, SPANS, seed)


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two results have the same bits."""
    return one.keys() == other.keys() and all(
        one[name].tobytes() == other[name].tobytes() for name in one
    )


@pytest.fixture(params=CASES, ids=str)
def blueprint(request) -> nas.Blueprint:
    """Every recipe on every shape that it trains."""
    made: nas.Blueprint = request.param
    return made


def test_the_table_has_the_names_of_the_search():
    """The serving process knows the names without torch; both lists are the same."""
    assert tuple(RECIPES) == nas.RECIPES


@pytest.mark.parametrize("name", nas.RECIPES)
def test_a_recipe_trains_the_kinds_that_it_declares(name):
    """Declared kinds exist and are trained ones, some shape of the search uses the recipe, and
    each of the shapes of the search that name it is one that it trains."""
    kinds = RECIPES[name].kinds
    assert kinds
    assert set(kinds) <= set(nas.KINDS) - set(SOLVED_KINDS)
    spaces = [[one for one in nas.enumerate_space(taps) if one.recipe == name] for taps in (1, 8)]
    named = [one for space in spaces for one in space if one.kind not in SOLVED_KINDS]
    assert all(recipe_applies(one) for one in named)
    assert spaces[1]


def test_the_result_serves(blueprint):
    """The arrays have the shapes of the blueprint, are finite, and a head on them answers."""
    own, others = stack_facts(OWN), stack_facts(OTHERS)
    arrays = train(blueprint, own, others)
    transform = build_transform((blueprint, arrays), SPANS)
    assert all(np.isfinite(array).all() for array in arrays.values())
    fitted = solve_adaptor(transform, own, others, standardise(own, others, SPANS))
    assert accuracy(fitted, stack_facts(facts("home", 3))) > 0.8


def test_equal_arguments_give_equal_bits(blueprint):
    """The same facts and seed give the same bits; another seed may not."""
    own, others = stack_facts(OWN), stack_facts(OTHERS)
    assert equal(train(blueprint, own, others), train(blueprint, own, others))


def test_a_twin_that_never_saw_a_fact_is_equal(blueprint):
    """Without a fact, own or another domain's, the order and history of facts leaves no trace."""
    extra, away = facts("home", 4, labels=("d",)), facts("away", 4, labels=("d",))
    train(blueprint, stack_facts([*OWN, *extra]), stack_facts([*OTHERS, *away]))
    left = [one for one in [*extra, *OWN[::-1]] if one.label != "d"]
    rest = [one for one in [*away, *OTHERS[::-1]] if one.label != "d"]
    after = train(blueprint, stack_facts(left), stack_facts(rest))
    assert equal(after, train(blueprint, stack_facts(OWN), stack_facts(OTHERS)))


@pytest.mark.parametrize("count", [1, 2])
def test_few_facts_without_other_domains_are_trained(blueprint, count):
    """One fact per label, also a single fact, gives finite arrays."""
    assert all(
        np.isfinite(array).all() for array in train(blueprint, stack_facts(OWN[:count])).values()
    )
    few = stack_facts(facts("home", 1, count, labels=LABELS))
    assert all(np.isfinite(array).all() for array in train(blueprint, few).values())


@pytest.mark.parametrize("level", [0, 255])
def test_constant_columns_do_no_harm(blueprint, level):
    """Features that are constant give finite arrays."""
    features = np.full((4, WIDTH), level, np.uint8)
    batch = untimed_batch(("1", "2", "3", "4"), ("d",) * 4, ("a", "b", "a", "b"), features)
    assert all(np.isfinite(array).all() for array in train(blueprint, batch).values())


def test_divergence_leaves_finite_arrays(blueprint, monkeypatch):
    """Where a step leaves the range of floats, training stops before it."""
    monkeypatch.setattr("edge.growth.training_steps.RATE", 1e30)
    arrays = train(blueprint, stack_facts(OWN), stack_facts(OTHERS))
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize(
    "wrong",
    [
        nas.Blueprint(kind="lowrank", taps=TAPS, rank=3, recipe="emulated"),
        nas.Blueprint(kind="lowrank", taps=TAPS, rank=4, activation="relu", recipe="corda"),
        nas.Blueprint(kind="bottleneck", taps=TAPS, width=4, rank=2, recipe="learngene"),
        nas.Blueprint(kind="none", taps=TAPS, recipe="guided"),
        nas.Blueprint(kind="linear", taps=(0,), width=4, recipe="emulated"),
        nas.Blueprint(kind="linear", taps=TAPS, width=4, recipe="unheard-of"),
    ],
    ids=str,
)
def test_a_recipe_that_does_not_fit_is_an_error(wrong):
    """A recipe for another kind or shape, or one that does not exist, names what is possible."""
    with pytest.raises(StateCorruptError, match="recipe") as caught:
        train(wrong, stack_facts(OWN))
    assert caught.value.hint


def test_a_recipe_may_be_tried_on_a_blueprint_that_does_not_name_it():
    """`train_by` trains as the recipe that the blueprint names would."""
    one = nas.Blueprint(kind="linear", taps=TAPS, width=6)
    both = stack_facts(OWN), stack_facts(OTHERS)
    made = train_by(RECIPES["guided"], one, both, SPANS, 1)
    assert equal(made, train(replace(one, recipe="guided"), *both))
    assert len(PLAIN_RATES) > 0
