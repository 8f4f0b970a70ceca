"""The detector kinds, and what a further one has to do: one function and one line."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fitting import fit_geometry
from .geometry import Geometry, Slices, identity_geometry


class DetectorKind(Protocol):
    """A detector kind is how enrolment samples become a geometry; all else follows from that."""

    def __call__(
        self,
        features: NDArray[np.uint8],
        labels: ArrayLike,
        slices: Slices,
        seed: int,
        bits: int = 8192,
        zeros: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Geometry:
        """The geometry for features uint8 [n, width]; arguments as in `survey`."""
        ...


def prototype(
    features: NDArray[np.uint8],
    labels: ArrayLike,
    slices: Slices,
    seed: int,
    bits: int = 8192,
    zeros: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Geometry:
    """Hypervectors of the first tap alone: nothing is fitted, the smallest state there is."""
    del labels, zeros, weights
    return identity_geometry(np.atleast_2d(features).shape[1], slices, seed, bits)


KINDS: Mapping[str, DetectorKind] = {"joint": fit_geometry, "prototype": prototype}
