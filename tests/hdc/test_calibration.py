"""Thresholds follow from the facts, whatever their order."""

import numpy as np

import hdc
from tests.hdc.samples import draw, learned


def test_order_and_grouping_of_facts_do_not_matter() -> None:
    """Facts in pieces and in reverse give the same numbers."""
    memory, facts = learned()
    pieces = [(d, lb, codes[n : n + 7]) for d, lb, codes in facts for n in range(0, len(codes), 7)]
    one = hdc.calibrate(memory, facts)
    assert hdc.calibrate(memory, pieces[::-1]).digest() == one.digest()


def test_only_whole_numbers_are_kept() -> None:
    """Nothing in a calibration is a float."""
    packed = hdc.calibrate(*learned()).pack()
    assert {array.dtype.kind for array in packed.values()} <= {"i", "u", "U"}


def test_domains_are_calibrated_apart() -> None:
    """Facts of another domain leave the thresholds of the first as they were."""
    memory, facts = learned()
    before = hdc.calibrate(memory, facts)
    away = memory.geometry.project(draw(50, 40, 0, 30))
    memory.add("away", "cat", away)
    after = hdc.calibrate(memory, [*facts, ("away", "cat", away)])
    assert np.array_equal(after.scores["home"], before.scores["home"])
    assert len(after.scores["away"]) == 40


def test_a_single_sample_calibrates_nothing() -> None:
    """A concept of one sample has nothing to be held out against."""
    memory, facts = learned()
    lone = memory.geometry.project(draw(8, 1, 5))
    memory.add("home", "bird", lone)
    made = hdc.calibrate(memory, [*facts, ("home", "bird", lone)])
    assert ("home", "bird") not in made.keys
    assert len(made.scores["home"]) == 120
    assert made.usual_of(("home", "bird")) is None
