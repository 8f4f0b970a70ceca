"""Means that a minority of lying devices cannot move far: coordinate-wise, and without weights,
since a device says itself how many facts it has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import EdgeError
from ..arrays import Arrays
from ..local_training import LocalResult
from .strategy import FederatedSettings, PlannedStrategy


class FedMedian(PlannedStrategy):
    """The median of the models in each coordinate (Yin et al. 2018, "Byzantine-robust distributed
    learning: towards optimal statistical rates", abstract: of gradients; here of models after some
    steps, as in Flower's FedMedian)."""

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the median of the models."""
        del current
        return {name: _float32(np.median(rows, axis=0)) for name, rows in _stacked(results)}


class FedTrimmedMean(PlannedStrategy):
    """The mean of the models in each coordinate without the largest and the smallest values, a
    share `trim` of each (Yin et al. 2018, abstract; as in Flower's FedTrimmedAvg)."""

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        if not 0 <= settings.trim < 0.5:
            raise EdgeError(
                f"training over devices: expected a trim of at least 0 and below 0.5, found"
                f" {settings.trim}",
                "leave it out for 0.3",
            )

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the trimmed mean of the models."""
        del current
        cut = int(self.settings.trim * len(results) + 1e-9)
        return {
            name: _float32(np.sort(rows, axis=0)[cut : len(results) - cut].mean(axis=0))
            for name, rows in _stacked(results)
        }


def _stacked(results: Sequence[LocalResult]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return each array of all devices, float64 [devices, ...]."""
    names = results[0].arrays
    return [(one, np.stack([r.arrays[one] for r in results]).astype(np.float64)) for one in names]


def _float32(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)
