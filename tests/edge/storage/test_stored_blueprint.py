"""Blueprints as they are written."""

from __future__ import annotations

import msgspec
import pytest

import nas
from edge.storage.stored_blueprint import decode_blueprint, encode_blueprint

OLD = '{"kind":"lowrank","taps":[0,2],"width":0,"rank":4,"activation":"relu","depth":2}'
BLUEPRINT = nas.Blueprint(kind="lowrank", taps=(0, 2), rank=4, activation="relu", depth=2)


def test_a_plain_blueprint_is_written_as_before_there_were_recipes():
    """The text of an older state is read, and written again byte for byte."""
    assert decode_blueprint(OLD) == BLUEPRINT
    assert encode_blueprint(BLUEPRINT) == OLD


@pytest.mark.parametrize("recipe", nas.RECIPES)
def test_a_recipe_is_kept(recipe):
    """Every recipe survives."""
    one = nas.Blueprint(kind="lowrank", taps=(0,), rank=4, recipe=recipe)
    assert decode_blueprint(encode_blueprint(one)) == one
    assert ("recipe" in encode_blueprint(one)) == (recipe != nas.PLAIN)


@pytest.mark.parametrize("text", ["", "[]", '{"taps": [0]}', '{"kind": 1, "taps": [0]}'])
def test_other_texts_are_refused(text):
    """A text that is no blueprint is a ValueError."""
    with pytest.raises((ValueError, msgspec.DecodeError)):
        decode_blueprint(text)
