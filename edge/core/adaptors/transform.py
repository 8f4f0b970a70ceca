"""The transform of an adaptor: from uint8 features to the inputs of the head."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..errors import ModelMismatchError, StateCorruptError
from .kinds import KINDS
from .record import AdaptorRecord

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
Spans = tuple[tuple[int, int], ...]

LEVELS: Final = np.sqrt(np.arange(256, dtype=np.float32))
"""A feature's value by its level: square roots, since the variance of activations grows with
them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Transform:
    """phi(features) = kind((root(features[columns]) - centre) * factor).

    columns: intp [read], the features of the blueprint's taps side by side.  centre, factor:
    float32 [read] in `arrays`, mean and inverse deviation of a column in the domain.  sizes:
    columns of each tap.  encoded: width of the features.  whole: it reads all columns in order.
    """

    blueprint: Blueprint
    arrays: Arrays = field(repr=False)
    columns: NDArray[np.intp] = field(repr=False)
    sizes: tuple[int, ...]
    encoded: int
    whole: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of parameters: those of the kind, and two numbers per column."""
        return int(sum(array.nbytes for array in self.arrays.values()))

    @property
    def operations(self) -> int:
        """Multiply-adds per sample: those of the kind, and one per column."""
        return KINDS[self.blueprint.kind].operations(self.blueprint, self.sizes) + sum(self.sizes)

    @property
    def out(self) -> int:
        """Columns of the result."""
        return self.blueprint.width or sum(self.sizes)

    def __call__(self, features: NDArray[np.uint8], centre: Floats | None = None) -> Floats:
        """Transform uint8 [..., width] features to float32 [..., out].

        centre: [..., read], the column means of the features' domain; by default those of the
        adaptor's domain.  Raises ModelMismatchError for another width or dtype.
        """
        if features.dtype != np.uint8 or features.shape[-1:] != (self.encoded,):
            raise ModelMismatchError(
                f"adapting features: expected uint8 [..., {self.encoded}], "
                f"found {features.dtype} {list(features.shape)}",
                "use the encoder whose features the adaptor was trained on",
            )
        rows = LEVELS.take(features if self.whole else features[..., self.columns])
        rows -= self.arrays["centre"] if centre is None else centre
        rows *= self.arrays["factor"]
        return KINDS[self.blueprint.kind].apply(self.blueprint, self.arrays, self.sizes, rows)


def build_transform(source: AdaptorRecord | tuple[Blueprint, Arrays], spans: Spans) -> Transform:
    """Make the transform of a record, or of a blueprint and arrays, for an encoder's taps.

    Raises StateCorruptError where kind, taps and arrays do not fit together.
    """
    blueprint, arrays = (
        (source.blueprint, source.arrays) if isinstance(source, AdaptorRecord) else source
    )
    expected = transform_shapes(blueprint, spans)
    found = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    if found != {name: ("<f4", shape) for name, shape in expected.items()}:
        raise StateCorruptError(
            f"building an adaptor of kind {blueprint.kind}: expected float32 {expected}, "
            f"found {found}",
            "roll back to the previous version, or train it again",
        )
    chosen = [spans[tap] for tap in blueprint.taps]
    columns = np.concatenate([np.arange(start, stop) for start, stop in chosen])
    sizes = tuple(stop - start for start, stop in chosen)
    encoded = max(stop for _, stop in spans)
    whole = np.array_equal(columns, np.arange(encoded))
    return Transform(
        blueprint=blueprint,
        arrays=dict(arrays),
        columns=columns,
        sizes=sizes,
        encoded=encoded,
        whole=whole,
    )


def transform_shapes(blueprint: Blueprint, spans: Spans) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all arrays of a blueprint's transform, float32, by name.

    Raises StateCorruptError for a kind or tap that does not exist.
    """
    known = blueprint.kind in KINDS and blueprint.taps
    if not known or not all(0 <= tap < len(spans) for tap in blueprint.taps):
        raise StateCorruptError(
            f"building an adaptor: expected a kind of {', '.join(KINDS)} on taps below "
            f"{len(spans)}, found {blueprint}",
            "use the program version and the encoder that it was trained with",
        )
    sizes = tuple(stop - start for start, stop in (spans[tap] for tap in blueprint.taps))
    read = sum(sizes)
    return {"centre": (read,), "factor": (read,), **KINDS[blueprint.kind].shapes(blueprint, sizes)}
