"""Absolute learning progress of rewards over nearest earlier worlds."""

from typing import Final

import numpy as np

from .box import Point

FIRST: Final = 5
"""Worlds before progress counts, as in the authors' program: the nearest of fewer is far away."""


class LearningProgress:
    """The worlds so far and their rewards."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._rewards: list[float] = []

    def nearest(self, point: Point) -> int:
        """Return the number of the nearest earlier world; there must be one."""
        away = np.array(self._points) - point
        return int((away * away).sum(axis=1).argmin())

    def add(self, point: Point, reward: float) -> float:
        """Add a world and return its progress; 0 for the first ones."""
        found = 0.0
        if len(self._points) > FIRST:
            found = abs(reward - self._rewards[self.nearest(point)])
        self._points.append(point)
        self._rewards.append(reward)
        return found
