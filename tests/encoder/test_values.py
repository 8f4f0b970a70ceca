from __future__ import annotations

import numpy as np
import pytest

from encoder import PayloadError
from encoder.values import numeric, require_finite


def test_numbers_become_float32_without_a_copy_where_they_are() -> None:
    """float32 passes through; other numbers are converted."""
    array = np.ones(3, np.float32)
    assert numeric(array, "row") is array
    assert numeric([1, 2], "row").dtype == np.float32


def test_the_first_bad_number_is_named() -> None:
    """The position of the first bad number is given, whatever the number of axes."""
    require_finite(np.zeros((2, 2), np.float32), "row")
    with pytest.raises(PayloadError, match="found nan at position 3"):
        require_finite(np.array([0, 0, 0, np.nan, np.inf], np.float32), "row")
