"""The sums over residuals from which it follows whether a window has moved."""

from __future__ import annotations

import numpy as np
import pytest

from hdc.spread import in_order, terms_of


def test_the_terms_are_those_of_the_rows():
    """Sums over products say what the rows themselves do: lengths, shift, spread, neighbours."""
    random = np.random.default_rng(1)
    rows = random.integers(-50, 50, (24, 9)).astype(np.float64)
    trace, every, total, beside, crossed = terms_of((rows @ rows.T)[None])[0]
    centred = rows - rows.mean(axis=0)
    products = centred @ centred.T
    assert trace == np.square(rows).sum()
    assert every == np.square(rows.sum(axis=0)).sum()
    assert total == pytest.approx(np.square(centred).sum())
    assert beside == pytest.approx(np.diagonal(products, 1).sum())
    off = products - np.diag(np.diagonal(products))
    assert crossed == pytest.approx(np.square(off).sum())


def test_sums_run_from_the_first_number_to_the_last():
    """The order is fixed: that of a loop, not one that depends on the size."""
    random = np.random.default_rng(2)
    rows = random.normal(0, 1, (3, 1_000))
    for row, found in zip(rows, in_order(rows), strict=True):
        total = 0.0
        for number in row.tolist():
            total += number
        assert found == total
    assert in_order(np.empty((2, 0))).tolist() == [0.0, 0.0]
