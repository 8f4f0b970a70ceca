"""Strategies that hold the weights or the answers of earlier tasks: EWC, SI and LwF."""

from typing import Final

import numpy as np

from .arithmetic import softmax
from .base import Scaling, Taps
from .strategy import Floats, LabelledPart, StreamShape, Targets
from .trained import EPOCHS, Batch, NaiveFineTuning

DAMPING: Final = 1e-3
"""Keeps the importance of weights that hardly moved finite (Zenke et al. 2017).  Chosen by hand;
effect not measured."""
TEMPERATURE: Final = 2.0
"""Of old and new answers in LwF: the paper's."""


class ElasticWeights(NaiveFineTuning):
    """EWC (Kirkpatrick et al. 2017): after each task a quadratic penalty holds every
    weight at its value, by the Fisher information of the task; the penalties of all tasks add up.

    A sum of such penalties is one of the sum of informations, so two arrays hold all of them.  The
    penalty's step is implicit, which follows the same objective and is stable at any strength.
    """

    _copies = 3

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        strength: float = 100.0,
        rate: float = 0.01,
        epochs: int = 4 * EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "standard",
        refresh: float = 0.0,
    ) -> None:
        super().__init__(
            shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling, refresh=refresh
        )
        self.strength = strength
        self.stiffness = np.zeros_like(self.weights)
        self.moment = np.zeros_like(self.weights)

    def stepped(self, _gradient: Floats, _moved: Floats, step: np.float32) -> None:
        """Pull the weights back."""
        pull = np.float32(2 * self.strength) * step
        self.weights += pull * self.moment
        self.weights /= 1 + pull * self.stiffness

    def finish(self, task: Batch, _part: LabelledPart) -> None:
        """Note the importance of the weights for this task."""
        importance = self._importance(task)
        self.stiffness += importance
        self.moment += importance * self.weights

    def _importance(self, task: Batch) -> Floats:
        return self.information(task)

    def _end(self, gone: Targets) -> None:
        super()._end(gone)
        for held in (self.stiffness, self.moment):
            held[:, gone] = 0


class SynapticIntelligence(ElasticWeights):
    """SI (Zenke et al. 2017): as EWC, with the importance of a weight from the part of
    the loss that its path has taken away: the sum of -gradient * step, over the squared distance.

    The latest penalty alone holds: its anchor is the newest value of each weight.
    """

    _copies = 4

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        strength: float = 10.0,
        rate: float = 0.01,
        epochs: int = 4 * EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "standard",
        refresh: float = 0.0,
    ) -> None:
        super().__init__(
            shape,
            seed,
            strength=strength,
            rate=rate,
            epochs=epochs,
            taps=taps,
            scaling=scaling,
            refresh=refresh,
        )
        self.path = np.zeros_like(self.weights)

    def _train(self, task: Batch) -> None:
        self.start = self.weights.copy()
        super()._train(task)

    def stepped(self, gradient: Floats, moved: Floats, step: np.float32) -> None:
        """Pull the weights back."""
        self.path -= gradient * moved
        super().stepped(gradient, moved, step)

    def finish(self, _task: Batch, _part: LabelledPart) -> None:
        """Note the importance of the weights for this task."""
        gained = self.path / (np.square(self.weights - self.start) + np.float32(DAMPING))
        self.stiffness += np.maximum(gained, 0)
        self.moment = self.stiffness * self.weights
        self.path[:] = 0
        del self.start


class LearningWithoutForgetting(NaiveFineTuning):
    """LwF (Li and Hoiem 2016): the new task's rows also keep the old head's answers for
    the labels that it knew, softened by a temperature."""

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        strength: float = 10.0,
        rate: float = 0.01,
        epochs: int = EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "standard",
        refresh: float = 0.0,
    ) -> None:
        super().__init__(
            shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling, refresh=refresh
        )
        self.strength = strength
        self._before = np.zeros(shape.labels, np.bool_)
        self.old: Floats | None = None

    def _train(self, task: Batch) -> None:
        self.old = self.weights.copy() if self._before.any() else None
        super()._train(task)
        self.old = None

    def errors_of(self, batch: Batch) -> Floats:
        """Add the distance from the old answers."""
        errors = super().errors_of(batch)
        if self.old is None:
            return errors
        heat = np.float32(TEMPERATURE)
        kept = softmax(batch.rows @ self.old / heat, self._before[None, :])
        found = softmax(batch.rows @ self.weights / heat, self._before[None, :])
        scale = np.float32(self.strength) * heat / np.float32(len(kept))
        return np.asarray(errors + scale * (found - kept), np.float32)

    @property
    def _memory_bytes(self) -> int:
        return self._before.nbytes

    def finish(self, _task: Batch, _part: LabelledPart) -> None:
        """Note the labels that are known by now."""
        self._before = self.known.copy()

    def _end(self, gone: Targets) -> None:
        super()._end(gone)
        self._before[gone] = False
