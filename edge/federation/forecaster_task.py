"""A liquid forecaster trained over devices: each trains on its own streams."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import EdgeError
from .arrays import Arrays

if TYPE_CHECKING:
    from ..growth import ForecastTrainingSet

WINDOW_STEPS: Final = 64
"""Steps that a stream must exceed: `WINDOW` of the training of forecasters, without loading
torch."""


class ForecasterTask:
    """The part of one device in training a forecasting network, "cfc" or "gru".

    corpus: its streams, at least one, each longer than a window.  A batch has the fixed size of
    training on one device.  Raises EdgeError for streams that are too short.
    """

    def __init__(self, kind: str, corpus: Sequence["ForecastTrainingSet"]) -> None:
        self._kind, self._corpus = kind, tuple(corpus)
        lengths = [len(one.inputs) for one in self._corpus]
        if not lengths or min(lengths) <= WINDOW_STEPS:
            raise EdgeError(
                f"training over devices: expected streams of more than {WINDOW_STEPS} samples, "
                f"found {lengths}",
                "record for longer",
            )
        self._examples = sum(lengths)

    @property
    def examples(self) -> int:
        """Number of samples of all streams."""
        return self._examples

    def gradient(
        self, arrays: Arrays, batch: int, random: np.random.Generator
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        """Return the Huber loss and its gradient on random windows; loads torch."""
        from ..growth import forecaster_gradient

        del batch
        loss, found = forecaster_gradient(self._kind, arrays, self._corpus, random)
        return loss, dict(found)

    def sums(self) -> dict[str, NDArray[Any]]:
        """A forecasting network does not follow from sums."""
        raise EdgeError(
            "training over devices: a forecaster does not follow from sums",
            "choose another strategy, such as fedavg",
        )
