import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import ACTIVATIONS, KINDS, PLAIN, NasError, enumerate_space
from nas.search_kinds import SEARCH_KINDS
from nas.space import SIZE_MIN, tap_sets


@pytest.mark.parametrize("taps", range(1, 13))
def test_a_space_is_large_and_distinct(taps):
    """Any number of taps gives between one and a few thousand distinct blueprints."""
    space = list(enumerate_space(taps))
    assert SIZE_MIN <= len(space) <= 2.2 * SIZE_MIN
    assert len(set(space)) == len(space)


@pytest.mark.parametrize("taps", [1, 2, 8])
def test_every_blueprint_is_valid(taps):
    """Used fields of a kind have valid values, and unused ones their defaults."""
    for one in enumerate_space(taps):
        assert one.kind in KINDS
        assert one.activation in ACTIVATIONS
        assert list(one.taps) == sorted(set(one.taps))
        assert one.taps
        assert set(one.taps) <= set(range(taps))
        assert one.depth >= 1
        kind = SEARCH_KINDS[one.kind]
        if one.recipe == PLAIN:
            assert (one.width, one.rank, one.activation, one.depth) in kind.grid
        assert len(one.taps) >= kind.taps_min


def test_all_kinds_meet_all_taps():
    """With several taps each kind occurs on all taps, and on single ones unless it needs several or
    takes turns."""
    space = list(enumerate_space(8))
    assert {one.kind for one in space} == set(KINDS)
    assert {one.kind for one in space if len(one.taps) == 8} == set(KINDS)
    turns = {name for name, kind in SEARCH_KINDS.items() if kind.place == "turns"}
    assert {one.kind for one in space if one.taps == (3,)} >= set(KINDS) - turns - {"fusion"}


def test_kinds_that_take_turns_come_last_and_meet_many_taps():
    """They displace no blueprint of the other kinds, and read many sets of taps."""
    space = [one for one in enumerate_space(8) if one.recipe == PLAIN]
    turns = [SEARCH_KINDS[one.kind].place == "turns" for one in space]
    assert turns == sorted(turns)
    for name in {one.kind for one, late in zip(space, turns, strict=True) if late}:
        assert len({one.taps for one in space if one.kind == name}) > 5


def test_the_space_is_deterministic_and_lazy():
    """The order is fixed, and blueprints are generated one at a time."""
    assert list(enumerate_space(8)) == list(enumerate_space(8))
    assert next(itertools.islice(enumerate_space(8), 1)).kind == "none"


@given(st.integers(1, 30))
def test_tap_sets_are_runs_on_a_ring(taps):
    """There are n (n - 1) + 1 distinct runs of neighbouring taps."""
    sets = tap_sets(taps)
    assert len(set(sets)) == taps * (taps - 1) + 1
    for chosen in sets:
        gaps = sum((tap + 1) % taps not in chosen for tap in chosen)
        assert gaps == (0 if len(chosen) == taps else 1)


def test_no_taps_are_refused():
    """An encoder without taps is an error with a hint."""
    with pytest.raises(NasError, match="one tap or more") as caught:
        next(enumerate_space(0))
    assert caught.value.hint
