"""The frozen map from features to codes."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .errors import DimensionError, FormatError
from .projection import project
from .vectors import random_words, unpack, pack

Slices = tuple[tuple[int, int], ...]
Packed = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Geometry:
    """How uint8 features [n, width] become codes; `slices` are the taps (start, stop)."""

    width: int
    slices: Slices
    seed: int
    bits: int

    def project(self, features: NDArray[np.uint8]) -> Codes:
        """Codes of features uint8 [n, width] (or [width]: one row)."""
        rows = np.atleast_2d(np.asarray(features))
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != self.width:
            raise DimensionError(
                f"coding expects uint8 features [n, {self.width}], found {rows.dtype} "
                f"{rows.shape}",
                "quantise with the model card that this geometry was made for",
            )
        seeds = random_words(self.seed, len(self.slices))
        votes = np.zeros((len(rows), self.bits), dtype=np.int16)
        for index, ((start, stop), seed) in enumerate(zip(self.slices, seeds, strict=True)):
            bits = unpack(project(rows[:, start:stop], int(seed), self.bits)).view(np.int8)
            votes += (1 - 2 * bits) * (3 if index == 0 else 2)
        return Codes(pack(votes < 0))

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of everything that decides the codes."""
        return fingerprint_of(self.pack())

    def pack(self) -> Packed:
        """Arrays that `unpack` makes the same geometry of."""
        return {
            "slices": np.asarray(self.slices, dtype=np.int64),
            "numbers": np.asarray([self.width, self.seed, self.bits], dtype=np.int64),
        }

    @staticmethod
    def unpack(packed: Packed) -> "Geometry":
        """The geometry that `pack` gave; raises FormatError where the arrays are not one."""
        try:
            width, seed, bits = (int(number) for number in packed["numbers"])
            slices = tuple((int(a), int(b)) for a, b in packed["slices"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"unpacking a geometry failed: {error!r}", "derive again") from error
        return plain(width, slices, seed, bits)


def fingerprint_of(packed: Packed) -> str:
    """Hex SHA-256 over names, dtypes, shapes and little-endian bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(packed):
        array = np.ascontiguousarray(packed[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.kind}{array.dtype.itemsize} {array.shape};".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()


def plain(width: int, slices: Slices, seed: int, bits: int = 8192) -> Geometry:
    """A geometry for features nothing is known about yet."""
    if not slices or any(not 0 <= start < stop <= width for start, stop in slices):
        raise DimensionError(
            f"a geometry expects taps (start, stop) inside 0 to {width}, found {slices}",
            "give one pair a tap, the first being the final features",
        )
    return Geometry(width, tuple((int(a), int(b)) for a, b in slices), int(seed), int(bits))


def survey(
    features: NDArray[np.uint8],
    labels: NDArray[np.int64],
    slices: Slices,
    seed: int,
    bits: int = 8192,
) -> Geometry:
    """The geometry for features uint8 [n, width] with labels int [n]."""
    del labels
    return plain(np.atleast_2d(features).shape[1], slices, seed, bits)
