"""Low-rank adapters over frozen features, trained with torch, and the strategies that hold one for
the first task (APER) or two that follow each other (LAE)."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...growth import AdamW, deterministic
from .arithmetic import one_hot, softmax, unit_rows
from .base import FLOAT, MaskedStrategy, Preparation, Scaling, Taps, columns_of
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets

RANK: Final = 16
"""Width of an adapter.  Chosen by hand; effect not measured."""
EPOCHS: Final = 10
"""Passes over a task; 5 and 20 did about as well on the data for choices."""
BATCH: Final = 64
"""Rows of a step.  Chosen by hand; effect not measured."""
DECAY: Final = 5e-4
"""Weight decay: that of APER's and MOS's code."""
COSINE_SCALE: Final = 16.0
"""Multiplies cosines before a softmax.  Chosen by hand; effect not measured."""
FROZEN_SHARE: Final = 0.6
"""Share of the passes over a later task in which LAE trains the head alone: three of five in its
configuration."""


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """An adapter: rows + relu(rows @ down) @ up.  down: float32 [columns, rank]; up: [rank,
    columns]."""

    down: Floats = field(repr=False)
    up: Floats = field(repr=False)

    @classmethod
    def start(cls, columns: int, random: np.random.Generator) -> "LowRank":
        """Return an adapter that changes nothing yet."""
        down = random.standard_normal((columns, RANK)) / np.sqrt(columns)
        return cls(down.astype(np.float32), np.zeros((RANK, columns), np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """Return adapted rows."""
        return np.asarray(rows + np.maximum(rows @ self.down, 0) @ self.up, np.float32)

    def leaves(self) -> list[Tensor]:
        """Return copies that torch can train."""
        return [torch.from_numpy(one.copy()).requires_grad_() for one in (self.down, self.up)]


def adapt(rows: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """Return adapted rows, differentiable."""
    down, up = leaves
    return rows + torch.relu(rows @ down) @ up


def adapter_numbers(columns: int) -> int:
    """Return how many numbers an adapter has."""
    return 2 * columns * RANK


def as_array(leaf: Tensor) -> Floats:
    """Return a copy of a leaf's values."""
    return np.array(leaf.detach().numpy(), np.float32)


def descend(
    leaves: Sequence[Tensor],
    loss: Callable[[Tensor], Tensor],
    rows: int,
    random: np.random.Generator,
    *,
    rate: float,
    epochs: int,
    stepped: Callable[[], None] | None = None,
) -> None:
    """Descend on a loss of row numbers with AdamW, in passes over shuffled batches.

    stepped: called after each step.
    """
    rule = AdamW(leaves, rate, DECAY)
    with deterministic():
        for _ in range(epochs):
            order = torch.from_numpy(random.permutation(rows))
            for at in range(0, rows, BATCH):
                value = loss(order[at : at + BATCH])
                if value.requires_grad:
                    found = torch.autograd.grad(value, leaves, allow_unused=True)
                    rule.step([_or_zeros(*pair) for pair in zip(found, leaves, strict=True)])
                if stepped is not None:
                    stepped()


def _or_zeros(gradient: Tensor | None, leaf: Tensor) -> Tensor:
    """Return a gradient, or zeros for a leaf that the loss does not use."""
    return torch.zeros_like(leaf) if gradient is None else gradient


class AdapterStrategy(MaskedStrategy):
    """A strategy over prepared features with adapters."""

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        rate: float = 1e-3,
        epochs: int = EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "centred",
    ) -> None:
        super().__init__(shape, seed)
        self._rate, self._epochs = rate, epochs
        self._taps, self._scaling = taps, scaling
        self._columns = columns_of(shape, taps)
        self._preparation: Preparation | None = None

    @property
    def bytes_max(self) -> int | None:
        """Return the bytes of the adapters, the heads and the preparation."""
        return self._mask_bytes + (2 * self._columns + self._numbers) * FLOAT

    @property
    @abstractmethod
    def _numbers(self) -> int:
        """Numbers that adapters, heads and prototypes have at most."""

    def rows_of(self, features: Bytes) -> Floats:
        """Return prepared rows float32 [n, columns]."""
        if self._preparation is None:
            self._preparation = Preparation.fit(features, self._shape, self._taps, self._scaling)
        return self._preparation(features)

    def _competing(self, targets: Targets) -> Tensor:
        """Return which labels compete while a task is learned [labels]: its own; all that are known
        where it has a single one, since a softmax over one label teaches nothing."""
        own = np.isin(np.arange(self._shape.labels), targets)
        return torch.from_numpy(own if own.sum() > 1 else self.known.copy())


