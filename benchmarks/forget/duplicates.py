"""Near-duplicate tombstones: changed copies that are refused, and other facts that are.

Features of the shipped image encoder (PACS, CIFAR-10, ImageNet samples) and raw digits.  A changed
copy has cosine 0.97 with what was forgotten, around the mean of the facts that stay: noise of equal
length in a random direction.  The size and the limit of a sketch were chosen on PACS; the other
sets confirm them.  Real changes of pictures (compression, brightness, crop, size) are encoded again
by the shipped encoder.
"""

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

import encoder
from edge import Selector, Store
from edge.core import (
    FALSE_REFUSALS_MAX,
    NEAR_MAX,
    EraseFacts,
    Fact,
    Receipt,
    StoreFacts,
    false_refusals,
    sketch,
    spreads,
)

from ..report import BenchmarkReport, BenchmarkRow, show

COSINE: Final = 0.97
"""Asked for by the users of the option."""

TOMBS_MAX: Final = 10_000
"""Sketches that a file keeps."""

TIMED: Final = 200
"""Checks that are timed: enough for a stable median."""

PICTURES: Final = 120
"""Pictures that are changed and encoded again; quick: a quarter of them."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, slots=True)
class DuplicateFigures:
    """What was measured on one set.  refused, false: shares; check_us: median of one check."""

    refused: float
    false: float
    check_us: float


def run(data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Measure on every set of the folder."""
    assert data is not None, "the features are in the folder of data files: give --data"
    rows: list[BenchmarkRow] = []
    found: dict[str, DuplicateFigures] = {}
    notes: list[str] = []
    for name, features, tombs in _sets(data):
        one = found[name] = measure(features, tombs)
        share = false_refusals(_shuffled(features, 1)[:2_048])
        enabled = share <= FALSE_REFUSALS_MAX
        figures = {
            "tombstones": tombs,
            "near duplicates refused": one.refused,
            "false refusals": one.false,
            "microseconds per check": one.check_us,
            "false refusals predicted at 10,000": share,
        }
        rows += [BenchmarkRow(name, metric, value) for metric, value in figures.items()]
        if not enabled:
            notes.append(f"{name}: near is refused, since different facts are too similar")
    for change, (alike, refused) in _real_changes(data, PICTURES // 4 if quick else PICTURES):
        rows.append(BenchmarkRow(change, "copies of cosine 0.97 or more", alike))
        rows.append(BenchmarkRow(change, "near duplicates refused", refused))
    judged = [name for name in found if name != "digits"]
    summary = {
        "near_duplicates_refused": min(found[name].refused for name in judged),
        "false_refusals": max(found[name].false for name in judged),
    }
    return BenchmarkReport("near duplicates", tuple(rows), summary, tuple(notes))


def measure(features: Bytes, tombs: int) -> DuplicateFigures:
    """Forget `tombs` facts of a real file and bring changed copies, and the other facts, to it."""
    rows = _shuffled(features, 0)
    gone, others = rows[:tombs], rows[tombs:]
    scale, zero = np.ones(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.int32)
    card = encoder.vector_card(rows.shape[1], "features", encoder.Quantiser(scale, zero))
    with (
        tempfile.TemporaryDirectory(prefix="auricle-forget-") as folder,
        Store.create(Path(folder) / "knowledge.db", card) as store,
    ):
        facts = [_fact(number, row) for number, row in enumerate(rows)]
        store.apply(StoreFacts(facts=tuple(facts)))
        store.apply(EraseFacts(tuple(fact.id for fact in facts[:tombs]), _receipt(tombs)))
        copies = changed_copies(gone, others)
        refused = np.mean([store.resembles_forgotten(row.tobytes()) for row in copies])
        false = np.mean([store.resembles_forgotten(row.tobytes()) for row in others])
        times = []
        for row in others[:TIMED]:
            started = time.perf_counter()
            store.resembles_forgotten(row.tobytes())
            times.append(time.perf_counter() - started)
    return DuplicateFigures(float(refused), float(false), float(np.median(times)) * 1e6)


def changed_copies(gone: Bytes, others: Bytes) -> Bytes:
    """Return a copy of each row whose root has cosine `COSINE` with that of the row, around the
    mean root of the others, and as much length; as features again, so that rounding and clipping
    count."""
    mean = np.sqrt(others.astype(np.float32)).mean(axis=0)
    apart = np.sqrt(gone.astype(np.float32)) - mean
    noise = np.random.default_rng(2).standard_normal(apart.shape).astype(np.float32)
    lengths = np.square(apart).sum(axis=1, keepdims=True)
    noise -= (noise * apart).sum(axis=1, keepdims=True) / lengths * apart
    noise *= np.sqrt(lengths / np.square(noise).sum(axis=1, keepdims=True))
    roots = mean + COSINE * apart + np.float32((1 - COSINE**2) ** 0.5) * noise
    bounded = np.clip(np.rint(np.square(np.maximum(roots, 0))), 0, 255)
    made: NDArray[np.uint8] = bounded.astype(np.uint8)
    return made


def _sets(data: Path) -> Iterator[tuple[str, Bytes, int]]:
    """Yield name, features and number of tombstones of each set."""
    pacs, cifar, imagenet = (
        np.load(data / f"{name}_efficientnet_lite0.npz")["features"].astype(np.float32)
        for name in ("pacs", "cifar10_subset", "ood_imagenet_sample")
    )
    whole = (slice(0, pacs.shape[1]),)
    quantiser = encoder.freeze_quantiser(pacs[::10], whole)
    levels = [quantiser.quantise(one) for one in (pacs, cifar, imagenet)]
    yield "pacs", levels[0], len(pacs) // 2
    yield "cifar", levels[1], len(cifar) // 2
    yield "pacs, cifar, imagenet", np.concatenate(levels), TOMBS_MAX
    digits = load_digits().data.astype(np.float32)
    spans = (slice(0, digits.shape[1]),)
    yield "digits", encoder.freeze_quantiser(digits, spans).quantise(digits), len(digits) // 2


def _real_changes(data: Path, count: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield for each change of pictures the share of copies of at least `COSINE`, and the share of
    these that is refused."""
    held = np.load(data / "pacs_webp65.npz")
    chosen = np.random.default_rng(3).choice(len(held["label"]), count * 2, replace=False)
    ends, blob = held["offsets"], held["blob"]
    files = (io.BytesIO(blob[ends[at] : ends[at + 1]].tobytes()) for at in chosen)
    pictures = [Image.open(one).convert("RGB") for one in files]
    with encoder.open_model(encoder.shipped_card("efficientnet_lite0")) as model:

        def encode(change: Change, some: list[Image.Image]) -> Bytes:
            return np.stack([model.encode(np.asarray(change(one))).values for one in some])

        plain = encode(lambda one: one, pictures)
        gone, staying = plain[:count], plain[count:]
        for name, change in CHANGES.items():
            yield name, _refused_copies(gone, staying, encode(change, pictures[:count]))


def _refused_copies(gone: Bytes, staying: Bytes, copies: Bytes) -> tuple[float, float]:

    mean = np.sqrt(staying.astype(np.float32)).mean(axis=0)
    one, other = (np.sqrt(rows.astype(np.float32)) - mean for rows in (gone, copies))
    cosines = (
        (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    )
    away = np.square(sketch(b"k", gone) - sketch(b"k", copies)).mean(axis=1)
    near = away <= NEAR_MAX * spreads(gone, staying)
    alike = cosines >= COSINE
    return float(alike.mean()), float(near[alike].mean()) if alike.any() else float("nan")


def _compressed(picture: Image.Image) -> Image.Image:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=70)
    return Image.open(written).convert("RGB")


def _cropped(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    return picture.crop((wide // 50, high // 50, wide - wide // 50, high - high // 50))


CHANGES: Final[dict[str, Change]] = {
    "JPEG quality 70": _compressed,
    "brightness + 5 %": lambda one: ImageEnhance.Brightness(one).enhance(1.05),
    "crop 2 % each side": _cropped,
    "size 90 %": lambda one: one.resize((one.width * 9 // 10, one.height * 9 // 10)),
}
"""Changes of pictures, by name."""


def _shuffled(features: Bytes, seed: int) -> Bytes:
    return features[np.random.default_rng(seed).permutation(len(features))]


def _fact(number: int, row: Bytes) -> Fact:
    return Fact(
        id=f"f{number}",
        stream="s",
        domain="d",
        label="l",
        captured_at_ns=0,
        features=row.tobytes(),
    )


def _receipt(facts: int) -> Receipt:
    return Receipt(
        request_id="r",
        requested_at_ns=0,
        selector=Selector(label="l"),
        facts_forgotten=facts,
        concepts_touched=(),
        digest_before="",
        digest_after="",
        rebuilt=(),
        evicted_before=0,
        not_covered=(),
        duplicates="near",
    )


if __name__ == "__main__":
    print(show(run(Path(os.environ["AURICLE_DATA"]))))
