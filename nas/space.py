"""The search space: a thousand blueprints or more, determined by the number of taps.

Tap sets are runs of neighbouring taps on a ring, since a card lists the final features first and
the stages by depth.  Each tap set is combined with some shapes of each kind; together they cover
the whole grid of the kind."""

from collections.abc import Iterator
from itertools import count, product
from math import gcd
from typing import Final

from .blueprint import Blueprint
from .errors import NasError
from .recipe_space import recipe_blueprints

SIZE_MIN: Final = 1_000
"""Fewest blueprints of a space: about 1.6 s of scoring (docs/decisions/0006)."""

# Step through a grid as a share of its length: the golden ratio spreads any number of picks evenly.
_GOLDEN: Final = 0.618
# Sizes in steps of a factor of about 1.4, up to the largest that a budget of 8 MiB allows.  Chosen
# by hand; effect not measured.
_RANKS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# As _RANKS, for the inputs of the head.
_WIDTHS: Final = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Further widths of random features, which store no matrix.
_WIDE: Final = (768, 1_024, 1_536, 2_048, 3_072, 4_096)
# Landmarks: 1, 3 and 8 MiB of 2,064 columns (docs/decisions/0011).
_LANDMARKS: Final = (480, 1_536, 3_840)
_ACTIVATIONS: Final = ("relu", "gelu", "tanh")

_Shape = tuple[int, int, str, int]
_GRIDS: Final[dict[str, tuple[_Shape, ...]]] = {
    "linear": tuple(product((4, 8, *_WIDTHS), (0,), ("none",), (1,))),
    "lowrank": tuple(product((0,), _RANKS, ("none", *_ACTIVATIONS), (1, 2, 3))),
    "sliced": tuple(product((0,), (16, 64), ("relu",), (4,))),
    "bottleneck": tuple(product(_WIDTHS, _RANKS[3:], _ACTIVATIONS, (1, 2, 3))),
    "fusion": tuple(product(_WIDTHS, (0, 4, 16), ("none", *_ACTIVATIONS), (1,))),
    "random": tuple(product((*_WIDTHS[2:], *_WIDE), (0,), _ACTIVATIONS, (1, 2, 3))),
    "kernel": tuple(product(_LANDMARKS, (0,), ("none",), (1,))),
}
"""(width, rank, activation, depth) of every kind but `none`."""


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
        yield Blueprint(kind="none", taps=chosen)
        for kind, grid in _GRIDS.items():
            if kind != "fusion" or len(chosen) > 1:
                for shape in _spread(grid, place, min(share, len(grid))):
                    yield _blueprint(kind, chosen, shape)
    yield from recipe_blueprints(taps)


def _blueprint(kind: str, taps: tuple[int, ...], shape: _Shape) -> Blueprint:
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

    Without the kind `sliced`, whose few shapes come on top and displace none of the others.
    """

    def size(share: int) -> int:
        used = {kind: min(share, len(grid)) for kind, grid in _GRIDS.items() if kind != "sliced"}
        return sets * (1 + sum(used.values())) - single * used["fusion"]

    return next(share for share in count(1) if size(share) >= SIZE_MIN)


def _spread(grid: tuple[_Shape, ...], place: int, share: int) -> Iterator[_Shape]:
    """Yield `share` shapes, continuing after the previous tap set, in steps spread over the
    grid."""
    step = round(len(grid) * _GOLDEN)
    while gcd(step, len(grid)) > 1:
        step += 1
    for number in range(place * share, (place + 1) * share):
        yield grid[number * step % len(grid)]
