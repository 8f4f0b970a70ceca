"""Compare int8 forms of the shipped encoder with its float32 form on real images.

    python scripts/compare_encoders.py FLOAT.onnx INT8.onnx [INT8.onnx ...] [--name NAME]
        [--data DIR] [--count N]

prints, for each int8 file, the mean cosine of every tap with that of the float32 file, the lowest
single one of `features`, the mean of `features` per PACS domain, and the median time of one image
on one thread; then, for the shipped card, the share of values that its quantiser clips in each tap.
DIR holds pacs_webp65.npz (see docs/howto/encoder.md); it is AURICLE_DATA if left out.  NAME is the
shipped encoder whose forms the files are; its taps of spread, which the float file lacks, are left
out of the first table.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoder import SHIPPED, Card, Model, describe_model, load_card, open_model

Images = list[bytes]
Matrix = NDArray[np.float32]
Pictures = tuple[Images, NDArray[np.int64]]


def read_images(folder: Path, count: int, seed: int = 0) -> Pictures:
    """`count` images of each domain as WebP bytes, and their domain numbers."""
    with np.load(folder / "pacs_webp65.npz", allow_pickle=False) as archive:
        blob, offsets, domain = archive["blob"], archive["offsets"], archive["domain"]
    random = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            random.choice(np.flatnonzero(domain == number), count, replace=False)
            for number in np.unique(domain)
        ]
    )
    return [blob[offsets[row] : offsets[row + 1]].tobytes() for row in rows], domain[rows]


def card_for(path: Path, name: str) -> Card:
    """The shipped card's preparation and its taps without those of spread, for another file."""
    shipped = load_card(SHIPPED[name])
    taps = tuple(tap for tap in shipped.taps if not tap.name.endswith("_spread"))
    drawn = describe_model(
        path, preparation=shipped.preparation, outputs=[tap.output for tap in taps]
    )
    return replace(drawn, taps=taps)


def cosines(one: Matrix, other: Matrix) -> NDArray[np.float64]:
    """The cosine of each pair of rows."""
    products = (one * other).sum(axis=1, dtype=np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(products / lengths, dtype=np.float64)


def median_ms(models: Sequence[Model], images: Images, rounds: int = 20) -> list[float]:
    """Median time of one image for each model, taken in turns so that other work hits all alike;
    the preparation is included and the same for all."""
    times: list[list[float]] = [[] for _ in models]
    for image in images[:rounds] * rounds:
        for model, taken in zip(models, times, strict=True):
            start = time.perf_counter()
            model.measure([image])
            taken.append((time.perf_counter() - start) * 1e3)
    return [float(np.median(taken)) for taken in times]


def compare(reference: Path, others: Sequence[Path], name: str, pictures: Pictures) -> None:
    """Print the table."""
    images, domain = pictures
    cards = [card_for(path, name) for path in (reference, *others)]
    models = [open_model(card) for card in cards]
    features = [model.measure(images) for model in models]
    times = median_ms(models, images)
    names = [tap.name for tap in cards[0].taps]
    print("| model | " + " | ".join(names) + " | lowest | by domain | ms |")
    print("| --- " * (len(names) + 4) + "|")
    for path, found, took in zip((reference, *others), features, times, strict=True):
        taps = [cosines(features[0][:, part], found[:, part]) for part in cards[0].slices]
        domains = [float(taps[0][domain == number].mean()) for number in np.unique(domain)]
        cells = [f"{tap.mean():.4f}" for tap in taps] + [f"{taps[0].min():.4f}"]
        cells += [" ".join(f"{value:.4f}" for value in domains), f"{took:.2f}"]
        print(f"| {path.parent.name}/{path.name} | " + " | ".join(cells) + " |")


def report_clipping(name: str, images: Images) -> None:
    """Print the share of values that the shipped quantiser clips, and its own cosine."""
    with open_model(name) as model:
        features = model.measure(images)
        quantiser = model.card.quantiser
        if quantiser is None:
            raise SystemExit("the shipped card has no quantiser")
        restored = quantiser.dequantise(quantiser.quantise(features))
        clipped = quantiser.clipped(features)
        for tap, part in zip(model.card.taps, model.card.slices, strict=True):
            kept = cosines(features[:, part], restored[:, part]).mean()
            print(f"{tap.name}: clipped {clipped[part].mean():.6f}, cosine after uint8 {kept:.5f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare int8 encoders with their float32 form.")
    parser.add_argument("reference", type=Path, help="the float32 file")
    parser.add_argument("others", type=Path, nargs="+", help="int8 files")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("AURICLE_DATA", ".")))
    parser.add_argument("--count", type=int, default=200, help="images of each domain")
    parser.add_argument("--name", default="efficientnet_lite0", help="the shipped encoder")
    given = parser.parse_args()
    read = read_images(given.data, given.count)
    compare(given.reference, given.others, given.name, read)
    report_clipping(given.name, read[0])
