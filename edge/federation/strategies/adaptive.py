"""FedAdam: the devices' mean update as a gradient for Adam on the server."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, difference
from ..local_training import LocalResult
from .averaging import average
from .strategy import FederatedSettings, PlannedStrategy

BETA_1: Final = 0.9
"""Decay of the mean update: the authors' value."""
BETA_2: Final = 0.99
"""Decay of the mean squared update: the authors' value."""
TAU: Final = 1e-3
"""Added to the divisor, and the root of the first squared update: the authors' value."""


class FedAdam(PlannedStrategy):
    """Adam on the server (Reddi et al. 2021, "Adaptive federated optimization", algorithm 2:
    without bias correction)."""

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        self._mean: dict[str, NDArray[Any]] = {}
        self._square: dict[str, NDArray[Any]] = {}

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the model after a step along the mean update, over the root of its square."""
        made = {}
        for name, update in difference(average(results), current).items():
            wide = update.astype(np.float64)
            mean = self._mean.get(name, np.zeros_like(wide))
            square = self._square.get(name, np.full_like(wide, TAU**2))
            self._mean[name] = mean = BETA_1 * mean + (1 - BETA_1) * wide
            self._square[name] = square = BETA_2 * square + (1 - BETA_2) * wide**2
            step = self.settings.server_rate * mean / (np.sqrt(square) + TAU)
            made[name] = (current[name] + step).astype(np.float32)
        return made
