"""The detector kinds.  To add one, write a function and list it in `KINDS`."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fitting import fit_geometry
from .geometry import Geometry, Slices, identity_geometry


class DetectorKind(Protocol):
    """A function that fits a geometry to enrolment samples; all else follows from the geometry."""

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
        """Fit a geometry to features uint8 [n, width]; arguments as in `fit_geometry`."""
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
    """Use only hypervectors of the first tap: nothing is fitted, and the state is smallest."""
    del labels, zeros, weights
    return identity_geometry(np.atleast_2d(features).shape[1], slices, seed, bits)


KINDS: Mapping[str, DetectorKind] = {"joint": fit_geometry, "prototype": prototype}
