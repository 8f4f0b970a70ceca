"""What a world does to its measurements before a sensor hands them over.

Severity is a number, 0 for no change, 1 for as bad as it gets.  To add a kind: one function and one
line in KINDS.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NOISE_MAX: Final = 0.5
"""Standard deviation of the noise at severity 1, as a share of the value range."""

BLUR_SIGMA_MAX: Final = 0.1
"""Width of the blur at severity 1, as a share of the image's shorter side."""

BRIGHTNESS_MAX: Final = 0.5
"""Shift of the brightness at severity 1, as a share of the value range."""

DRIFT_MAX: Final = 1.0
"""Offset of a drifted sensor at severity 1, in spreads (standard deviations) of its column."""


class Corrupt(Protocol):
    """Changes float64 values (image [h, w] or [h, w, c], vector [width]); returns a new array.

    spread: what one unit of range is: 255 for images, each column's standard deviation else.
    """

    def __call__(
        self, values: Array, severity: float, spread: Array, random: np.random.Generator, /
    ) -> Array:
        """Return the corrupted values."""


def add_noise(values: Array, severity: float, spread: Array, random: np.random.Generator) -> Array:
    """Gaussian noise of `severity * NOISE_MAX` of the range."""
    return values + random.normal(size=values.shape) * abs(severity) * NOISE_MAX * spread


def blur(
    values: Array,
    severity: float,
    _spread: Array,
    _random: np.random.Generator,
) -> Array:
    """Gaussian blur along both image axes, edges repeated."""
    sigma = abs(severity) * BLUR_SIGMA_MAX * min(values.shape[:2])
    radius = int(np.ceil(3 * sigma))
    if radius == 0:
        return values.copy()
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    for axis in (0, 1):
        values = _convolve(values, kernel / kernel.sum(), axis)
    return values


def shift_brightness(
    values: Array,
    severity: float,
    spread: Array,
    _random: np.random.Generator,
) -> Array:
    """Every value moves by `severity * BRIGHTNESS_MAX` of the range; negative is darker."""
    return values + severity * BRIGHTNESS_MAX * spread


def cut_contrast(
    values: Array,
    severity: float,
    _spread: Array,
    _random: np.random.Generator,
) -> Array:
    """Values draw nearer to their mean; at severity 1 nothing is left but the mean."""
    centre = float(values.mean())
    return np.asarray(centre + (values - centre) * (1 - severity))


def drift(
    values: Array,
    severity: float,
    spread: Array,
    _random: np.random.Generator,
) -> Array:
    """Each column (last axis) leaves its zero point in a direction of its own, always the same."""
    directions = np.random.default_rng(0).choice([-1.0, 1.0], size=values.shape[-1])
    return np.asarray(values + severity * DRIFT_MAX * directions * spread)


KINDS: Final[Mapping[str, Corrupt]] = {
    "noise": add_noise,
    "blur": blur,
    "brightness": shift_brightness,
    "contrast": cut_contrast,
    "drift": drift,
}

IMAGES_ONLY: Final = frozenset({"blur"})
VECTORS_ONLY: Final = frozenset({"drift"})


def corrupt_values(
    values: Array, kind: str, severity: float, spread: Array, random: np.random.Generator
) -> Array:
    """Apply one corruption; uint8 images stay uint8 (clipped), vectors become float32."""
    changed = KINDS[kind](values.astype(np.float64), severity, spread, random)
    if values.dtype == np.uint8:
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return changed.astype(np.float32)


def _convolve(values: Array, kernel: Array, axis: int) -> Array:
    radius = len(kernel) // 2
    pads = [(radius, radius) if each == axis else (0, 0) for each in range(values.ndim)]
    padded = np.pad(values, pads, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=axis)
    return np.asarray(windows @ kernel)
