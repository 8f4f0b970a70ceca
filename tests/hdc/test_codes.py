"""Batches of codes."""

import numpy as np
import pytest

import hdc
from hdc import Codes, DimensionError
from tests.hdc.samples import TAPS, draw


def test_indexing_and_joining() -> None:
    """Any index gives a batch; joined batches are the whole again."""
    codes = hdc.plain(60, TAPS, 1, bits=64).project(draw(1, 10))
    assert [len(codes[3]), len(codes[-1]), len(codes[2:5]), len(codes[[1, 2]])] == [1, 1, 3, 2]
    assert np.array_equal(codes[-1].bits, codes.bits[-1:])
    assert np.array_equal(Codes.concat([codes[:4], codes[4:]]).bits, codes.bits)
    with pytest.raises(DimensionError, match="none"):
        Codes.concat([])
