"""The base of value types."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.structs import SHOWN_MAX, FrozenStruct
from tests.worlds import fact


class Pair(FrozenStruct, frozen=True):
    """Two values."""

    first: object
    second: object = None


def test_a_text_shows_no_features():
    """Features are personal data, and texts of values reach logs: bytes show their number alone."""
    one = fact("f1")
    assert repr(one.features) not in repr(one)
    assert f"features=<{len(one.features):,} bytes>" in repr(one)
    assert "id='f1'" in repr(one)


def test_a_text_stays_short():
    """Arrays show their shape, long collections their number."""
    text = repr(Pair(np.zeros((3, 4), np.uint8), tuple(range(SHOWN_MAX + 1))))
    assert text == "Pair(first=<uint8 [3, 4]>, second=<17 items>)"
    assert repr(Pair((1, 2))) == "Pair(first=(1, 2), second=None)"


def test_a_value_cannot_be_changed():
    """Assignment fails."""
    with pytest.raises(AttributeError):
        Pair(1).first = 2  # type: ignore[misc]
