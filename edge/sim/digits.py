"""Handwritten digits from two sources: MNIST (shipped here) and optdigits (in scikit-learn).

Images are grey pixels, which the encoder's preparation accepts unchanged.
"""

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, StateCorruptError

DIGITS: Final = tuple("0123456789")
OPTDIGITS_MAX: Final = 16
"""optdigits count ink in 4 x 4 blocks: 0 to 16 (Alpaydin and Kaynak 1998)."""

_SHIPPED: Final = "mnist_subset.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Labelled images.  images: uint8 [n, h, w], ink is bright; labels: int64 [n], 0 to 9; source:
    the name of the data set."""

    source: str
    images: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.int64]) -> "Digits":
        """Return the images of some rows, in that order."""
        return Digits(self.source, self.images[rows], self.labels[rows])


def load_mnist() -> Digits:
    """Load the shipped 5,000 MNIST digits, 500 of each, 28 x 28 pixels, sorted by digit.

    LeCun, Cortes and Burges 1998; see data/MNIST-LICENSE.md.  Raises StateCorruptError where the
    installed file is damaged.  Cost: about 30 ms.
    """
    path = files(__package__) / "data" / _SHIPPED
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            images, labels = held["images"], held["labels"].astype(np.int64)
    except (OSError, KeyError, ValueError) as error:
        raise StateCorruptError(
            f"reading the shipped digits {_SHIPPED}: expected an npz with images and labels,"
            f" found {error!r}",
            "install auricle again",
        ) from error
    return Digits("mnist", images, labels)


def load_optdigits() -> Digits:
    """Load the 1,797 digits that come with scikit-learn, 8 x 8 pixels, scaled to 0..255.

    Alpaydin and Kaynak 1998, the test set of "Optical Recognition of Handwritten Digits".  Needs
    the extra `sim`.
    """
    from sklearn.datasets import load_digits

    held = load_digits()
    scaled = np.rint(held.images * (255 / OPTDIGITS_MAX)).astype(np.uint8)
    return Digits("optdigits", scaled, held.target.astype(np.int64))


class DigitSampler:
    """Draws digits without replacement, in an order that the seed decides."""

    def __init__(self, digits: Digits, seed: int) -> None:
        self._digits = digits
        self._left = np.random.default_rng(seed).permutation(len(digits))

    def __len__(self) -> int:
        return len(self._left)

    def draw(self, count: int) -> Digits:
        """Draw the next `count` images; raises ConfigError if fewer are left."""
        return self._select(np.arange(count))

    def draw_evenly(self, per_digit: int) -> Digits:
        """Draw the next `per_digit` images of each digit; raises ConfigError as `draw` does."""
        labels = self._digits.labels[self._left]
        rows = [np.flatnonzero(labels == int(digit))[:per_digit] for digit in DIGITS]
        short = min(len(of_digit) for of_digit in rows) < per_digit
        return self._select(np.arange(len(self) + 1) if short else np.sort(np.concatenate(rows)))

    def _select(self, places: NDArray[np.int64]) -> Digits:
        if len(places) > len(self):
            raise ConfigError(
                f"drawing {len(places)} {self._digits.source} digits: {len(self)} are left",
                "draw fewer",
            )
        drawn = self._digits.select(self._left[places])
        self._left = np.delete(self._left, places)
        return drawn
