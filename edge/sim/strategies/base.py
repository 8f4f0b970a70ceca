"""What the strategies share: which labels may be answered, what is kept, and how features are
prepared."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from .strategy import (
    Bytes,
    Floats,
    LabelledPart,
    StreamShape,
    Targets,
    TrainingDivergedError,
)

Taps = Literal["final", "all"]
"""Which columns are read: those of the encoder's last layer, or all."""
Scaling = Literal["raw", "centred", "standard"]
"""How columns are scaled: all alike; less their mean in the first task; or also each by its
deviation there."""

FLOAT: Final = 4
"""Bytes of a number in float32."""
LEVEL_MAX: Final = 255
"""The largest feature."""
LEAST_SPREAD: Final = 0.5
"""Share of the mean deviation that a column's own counts as, at least.  Chosen by hand; effect not
measured."""
ROW_NUMBERS: Final = 3 * 8
"""Bytes of a kept row's target, domain and random key."""


def kept_arrays(value: object) -> Iterator[NDArray[Any]]:
    """Yield every array that an object holds: in its attributes, in containers, dataclasses and
    Structs."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from kept_arrays(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from kept_arrays(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from kept_arrays(getattr(value, each.name))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from kept_arrays(getattr(value, name))


@dataclass(frozen=True, slots=True, eq=False)
class FeatureScaling:
    """Turns features into float32 rows: (features[:, :columns] - centre) * factor."""

    columns: int
    centre: Floats
    factor: Floats

    def __call__(self, features: Bytes) -> Floats:
        """Return rows float32 [n, columns]."""
        return (features[:, : self.columns] - self.centre) * self.factor

    @classmethod
    def fit(cls, features: Bytes, shape: StreamShape, taps: Taps, scaling: Scaling) -> Self:
        """Return the preparation for the first task's features [n, width].

        A deviation counts as half of the mean one and a level, at least: columns that are constant
        in the first task may vary in the next.
        """
        columns = columns_of(shape, taps)
        known = features[:, :columns].astype(np.float32)
        alike = np.full(columns, 1 / LEVEL_MAX, np.float32)
        if scaling == "standard":
            spread = known.std(axis=0)
            least = 1 + LEAST_SPREAD * spread.mean()
            return cls(columns, known.mean(axis=0), 1 / np.maximum(spread, least))
        centre = known.mean(axis=0) if scaling == "centred" else np.zeros_like(alike)
        return cls(columns, centre, alike)


def columns_of(shape: StreamShape, taps: Taps) -> int:
    """Return how many columns are read: the final tap comes first."""
    return shape.spans[0][1] if taps == "final" else shape.columns


class MaskedStrategy(ABC):
    """A strategy that answers with labels that it was taught and that have not ended.

    Subclasses keep arrays as attributes; all of them count in `nbytes`.
    """

    def __init__(self, shape: StreamShape, seed: int) -> None:
        self._shape = shape
        self._seed = seed
        self.random = np.random.default_rng(seed)
        self._taught = np.zeros((shape.domains, shape.labels), np.bool_)

    @property
    @abstractmethod
    def bytes_max(self) -> int | None:
        """See `Strategy`."""

    @property
    def nbytes(self) -> int:
        """See `Strategy`."""
        return sum(one.nbytes for one in kept_arrays(vars(self)))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Return which labels may be answered [labels]."""
        return np.asarray(self._taught.any(axis=0))

    def learn(self, part: LabelledPart, ended: frozenset[int] = frozenset()) -> None:
        """See `Strategy`."""
        gone = np.asarray(sorted(ended), np.int64)
        if len(gone):
            self._taught[:, gone] = False
            self._end(gone)
        if not len(part):
            return
        self._taught[part.domains, part.targets] = True
        with np.errstate(all="ignore"):
            self._learn(part)
        if not all(np.isfinite(one).all() for one in kept_arrays(vars(self))):
            raise TrainingDivergedError(
                f"learning {len(part)} rows with {type(self).__name__}: expected finite numbers,"
                " found an overflow",
                "choose a smaller learning rate",
            )

    def answer(self, features: Bytes, domains: Targets | None = None) -> Floats:
        """See `Strategy`."""
        allowed = self._allowed(len(features), domains)
        if not self.known.any() or not len(features):
            return np.full(allowed.shape, -np.inf, np.float32)
        found = self._scored(features, domains)
        return np.where(allowed, found, -np.inf).astype(np.float32)

    def _allowed(self, count: int, domains: Targets | None) -> NDArray[np.bool_]:
        """Return which labels rows may have [n, labels]: those of their domain where it is
        given."""
        if domains is None or not self._shape.task_given:
            return np.broadcast_to(self.known, (count, self._shape.labels))
        own = self._taught[domains]
        return np.asarray(np.where(own.any(axis=1, keepdims=True), own, self.known))

    @property
    def _mask_bytes(self) -> int:
        return self._taught.nbytes

    @abstractmethod
    def _learn(self, part: LabelledPart) -> None:
        """Learn a task that has rows."""

    @abstractmethod
    def _scored(self, features: Bytes, domains: Targets | None) -> Floats:
        """Return a score for every label [n, labels]; those that may not be answered are
        ignored."""

    def _end(self, gone: Targets) -> None:  # noqa: B027 - most have nothing else to drop
        """Drop what is kept of labels that ended."""
