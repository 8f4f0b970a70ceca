"""Training of the kind `sliced`: each block on one more slice of the facts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from msgspec.structs import replace

import nas
from edge.core.facts import stack_facts
from tests.contracts.test_adaptors import SPANS, facts

pytest.importorskip("torch")

from edge.growth import train_adaptor

SLICES = 4
BLUEPRINT = nas.Blueprint(kind="sliced", taps=(0, 1, 2), rank=3, activation="relu", depth=SLICES)
OWN = facts("home", 1)
NOTHING = stack_facts([])


def slice_of(fact_id: str) -> int:
    """The documented slice of a fact."""
    return hashlib.sha256(fact_id.encode()).digest()[0] % SLICES


def test_a_block_depends_on_its_own_and_earlier_slices_alone():
    """Another label of a fact changes the block of its slice and later ones, and no earlier one."""
    before = train_adaptor(BLUEPRINT, stack_facts(OWN), NOTHING, SPANS, 1)
    chosen = next(fact for fact in OWN if slice_of(fact.id) == 2)
    changed = replace(chosen, label="b" if chosen.label == "a" else "a")
    others = [changed if fact.id == chosen.id else fact for fact in OWN]
    after = train_adaptor(BLUEPRINT, stack_facts(others), NOTHING, SPANS, 1)
    equal = [np.array_equal(before[f"V{layer}"], after[f"V{layer}"]) for layer in range(SLICES)]
    assert equal == [True, True, False, False]


def test_every_block_learns():
    """The additions start at zero and are trained in every block."""
    arrays = train_adaptor(BLUEPRINT, stack_facts(OWN), NOTHING, SPANS, 1)
    assert all(np.abs(arrays[f"V{layer}"]).max() > 0 for layer in range(SLICES))


def test_a_slice_without_facts_is_no_error():
    """One fact trains the blocks from its slice on; the others stay at zero."""
    one = OWN[:1]
    arrays = train_adaptor(BLUEPRINT, stack_facts(one), NOTHING, SPANS, 1)
    first = slice_of(one[0].id)
    assert all(not arrays[f"V{layer}"].any() for layer in range(first))
    assert all(np.isfinite(arrays[f"V{layer}"]).all() for layer in range(SLICES))
