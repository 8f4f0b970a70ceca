from dataclasses import replace

import pytest

from nas import Blueprint


@pytest.mark.parametrize(
    ("blueprint", "text"),
    [
        (
            Blueprint(kind="bottleneck", taps=(0, 2), width=8, rank=4, activation="relu", depth=2),
            "bottleneck: taps 0+2, width 8, rank 4, relu, depth 2",
        ),
        (Blueprint(kind="none", taps=(1,)), "none: taps 1"),
        (Blueprint(kind="kernel", taps=(0, 1), width=480), "kernel: taps 0+1, 480 landmarks"),
        (
            Blueprint(kind="linear", taps=(0,), width=4, recipe="corda"),
            "linear: taps 0, width 4, recipe corda",
        ),
    ],
)
def test_the_text_of_a_blueprint_omits_defaults(blueprint, text):
    """The kind comes first, then the fields that differ from their defaults."""
    assert str(blueprint) == text


def test_a_plain_recipe_leaves_the_repr_of_older_blueprints():
    """Digests of adaptors hold this text, so it must not change; a recipe is a part of it."""
    one = Blueprint(kind="linear", taps=(0,), width=4)
    text = "Blueprint(kind='linear', taps=(0,), width=4, rank=0, activation='none', depth=1)"
    assert repr(one) == text
    assert repr(replace(one, recipe="corda")) == text[:-1] + ", recipe='corda')"
    assert replace(one, recipe="corda") != one
    assert max(replace(one, recipe="corda"), one, replace(one, depth=2)).depth == 2
