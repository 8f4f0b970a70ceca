"""Compare ways of preparing images: time, and accuracy on PACS.

    python scripts/compare_preparations.py                      # times, on a photograph
    python scripts/compare_preparations.py --data DIR --step 1  # accuracy, on pacs_webp65.npz

Every version that a shipped encoder has a card for is compared, and the newest with a bilinear
filter; --name: of another encoder than the default.

PACS has pictures of 227 x 227.  They are enlarged to the camera's height, with their edges repeated
to its width, with the noise of a camera where asked, and encoded again as JPEG of quality 85; no
detail finer than 227 pixels is in them.  Accuracy is that of a ridge classifier of seven classes
over all four domains, in five folds, each picture classified once.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoder import DEFAULT_ENCODER, SHIPPED, Card, Model, load_card, open_model

REPEATS = 40
"""The fastest of so many counts: other work disturbed the slower ones.  Chosen by hand."""
QUALITY = 85
"""A common setting of cameras."""
NOISE = 6.0
"""Standard deviation of the added noise, in levels: a small sensor indoors.  Chosen by hand."""
RIDGE = 0.03
"""Penalty for each picture.  Chosen by hand; the same for every preparation."""
FOLDS = 5
SIZES = ((640, 480), (1920, 1080))

Features = Mapping[str, NDArray[np.uint8]]


def variants(name: str) -> dict[str, Card]:
    """Return the cards of an encoder to compare, by name: the first is the reference."""
    newest = load_card(SHIPPED[name])
    earlier = [load_card(path) for path in sorted(SHIPPED[name].parent.glob("card-*.toml"))]
    named = {f"version {card.preparation.version}, bicubic": card for card in (*earlier, newest)}
    bilinear = replace(newest.preparation, interpolation="bilinear")
    label = f"version {newest.preparation.version}, bilinear"
    return named | {label: replace(newest, preparation=bilinear)}


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Return a frame as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def enlarged(
    picture: Image.Image, size: tuple[int, int], noise: np.random.Generator | None
) -> NDArray[np.uint8]:
    """Return a square picture as a frame of `size` (width, height)."""
    width, height = size
    frame = np.asarray(picture.resize((height, height), Image.Resampling.BICUBIC))
    left = (width - height) // 2
    frame = np.pad(frame, ((0, 0), (left, width - height - left), (0, 0)), mode="edge")
    if noise is not None:
        noisy = frame + noise.normal(0, NOISE, frame.shape)
        frame = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(frame)


def show_times(encoder: str) -> None:
    """Print the processor time of preparing and of encoding a photograph, by variant."""
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("china.jpg"))
    frames = [np.asarray(photo.resize(size, Image.Resampling.BICUBIC)) for size in SIZES]
    payloads: dict[str, object] = {}
    for (_, height), frame in zip(SIZES, frames, strict=True):
        payloads |= {f"{height}p JPEG": jpeg(frame), f"{height}p frame": frame}
    calls: dict[tuple[str, str, str], Callable[[], object]] = {}
    for name, card in variants(encoder).items():
        model = open_model(card)
        for what, payload in payloads.items():
            calls[what, name, "prepare"] = partial(model._prepare, payload)  # noqa: SLF001
            calls[what, name, "encode"] = partial(model.encode, payload)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(REPEATS):
        for key, call in calls.items():
            begun = time.process_time()
            call()
            best[key] = min(best[key], time.process_time() - begun)
    print("| payload | preparation | prepare, ms | encode in all, ms |\n| --- | --- | --- | --- |")
    for what in payloads:
        for name in variants(encoder):
            taken = (best[what, name, "prepare"], best[what, name, "encode"])
            print(f"| {what} | {name} | {taken[0] * 1e3:.2f} | {taken[1] * 1e3:.2f} |")


def pictures(path: Path, step: int) -> Iterator[Image.Image]:
    """Yield every `step`-th picture of PACS."""
    stored = np.load(path)
    data, ends = stored["blob"], stored["offsets"]
    for at in range(0, len(ends) - 1, step):
        file = io.BytesIO(data[ends[at] : ends[at + 1]].tobytes())
        yield Image.open(file).convert("RGB")


def features(path: Path, step: int, kind: str, encoder: str) -> Features:
    """Encode the pictures as `kind`: '480p JPEG', '1080p frame', with ', noisy' if so."""
    models: dict[str, Model] = {name: open_model(card) for name, card in variants(encoder).items()}
    size = SIZES[0] if kind.startswith("480p") else SIZES[1]
    noise = np.random.default_rng(5) if kind.endswith("noisy") else None
    rows: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in models}
    for picture in pictures(path, step):
        frame = enlarged(picture, size, noise)
        payload: object = jpeg(frame) if "JPEG" in kind else frame
        for name, model in models.items():
            rows[name].append(model.encode(payload).values)
    return {name: np.array(found) for name, found in rows.items()}


def classified(values: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pictures a ridge classifier gets right, each while it is held out."""
    fold = np.random.default_rng(1).permutation(len(labels)) % FOLDS
    right = np.zeros(len(labels), bool)
    targets = np.eye(int(labels.max()) + 1)[labels]
    for held in range(FOLDS):
        used = values[fold != held].astype(np.float32)
        mean, spread = used.mean(axis=0), used.std(axis=0) + 1e-3
        scaled, wanted = (used - mean) / spread, targets[fold != held]
        gram = scaled.T @ scaled + RIDGE * len(used) * np.eye(used.shape[1])
        weights = np.linalg.solve(gram, scaled.T @ (wanted - wanted.mean(axis=0)))
        scores = (values[fold == held] - mean) / spread @ weights + wanted.mean(axis=0)
        right[fold == held] = scores.argmax(axis=1) == labels[fold == held]
    return right


def show_accuracy(path: Path, step: int, kind: str, encoder: str) -> None:
    """Print each variant's accuracy, and its difference from the first's with standard error."""
    labels = np.load(path)["label"][::step].astype(np.int64)
    found = features(path, step, kind, encoder)
    right = {name: classified(rows, labels) for name, rows in found.items()}
    reference = next(iter(right.values())).astype(int)
    for name, marks in right.items():
        change = marks.astype(int) - reference
        error = change.std() / len(change) ** 0.5
        print(
            f"| {kind}, {len(labels)} pictures | {name} | {100 * marks.mean():.2f} % | "
            f"{100 * change.mean():+.2f} ± {100 * error:.2f} |",
            flush=True,
        )


def main() -> None:
    """Parse the arguments, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--step", type=int, default=9)
    parser.add_argument("--kind", default="480p JPEG")
    parser.add_argument("--name", choices=SHIPPED, default=DEFAULT_ENCODER)
    given = parser.parse_args()
    if given.data is None:
        show_times(given.name)
    else:
        show_accuracy(given.data / "pacs_webp65.npz", given.step, given.kind, given.name)


if __name__ == "__main__":
    main()
