from __future__ import annotations

import numpy as np
import pytest

from edge.core.adaptors.hadamard import hadamard_mix


@pytest.mark.parametrize("size", [1, 3, 64, 100])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_whole_block_keeps_lengths(size, depth):
    """One block is a scaled rotation: the variance of the numbers stays."""
    padded = 1 << (size - 1).bit_length()
    rows = np.random.default_rng(1).standard_normal((5, size)).astype(np.float32)
    mixed = hadamard_mix(rows, 1, padded, depth)
    lengths = np.square(mixed).mean(axis=1), np.square(rows).mean(axis=1)
    np.testing.assert_allclose(*lengths, rtol=1e-4)


def test_blocks_and_seeds_differ():
    """A second block has other signs, and so has another seed; the same seed has the same."""
    row = np.arange(8, dtype=np.float32)
    mixed = hadamard_mix(row, 1, 16)
    assert not np.array_equal(mixed[:8], mixed[8:])
    assert not np.array_equal(mixed, hadamard_mix(row, 2, 16))
    np.testing.assert_array_equal(mixed, hadamard_mix(row, 1, 16))


def test_a_batch_gives_the_results_of_single_rows():
    """A row has the same result alone and in a batch."""
    rows = np.random.default_rng(1).standard_normal((4, 70)).astype(np.float32)
    np.testing.assert_allclose(
        hadamard_mix(rows, 1, 300)[2], hadamard_mix(rows[2], 1, 300), rtol=1e-5, atol=1e-5
    )
