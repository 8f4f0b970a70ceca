"""Linear heads trained by stochastic gradient descent: naive fine-tuning, replay, joint training,
and refresh learning as a plug-in of all of them."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .arithmetic import one_hot, softmax
from .base import (
    FLOAT,
    FeatureScaling,
    MaskedStrategy,
    Scaling,
    Taps,
    columns_of,
)
from .memory import CAPACITY, Choice, ReplayMemory, Selector, kept_rows, memory_bytes
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets

EPOCHS: Final = 5
"""Passes over a task.  Chosen by hand; effect not measured."""
BATCH: Final = 64
"""Rows of a step.  Chosen by hand; effect not measured."""
MOMENTUM: Final = 0.9
"""The customary value."""
DECAY: Final = 1e-3
"""Weight decay.  Chosen by hand; effect not measured."""
RATE_SCALE: Final = 100
"""The step is this times the rate over the mean squared norm of a row, so that one rate suits 64
columns and 2,000."""

REFRESH_NOISE: Final = 1e-3
"""Standard deviation of the noise of unlearning: that of the authors' code."""
REFRESH_FISHER: Final = 1e-3
"""Weight of the Fisher information in the preconditioner: that of the authors' code."""
REFRESH_KEPT: Final = 1e-5
"""Share of the earlier tasks' Fisher information that is kept: that of the authors' code."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of a step.  rows: float32 [n, columns + 1], the last one is one.  wanted: one-hot
    float32 [n, labels].  allowed: labels that compete [n, labels]."""

    rows: Floats = field(repr=False)
    wanted: Floats = field(repr=False)
    allowed: NDArray[np.bool_] = field(repr=False)

    def take(self, at: NDArray[np.intp]) -> "Batch":
        """Return some of the rows."""
        return Batch(self.rows[at], self.wanted[at], self.allowed[at])


class NaiveFineTuning(MaskedStrategy):
    """Trains on each task as it comes: softmax regression, SGD with momentum.

    refresh: size of the step of refresh learning (Wang et al. 2024, and the authors' `unlearn`); 0:
    none.  Before each step, the weights go up the gradient of the current batch's loss, as a share
    of their own norm, divided by 1 + the Fisher information's share, with noise; the step then
    relearns the batch.  The authors' code takes both in the opposite order, which differs for the
    last batch of a task only.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        rate: float = 0.03,
        epochs: int = EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "standard",
        refresh: float = 0.0,
    ) -> None:
        super().__init__(shape, seed)
        self._rate, self._epochs, self._refresh = rate, epochs, refresh
        self._taps, self._scaling = taps, scaling
        self._columns = columns_of(shape, taps)
        self._preparation: FeatureScaling | None = None
        self.weights = np.zeros((self._columns + 1, shape.labels), np.float32)
        self.fisher = np.zeros_like(self.weights) if refresh else np.zeros((0, 0), np.float32)

    @property
    def bytes_max(self) -> int | None:
        """Return the bytes of the weights, their copies, the preparation and the memory."""
        copies = self._copies + (1 if self._refresh else 0)
        weights = (self._columns + 1) * self._shape.labels * FLOAT
        return self._mask_bytes + copies * weights + 2 * self._columns * FLOAT + self._memory_bytes

    _copies = 1
    """Arrays of the weights' shape that are kept."""

    @property
    def _memory_bytes(self) -> int:
        return 0

    def _learn(self, part: LabelledPart) -> None:
        if self._preparation is None:
            self._preparation = self._prepared(part.features)
        batch = self.batch_of(part.features, part.targets, part.domains)
        self._train(batch)
        self.finish(batch, part)

    def _prepared(self, features: Bytes) -> FeatureScaling:
        return FeatureScaling.fit(features, self._shape, self._taps, self._scaling)

    def batch_of(self, features: Bytes, targets: Targets, domains: Targets) -> Batch:
        """Return rows of a task as one batch."""
        allowed = self._allowed(len(targets), domains)
        return Batch(self.rows_of(features), one_hot(targets, self._shape.labels), allowed)

    def rows_of(self, features: Bytes) -> Floats:
        """Return prepared rows float32 [n, columns + 1], the last column is one."""
        assert self._preparation is not None  # a task with rows was learned
        ones = np.ones((len(features), 1), np.float32)
        return np.concatenate([self._preparation(features), ones], axis=1)

    def _train(self, task: Batch) -> None:
        """Descend on a task, in passes over shuffled batches."""
        energy = float(np.square(task.rows).sum(axis=1).mean())
        step = np.float32(self._rate * RATE_SCALE / energy)
        pace = np.zeros_like(self.weights)
        for _ in range(self._epochs):
            order = self.random.permutation(len(task.rows))
            for at in range(0, len(order), BATCH):
                batch = task.take(order[at : at + BATCH])
                if self._refresh:
                    self.unlearn(batch)
                gradient = self.gradient_of(batch)
                pace *= MOMENTUM
                pace -= step * (gradient + DECAY * self.weights)
                self.weights += pace
                self.stepped(gradient, pace, step)
        if self._refresh:
            self.fisher = REFRESH_KEPT * self.fisher + self.information(task)

    def unlearn(self, batch: Batch) -> None:
        """Go up the loss of a batch (refresh learning)."""
        ascent = batch.rows.T @ self.errors_of(batch)
        size = np.linalg.norm(self.weights) / (np.linalg.norm(ascent) + 1e-20)
        noise = self.random.standard_normal(ascent.shape).astype(np.float32)
        moved = size * ascent + np.float32(REFRESH_NOISE) * noise
        self.weights += np.float32(self._refresh) * moved / (1 + REFRESH_FISHER * self.fisher)

    def gradient_of(self, batch: Batch) -> Floats:
        """Return the gradient of the loss of a step, without weight decay."""
        return batch.rows.T @ self.errors_of(batch)

    def errors_of(self, batch: Batch) -> Floats:
        """Return the gradient of the mean cross-entropy by the scores [n, labels]."""
        found = softmax(batch.rows @ self.weights, batch.allowed)
        return np.asarray((found - batch.wanted) / np.float32(len(found)), np.float32)

    def information(self, task: Batch) -> Floats:
        """Return the diagonal of the Fisher information [columns + 1, labels]: the mean square of
        the gradient over rows, and over labels as the model expects them."""
        found = softmax(task.rows @ self.weights, task.allowed)
        return np.asarray(np.square(task.rows).T @ (found * (1 - found)), np.float32) / np.float32(
            len(found)
        )

    def stepped(self, _gradient: Floats, _moved: Floats, _step: np.float32) -> None:
        """Follow a step: penalties pull here."""

    def finish(self, _task: Batch, _part: LabelledPart) -> None:
        """Note what later tasks need of this one."""

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        return self.rows_of(features) @ self.weights

    def _end(self, gone: Targets) -> None:
        self.weights[:, gone] = 0


