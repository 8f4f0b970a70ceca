"""The curricula by name."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np

from .alp_gmm import AlpGmmTeacher
from .box import Point

WINDOW: Final = 1 / 6
"""Side of the oracle's window, as a share of the box (Portelas et al. 2019)."""
STEP: Final = 1 / 20
"""How far the window moves at a time, as a share of the box.  Chosen by hand."""
GOOD: Final = 0.7
"""Mean reward from which the window moves on.  Chosen by hand."""
RECENT: Final = 3
"""Episodes of that mean.  Chosen by hand; the authors' 50 are of longer searches."""


class Teacher(Protocol):
    """Proposes worlds and takes in their rewards, from 0 to 1."""

    def propose(self) -> Point:
        """Return the next world, [dimensions], each from 0 (easy) to 1 (hard)."""

    def learn(self, point: Point, reward: float) -> None:
        """Take in the reward of a world."""


class RandomTeacher:
    """Draws worlds anywhere."""

    def __init__(self, dimensions: int, seed: int) -> None:
        self._dimensions = dimensions
        self._random = np.random.default_rng([seed, 12])

    def propose(self) -> Point:
        """Return the next world."""
        return self._random.random(self._dimensions)

    def learn(self, point: Point, reward: float) -> None:
        """Learn nothing."""


class OracleTeacher:
    """Moves a window from the easy corner to the hard one, whenever worlds in it go well: the
    curriculum of an expert who knows which direction is hard (Portelas et al. 2019; read:
    `OracleTeacher` of the authors' program)."""

    def __init__(self, dimensions: int, seed: int) -> None:
        self._dimensions = dimensions
        self._random = np.random.default_rng([seed, 13])
        self._start = 0.0
        self._rewards: list[float] = []

    def propose(self) -> Point:
        """Return the next world."""
        return self._start + WINDOW * self._random.random(self._dimensions)

    def learn(self, point: Point, reward: float) -> None:
        """Move the window on after good worlds."""
        del point
        self._rewards.append(reward)
        if len(self._rewards) < RECENT:
            return
        if float(np.mean(self._rewards)) > GOOD:
            self._start = min(self._start + STEP, 1 - WINDOW)
        self._rewards.clear()


TEACHERS: Final[Mapping[str, Callable[[int, int], Teacher]]] = {
    "alp-gmm": AlpGmmTeacher,
    "random": RandomTeacher,
    "oracle": OracleTeacher,
}
"""Curricula by name, made of the number of parameters and a seed."""
