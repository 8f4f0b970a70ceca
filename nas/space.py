"""The search space: a thousand blueprints or more, determined by the number of taps.

Tap sets are runs of neighbouring taps on a ring, since a card lists the final features first and
the stages by depth.  Each tap set is combined with some shapes of each kind; together they cover
the whole grid of the kind."""

from collections.abc import Iterator
from itertools import count
from math import gcd
from typing import Final

from .blueprint import Blueprint
from .errors import NasError
from .recipe_space import recipe_blueprints
from .search_kinds import SEARCH_KINDS, Shape

SIZE_MIN: Final = 1_000
"""Fewest blueprints of a space: about 1.6 s of scoring (docs/decisions/0006)."""

# Step through a grid as a share of its length: the golden ratio spreads any number of picks evenly.
_GOLDEN: Final = 0.618
TURNS: Final = 96
"""Blueprints of the kinds that take turns, beside those on the set of all taps: a tenth more to
score for the shipped encoder.  Chosen by hand; effect not measured."""
SHAPES: Final = 3
"""Shapes of each kind that takes turns, on the set of all taps.  Chosen by hand; effect not
measured."""


def enumerate_space(taps: int) -> Iterator[Blueprint]:
    """Yield the distinct blueprints for an encoder of so many taps, at least SIZE_MIN.

    Raises NasError for no taps.
    """
    if taps < 1:
        message = f"enumerating adaptors: expected one tap or more, found {taps}"
        raise NasError(message, "pass the number of the encoder's taps")
    sets = tap_sets(taps)
    share = _shapes_per_set(len(sets), sum(len(chosen) == 1 for chosen in sets))
    for place, chosen in enumerate(sets):
        for name, kind in SEARCH_KINDS.items():
            if kind.place != "turns" and len(chosen) >= kind.taps_min:
                for shape in _spread(kind.grid, place, min(share, len(kind.grid))):
                    yield _blueprint(name, chosen, shape)
    yield from _turns(sets)
    yield from recipe_blueprints(taps)


def _turns(sets: tuple[tuple[int, ...], ...]) -> Iterator[Blueprint]:
    """Yield the blueprints of the kinds that take turns, each once.

    They come after all others, so that they displace none.
    """
    names = [name for name, kind in SEARCH_KINDS.items() if kind.place == "turns"]
    *some, every = sets
    turns = min(TURNS, 2 * len(some))
    for number in range(turns):
        name = names[number % len(names)]
        shape = next(_spread(SEARCH_KINDS[name].grid, number // len(names), 1))
        yield _blueprint(name, some[number * len(some) // turns], shape)
    for name in names:
        grid = SEARCH_KINDS[name].grid
        for shape in _spread(grid, 0, min(SHAPES, len(grid))):
            yield _blueprint(name, every, shape)


def _blueprint(kind: str, taps: tuple[int, ...], shape: Shape) -> Blueprint:
    width, rank, activation, depth = shape
    return Blueprint(
        kind=kind, taps=taps, width=width, rank=rank, activation=activation, depth=depth
    )


def tap_sets(taps: int) -> tuple[tuple[int, ...], ...]:
    """Return all runs of neighbouring taps on a ring, short ones first: taps (taps - 1) + 1."""
    runs = [
        tuple(sorted((start + step) % taps for step in range(length)))
        for length in range(1, taps)
        for start in range(taps)
    ]
    return (*runs, tuple(range(taps)))


def _shapes_per_set(sets: int, single: int) -> int:
    """Return the shapes of each kind per tap set: the fewest that fill the space.

    Without the kinds whose few shapes come on top and displace none of the others.
    """
    grids = {
        name: kind.grid
        for name, kind in SEARCH_KINDS.items()
        if kind.place == "grid" and name != "none"
    }

    def size(share: int) -> int:
        used = {name: min(share, len(grid)) for name, grid in grids.items()}
        return sets * (1 + sum(used.values())) - single * used["fusion"]

    return next(share for share in count(1) if size(share) >= SIZE_MIN)


def _spread(grid: tuple[Shape, ...], place: int, share: int) -> Iterator[Shape]:
    """Yield `share` shapes, continuing after the previous tap set, in steps spread over the
    grid."""
    step = round(len(grid) * _GOLDEN)
    while gcd(step, len(grid)) > 1:
        step += 1
    for number in range(place * share, (place + 1) * share):
        yield grid[number * step % len(grid)]
