from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hdc
from firmware_bridge import combine, decide
from firmware_bridge.evaluator import distances, project, root
from hdc.geometry import project as served_project
from hdc.integers import combine as served_combine
from tests.extracts import Form, extract_of, forms, samples_of


@given(forms())
def test_bits_are_a_prefix_of_the_served_ones(form: Form):
    """An extract's bits are the first of those that the detector makes with the same seed."""
    extract, rows = extract_of(form), samples_of(form)
    served = served_project(rows[:, form.start :], extract.seed, 2048)
    octets = np.ascontiguousarray(served).view(np.uint8)[:, : form.bits // 8]
    assert (octets == np.ascontiguousarray(project(extract, rows)).view(np.uint8)).all()


@given(st.lists(st.integers(0, 2**62 - 1), min_size=1, max_size=30))
def test_roots_are_rounded_down(numbers: list[int]):
    """The root of a whole number is the largest one whose square is not above it."""
    for number, made in zip(numbers, root(np.array(numbers)).tolist(), strict=True):
        assert made * made <= number < (made + 1) * (made + 1)


@given(st.integers(0, 2**32))
def test_scores_are_those_of_the_detector(seed: int):
    """Distances join to the same scores as in hdc."""
    random = np.random.default_rng(seed)
    measured = random.integers(0, 9000, (5, 3, 3))
    scales = np.stack([random.integers(0, 9000, (3, 3)), random.integers(1, 900, (3, 3))], axis=2)
    served = served_combine(measured.copy(), scales, np.array([1, 1, 4]))
    assert (combine(measured, scales, (1, 1, 4)) == served).all()


def test_equally_near_concepts_are_taken_in_order():
    """Between concepts and labels with the same score the first wins."""
    form = Form(8, 0, 128, 4, 1, columns=False, plane=False, wide=False, seed=1)
    extract = extract_of(form)
    extract.majorities[:] = extract.majorities[0]
    extract.scales[:] = extract.scales[0]
    assert set(decide(extract, samples_of(form)).concept.tolist()) == {0}


@pytest.mark.parametrize("surveyed", [False, True])
def test_distances_are_those_of_the_memory(surveyed: bool):
    """Distances of bits, columns and plane equal those of the detector's memory."""
    from edge.export.extract import full_shape, measure_extract
    from edge.export.fact_statistics import collect_statistics
    from tests.extracts import learned

    knowledge, ledger = learned(surveyed=surveyed)
    ground = collect_statistics(knowledge, ledger)
    extract = measure_extract(ground, full_shape(ground), 0.05).extract
    found = distances(extract, ground.rows, project(extract, ground.rows))
    served = knowledge.memory.distances(knowledge.geometry.project(ground.rows))
    assert (found == served).all()
    assert found.shape[2] == (3 if surveyed else 1)
    assert isinstance(knowledge.geometry, hdc.Geometry)
