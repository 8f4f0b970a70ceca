"""Handwritten digits from two sources: MNIST (shipped here) and optdigits (in scikit-learn).

Images come as grey pixels, which the encoder's preparation takes as they are.
"""

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import StateCorruptError

DIGITS: Final = tuple("0123456789")
OPTDIGITS_MAX: Final = 16

_SHIPPED: Final = "mnist_subset.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Images with the digit each shows.  `images`: uint8 [n, h, w], ink is bright; `labels`: int64
    [n], 0 to 9; `source`: where they come from."""

    source: str
    images: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> "Digits":
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
