"""Batches of codes."""

import numpy as np
import pytest

import hdc
from hdc import Codes, DimensionError
from tests.hdc.samples import TAPS, draw


def test_indexing_and_joining() -> None:
    """Any index gives a batch; joined batches are the whole again."""
    codes = hdc.identity_geometry(60, TAPS, 1, bits=64).project(draw(1, 10))
    assert [len(codes[3]), len(codes[-1]), len(codes[2:5]), len(codes[[1, 2]])] == [1, 1, 3, 2]
    assert np.array_equal(codes[-1].bits, codes.bits[-1:])
    assert np.array_equal(Codes.concat([codes[:4], codes[4:]]).bits, codes.bits)
    with pytest.raises(DimensionError, match="none"):
        Codes.concat([])


def test_a_loop_over_a_batch_ends() -> None:
    """Iterating gives each sample once; a place beyond the end is an IndexError."""
    codes = hdc.identity_geometry(60, TAPS, 1, bits=64).project(draw(1, 3))
    assert [one.bits.tolist() for one in codes] == [[row] for row in codes.bits.tolist()]
    for beyond in (3, -4, np.int64(3)):
        with pytest.raises(IndexError):
            codes[beyond]
