"""The two halves of a board: one to choose settings on, one to confirm them."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def development(items: Sequence[T]) -> list[T]:
    """Return the even ones, counted from 0 in the order of their names: settings are chosen on
    these."""
    return list(items[0::2])


def confirmation(items: Sequence[T]) -> list[T]:
    """Return the odd ones: nothing is chosen on these."""
    return list(items[1::2])