class ExperienceReplay(NaiveFineTuning):
    """Replay: each step also descends on as many rows of a memory of earlier tasks.

    choice: random (Chaudhry et al. 2019, reservoir sampling), balanced by label, or a selector.
    outputs: weight of the squared distance to the scores that a row had when it was kept, as in
    DER++ (Buzzega et al. 2020); 0: none.  Other than there, scores are those at the end of a row's
    task, one draw serves both terms, and the squares are summed over labels.
    """

    def __init__(  # noqa: PLR0913 - settings are keywords, and the base's are among them
        self,
        shape: StreamShape,
        seed: int,
        *,
        capacity: int = CAPACITY,
        choice: Choice | Selector = "random",
        outputs: float = 0.0,
        rate: float = 0.03,
        epochs: int = 4 * EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "standard",
        refresh: float = 0.0,
    ) -> None:
        super().__init__(
            shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling, refresh=refresh
        )
        self._capacity, self._choice, self.outputs = capacity, choice, outputs
        self.memory = ReplayMemory.empty(shape.columns, shape.labels if outputs else 0)

    @property
    def _memory_bytes(self) -> int:
        logits = self._shape.labels if self.outputs else 0
        return memory_bytes(self._capacity, self._shape.columns, logits)

    def _train(self, task: Batch) -> None:
        memory = self.memory
        self.replayed = (
            self.batch_of(memory.features, memory.targets, memory.domains) if len(memory) else None
        )
        super()._train(task)
        self.replayed = None

    replayed: Batch | None = None

    def gradient_of(self, batch: Batch) -> Floats:
        """Add the gradient of as many rows of the memory."""
        gradient = super().gradient_of(batch)
        if self.replayed is None:
            return gradient
        at = self.random.integers(len(self.memory), size=BATCH)
        drawn = self.replayed.take(at)
        errors = self.errors_of(drawn)
        if self.outputs:
            apart = drawn.rows @ self.weights - self.memory.logits[at]
            errors += np.float32(self.outputs / len(at)) * apart
        return np.asarray(gradient + drawn.rows.T @ errors, np.float32)

    def finish(self, task: Batch, part: LabelledPart) -> None:
        """Choose what the memory keeps."""
        scores = task.rows @ self.weights
        logits = scores if self.outputs else np.zeros((len(part), 0), np.float32)
        pool = self.memory.joined(part, self.random.random(len(part)), logits)
        self.memory = pool.select(kept_rows(pool, self._capacity, self._choice, self._seed))

    def _end(self, gone: Targets) -> None:
        super()._end(gone)
        self.memory = self.memory.without(gone)


class JointTraining(NaiveFineTuning):
    """Trains on all rows of all tasks again, from the start, at every task: the upper bound of a
    linear head.  It keeps every row."""

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        rate: float = 0.03,
        epochs: int = 6 * EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "standard",
    ) -> None:
        super().__init__(shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling)
        self.memory = ReplayMemory.empty(shape.columns)

    @property
    def bytes_max(self) -> int | None:
        """Return None: it keeps every row."""
        return None

    def _learn(self, part: LabelledPart) -> None:
        zeros = np.zeros((len(part), 0), np.float32)
        self.memory = memory = self.memory.joined(part, np.zeros(len(part)), zeros)
        self._preparation = self._prepared(memory.features)
        self.weights[:] = 0
        self._train(self.batch_of(memory.features, memory.targets, memory.domains))

    def _end(self, gone: Targets) -> None:
        super()._end(gone)
        self.memory = self.memory.without(gone)
