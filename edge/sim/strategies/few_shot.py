"""The bag of tricks for few-shot class-incremental learning, each trick a switch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .adapters import (
    BATCH,
    COSINE_SCALE,
    EPOCHS,
    AdapterStrategy,
    LowRank,
    adapt,
    adapter_numbers,
    as_array,
    descend,
)
from .arithmetic import one_hot, unit_rows
from .base import Scaling, Taps
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets

PSEUDO_MAX: Final = 20
"""Pairs of labels that are mixed into pseudo-classes, at most."""
HEAT: Final = 0.1
"""Temperature of contrastive losses: that of SupCon (Khosla et al. 2020)."""
QUARTERS: Final = 4
"""Parts of the columns that the extra signal blanks; the paper turns pictures by four angles."""
DROPPED: Final = 0.2
"""Share of columns that a view of a row lacks.  Chosen by hand; effect not measured."""
TUNED_PASSES: Final = 3
"""Passes over a new task of incremental tuning.  Chosen by hand; effect not measured."""
TUNED_RATE: Final = 0.1
"""Its learning rate, as a share of the first task's.  Chosen by hand; effect not measured."""
SUBNET_SHARE: Final = 0.1
"""Share of an adapter's numbers that are tuned later: those of the least size.  Chosen by hand;
effect not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tricks:
    """Switches of the eight tricks (Roy et al. 2024).

    Stability: contrast: a supervised contrastive loss beside the cross-entropy; assigned: the
    prototypes of all labels are fixed beforehand, at equal angles; pseudo: mixtures of two labels
    are classes of their own (the paper makes them from pictures).  Adaptability: tuned: the adapter
    is tuned on each later task; subnet: only its smallest weights are.  Training: wide: the
    features of all taps instead of the last one's, for a larger encoder; pretrained: contrastive
    training without labels comes first; signal: the adapter also names the quarter of the columns
    that is blanked, for the angle by which a picture is turned.
    """

    contrast: bool = True
    assigned: bool = True
    pseudo: bool = True
    tuned: bool = True
    subnet: bool = True
    wide: bool = True
    pretrained: bool = True
    signal: bool = True


class BagOfTricks(AdapterStrategy):
    """Few-shot class-incremental learning (Roy et al. 2024): an adapter is trained on the first
    task; every label is answered by the cosine with the mean of its rows."""

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        tricks: Tricks | None = None,
        rate: float = 1e-3,
        epochs: int = EPOCHS,
        scaling: Scaling = "centred",
    ) -> None:
        self._tricks = tricks or DEFAULT_TRICKS
        taps: Taps = "all" if self._tricks.wide else "final"
        super().__init__(shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling)
        self.adapter: LowRank | None = None
        self.sums = np.zeros((shape.labels, self._columns), np.float32)

    @property
    def _numbers(self) -> int:
        return adapter_numbers(self._columns) + int(self.sums.size)

    def _learn(self, part: LabelledPart) -> None:
        rows = self.rows_of(part.features)
        if self.adapter is None:
            start = LowRank.start(self._columns, self.random)
            begun = self._pretrained(rows, start) if self._tricks.pretrained else start
            self.adapter = self._first(rows, part.targets, begun)
        elif self._tricks.tuned:
            self.adapter = self._later(rows, part.targets, self.adapter)
        adapted = unit_rows(self.adapter(rows))
        self.sums += one_hot(part.targets, self._shape.labels).T @ adapted

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        assert self.adapter is not None  # a task with rows was learned
        return unit_rows(self.adapter(self.rows_of(features))) @ unit_rows(self.sums).T

    def _end(self, gone: Targets) -> None:
        self.sums[gone] = 0

    def _pretrained(self, rows: Floats, start: LowRank) -> LowRank:
        """Train without labels: two views of a row are close, and far from other rows' views."""
        leaves, inputs = start.leaves(), torch.from_numpy(rows)

        def loss(at: Tensor) -> Tensor:
            views = [self._embedded(self._view(inputs[at]), leaves) for _ in range(2)]
            return functional.cross_entropy(views[0] @ views[1].T / HEAT, torch.arange(len(at)))

        descend(leaves, loss, len(rows), self.random, rate=self._rate, epochs=self._epochs)
        return LowRank(*(as_array(leaf) for leaf in leaves))

    def _first(self, rows: Floats, targets: Targets, start: LowRank) -> LowRank:
        """Train the adapter on the first task."""
        tricks, leaves = self._tricks, start.leaves()
        inputs, wanted = torch.from_numpy(rows), torch.from_numpy(targets)
        pairs = self._pairs(targets)
        head = self._head(rows, targets, len(pairs))
        quarters = torch.zeros((self._columns, QUARTERS)).requires_grad_()
        competing = torch.cat([self._competing(targets), torch.ones(len(pairs), dtype=torch.bool)])

        def loss(at: Tensor) -> Tensor:
            embedded = self._embedded(inputs[at], leaves)
            value = _named(embedded, head, wanted[at], competing)
            if pairs:
                mixed, label = self._mixed(inputs, wanted, pairs)
                value = value + _named(self._embedded(mixed, leaves), head, label, competing)
            if tricks.contrast:
                value = value + supervised_contrast(embedded, wanted[at])
            if tricks.signal:
                value = value + self._blanked(inputs[at], leaves, quarters)
            return value

        trained = [*leaves, *(() if tricks.assigned else (head,)), quarters]
        descend(trained, loss, len(rows), self.random, rate=self._rate, epochs=self._epochs)
        return LowRank(*(as_array(leaf) for leaf in leaves))

    def _later(self, rows: Floats, targets: Targets, before: LowRank) -> LowRank:
        """Tune the adapter on a later task, or its smallest weights alone."""
        leaves = before.leaves()
        inputs, wanted = torch.from_numpy(rows), torch.from_numpy(targets)
        sums = self.sums + one_hot(targets, self._shape.labels).T @ unit_rows(before(rows))
        head = functional.normalize(torch.from_numpy(sums))
        competing = torch.from_numpy(self.known.copy())
        start = [leaf.detach().clone() for leaf in leaves]
        free = [_smallest(leaf) for leaf in start]

        def loss(at: Tensor) -> Tensor:
            return _named(self._embedded(inputs[at], leaves), head, wanted[at], competing)

        def rewind() -> None:
            with torch.no_grad():
                for leaf, old, loose in zip(leaves, start, free, strict=True):
                    leaf.copy_(torch.where(loose, leaf, old))

        descend(
            leaves,
            loss,
            len(rows),
            self.random,
            rate=TUNED_RATE * self._rate,
            epochs=TUNED_PASSES,
            stepped=rewind if self._tricks.subnet else None,
        )
        return LowRank(*(as_array(leaf) for leaf in leaves))

    def _head(self, rows: Floats, targets: Targets, pseudo: int) -> Tensor:
        """Return the prototypes that the first task is trained with [labels + pseudo, columns]."""
        count = self._shape.labels + pseudo
        if self._tricks.assigned:
            return torch.from_numpy(equal_angles(count, self._columns, self.random))
        sums = one_hot(targets, self._shape.labels).T @ rows
        drawn = self.random.standard_normal((pseudo, self._columns)).astype(np.float32)
        head = torch.from_numpy(np.concatenate([unit_rows(sums), unit_rows(drawn)]))
        return head.requires_grad_()

    def _pairs(self, targets: Targets) -> list[tuple[int, int]]:
        labels = np.unique(targets).tolist() if self._tricks.pseudo else []
        return list(islice(combinations(labels, 2), PSEUDO_MAX))

    def _mixed(
        self, inputs: Tensor, wanted: Tensor, pairs: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Return the means of two rows of different labels, and the pseudo-classes of them."""
        numbers = self.random.integers(len(pairs), size=BATCH // 2)
        rows = []
        for number in numbers.tolist():
            ends = [np.flatnonzero(wanted.numpy() == label) for label in pairs[number]]
            rows.append([int(self.random.choice(end)) for end in ends])
        at = torch.tensor(rows)
        label = torch.from_numpy(numbers) + self._shape.labels
        return (inputs[at[:, 0]] + inputs[at[:, 1]]) / 2, label

    def _blanked(self, rows: Tensor, leaves: Sequence[Tensor], quarters: Tensor) -> Tensor:
        """Return the loss of naming the quarter of the columns that is blanked."""
        label = torch.from_numpy(self.random.integers(QUARTERS, size=len(rows)))
        place = torch.arange(self._columns) * QUARTERS // self._columns
        found = self._embedded(rows * (place != label[:, None]), leaves) @ quarters
        return functional.cross_entropy(found, label)

    def _view(self, rows: Tensor) -> Tensor:
        kept = torch.from_numpy(self.random.random(tuple(rows.shape)) >= DROPPED)
        return rows * kept

    def _embedded(self, rows: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        return functional.normalize(adapt(rows, leaves))


def supervised_contrast(embedded: Tensor, targets: Tensor) -> Tensor:
    """Return the supervised contrastive loss of unit rows (Khosla et al. 2020); 0 where
    no label comes twice."""
    near = embedded @ embedded.T / HEAT
    itself = torch.eye(len(near), dtype=torch.bool)
    same = (targets[:, None] == targets) & ~itself
    log_odds = near - torch.logsumexp(near.masked_fill(itself, -torch.inf), dim=1, keepdim=True)
    counts = same.sum(dim=1)
    means = (log_odds * same).sum(dim=1) / counts.clamp(min=1)
    return -means.sum() / (counts > 0).sum().clamp(min=1)


def equal_angles(count: int, columns: int, random: np.random.Generator) -> Floats:
    """Return unit rows float32 [count, columns] at equal angles to each other: a simplex where
    there are columns enough, directions at random otherwise."""
    if count > columns:
        return unit_rows(random.standard_normal((count, columns)).astype(np.float32))
    axes, _ = np.linalg.qr(random.standard_normal((columns, count)))
    centred = np.eye(count) - 1 / count
    return unit_rows((centred @ axes.T).astype(np.float32))


def _named(embedded: Tensor, head: Tensor, wanted: Tensor, competing: Tensor) -> Tensor:
    """Return the cross-entropy of cosines with the prototypes of a head."""
    found = COSINE_SCALE * embedded @ functional.normalize(head).T
    return functional.cross_entropy(found.masked_fill(~competing, -torch.inf), wanted)


def _smallest(leaf: Tensor) -> Tensor:
    """Return which numbers of an adapter are among the smallest by size."""
    size = leaf.abs()
    return size <= torch.quantile(size, SUBNET_SHARE)


DEFAULT_TRICKS: Final = Tricks()
"""The switches of the table's entry."""