class AdaptAndMerge(AdapterStrategy):
    """APER, once ADAM (Zhou et al. 2025, and the authors' `construct_dual_branch_network`): an
    adapter is trained on the first task alone; then the frozen and the adapted features side by
    side give the prototypes of all labels, answers are cosines.  A first task of one label trains
    nothing: it answers as SimpleCIL then.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        rate: float = 1e-3,
        epochs: int = EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "centred",
    ) -> None:
        super().__init__(shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling)
        self.adapter: LowRank | None = None
        self.sums = np.zeros((shape.labels, 2 * self._columns), np.float32)

    @property
    def _numbers(self) -> int:
        return adapter_numbers(self._columns) + int(self.sums.size)

    def _learn(self, part: LabelledPart) -> None:
        rows = self.rows_of(part.features)
        if self.adapter is None:
            self.adapter = self._adapted(rows, part.targets)
        self.sums += one_hot(part.targets, self._shape.labels).T @ self._merged(rows)

    def _adapted(self, rows: Floats, targets: Targets) -> LowRank:
        """Train an adapter below a cosine head."""
        random = self.random
        leaves = LowRank.start(self._columns, random).leaves()
        start = random.standard_normal((self._shape.labels, self._columns)).astype(np.float32)
        head = torch.from_numpy(start).requires_grad_()
        inputs, wanted = torch.from_numpy(rows), torch.from_numpy(targets)
        competing = self._competing(targets)

        def loss(at: Tensor) -> Tensor:
            found = functional.normalize(adapt(inputs[at], leaves)) @ functional.normalize(head).T
            masked = (COSINE_SCALE * found).masked_fill(~competing, -torch.inf)
            return functional.cross_entropy(masked, wanted[at])

        descend([*leaves, head], loss, len(rows), random, rate=self._rate, epochs=self._epochs)
        return LowRank(*(as_array(leaf) for leaf in leaves))

    def _merged(self, rows: Floats) -> Floats:
        assert self.adapter is not None  # a task with rows was learned
        return np.concatenate([rows, self.adapter(rows)], axis=1)

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        return unit_rows(self._merged(self.rows_of(features))) @ unit_rows(self.sums).T

    def _end(self, gone: Targets) -> None:
        self.sums[gone] = 0


class LearnAccumulateEnsemble(AdapterStrategy):
    """LAE (Gao et al. 2023, and the authors' `MyModule`): an online adapter learns each
    task, over the task's own labels, the head alone first; from the second task on, an offline
    adapter follows it as a moving average at every step; the larger of both softmaxes answers.
    The calibration of speeds between kinds of adapters has no counterpart, with one kind.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        keep: float = 0.999,
        rate: float = 1e-3,
        epochs: int = EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "centred",
    ) -> None:
        super().__init__(shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling)
        self._keep = keep
        self.online = LowRank.start(self._columns, self.random)
        self.offline: LowRank | None = None
        self.head = np.zeros((self._columns + 1, shape.labels), np.float32)
        self._learned = False

    @property
    def _numbers(self) -> int:
        return 2 * adapter_numbers(self._columns) + int(self.head.size)

    def _learn(self, part: LabelledPart) -> None:
        rows = self.rows_of(part.features)
        leaves = self.online.leaves()
        slow = [leaf.detach().clone() for leaf in leaves]
        if self.offline is not None:
            slow = [leaf.detach() for leaf in self.offline.leaves()]
        head = torch.from_numpy(self.head.copy()).requires_grad_()
        loss = self._loss(rows, part.targets, leaves, head)
        held = round(FROZEN_SHARE * self._epochs) if self._learned else 0

        def follow() -> None:
            for mean, leaf in zip(slow, leaves, strict=True):
                mean.lerp_(leaf.detach(), 1 - self._keep)

        for trained, epochs in (([head], held), ([*leaves, head], self._epochs - held)):
            descend(
                trained,
                loss,
                len(rows),
                self.random,
                rate=self._rate,
                epochs=epochs,
                stepped=follow if self._learned else None,
            )
        self.online = LowRank(*(as_array(leaf) for leaf in leaves))
        self.offline = LowRank(*map(as_array, slow)) if self._learned else None
        self.head = as_array(head)
        self._learned = True

    def _loss(
        self, rows: Floats, targets: Targets, leaves: Sequence[Tensor], head: Tensor
    ) -> Callable[[Tensor], Tensor]:
        inputs, wanted = torch.from_numpy(rows), torch.from_numpy(targets)
        competing = self._competing(targets)

        def loss(at: Tensor) -> Tensor:
            found = adapt(inputs[at], leaves) @ head[:-1] + head[-1]
            return functional.cross_entropy(found.masked_fill(~competing, -torch.inf), wanted[at])

        return loss

    def _scored(self, features: Bytes, domains: Targets | None) -> Floats:
        rows, allowed = self.rows_of(features), self._allowed(len(features), domains)
        experts = [self.online] if self.offline is None else [self.online, self.offline]
        found = [softmax(one(rows) @ self.head[:-1] + self.head[-1], allowed) for one in experts]
        return np.asarray(np.max(found, axis=0), np.float32)

    def _end(self, gone: Targets) -> None:
        self.head[:, gone] = 0
