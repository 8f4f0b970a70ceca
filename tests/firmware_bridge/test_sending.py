from __future__ import annotations

from firmware_bridge.sending import FRAGMENT_BYTES_MIN, TRIES, FragmentSize

LONG = 278


def size_after(size: FragmentSize, losses: int, rounds: int = 4) -> int:
    """The size of fragments after some rounds of transmissions with so many losses each."""
    for _ in range(rounds):
        for number in range(TRIES):
            size.record(lost=number < losses)
    return size.fitting(LONG)


def test_fragments_begin_short_and_grow_on_a_good_line():
    """Until the line has shown that it carries long frames they are short."""
    size = FragmentSize()
    assert size.fitting(LONG) == LONG >> 3
    assert size_after(size, 1, rounds=1) == LONG >> 2
    assert size_after(size, 0) == LONG


def test_fragments_are_halved_where_half_of_them_is_lost():
    """Down to an eighth; a line that loses a quarter is left as it is."""
    size = FragmentSize()
    assert size_after(size, 0) == LONG
    assert size_after(size, TRIES // 4) == LONG
    assert size_after(size, TRIES // 2, rounds=1) == LONG >> 1
    assert size_after(size, TRIES) == LONG >> 3


def test_fragments_have_a_least_size():
    """A peer that takes only short frames gets them whole."""
    assert FragmentSize().fitting(54) == FRAGMENT_BYTES_MIN
    assert FragmentSize().fitting(20) == 20
