from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bridge.board import M3, measure_footprint, mismatched_bits, missing_tools
from benchmarks.bridge.knowledge import load_digits, load_pacs
from benchmarks.report import BenchmarkRow


def test_mismatches_are_counted_by_the_bit():
    """Each bit that differs counts, and all bits of a run that is missing."""
    one = np.array([[0, 7], [1, 2]], np.uint32)
    other = one ^ np.array([[0, 1], [3, 0]], np.uint32)
    assert mismatched_bits(one, one) == 0
    assert mismatched_bits(other, one) == 3
    assert mismatched_bits(one[:1], one) == 128


def test_digits_come_as_two_domains():
    """Ten thousand vectors, one domain the negative of the other, most of them to learn."""
    digits = load_digits()
    assert digits.rows.shape == (10_000, 64)
    assert (digits.rows[:5000] == 255 - digits.rows[5000:]).all()
    assert set(digits.domains) == {"slate", "paper"}
    assert 0.6 < digits.train.mean() < 0.8
    assert load_pacs(None) is None


def test_missing_measurements_are_left_out_of_the_summary():
    """A summary names only measured figures."""
    from benchmarks.bridge.run import summarise

    rows = [
        BenchmarkRow("digits", "vectors", 10),
        BenchmarkRow("digits", "mismatched_bits_host", 0),
    ]
    assert summarise(rows, "digits") == {"vectors": 10, "mismatches_host": 0}


@pytest.mark.skipif(bool(missing_tools()), reason=f"sizes not measured: {missing_tools()}")
def test_the_detector_is_smaller_than_detector_and_link(tmp_path):
    """Both sizes come from programs that were linked, and the link takes its part."""
    sizes = measure_footprint(M3, tmp_path)
    assert 1000 < sizes["detector_flash"] < sizes["both_flash"]
    assert sizes["detector_ram"] < sizes["both_ram"]
