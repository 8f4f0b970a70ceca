"""The pictures of PACS through the shipped encoder, as they are and corrupted; encoded once and
cached, since encoding all of them takes some ten minutes."""

import io
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import encoder
from edge.sim import SEVERITIES, cache_folder, corrupt_values

PICTURES: Final = "pacs_webp65.npz"
"""All 9,991 pictures of PACS, 227 x 227."""
MODEL: Final = encoder.DEFAULT_ENCODER
"""The encoder of new homes."""
KINDS: Final = ("noise", "blur", "brightness", "contrast", "jpeg")
"""The corruptions."""
LEVELS: Final = (3, 5)
"""Their severities."""
CORRUPTED: Final = (0, 1)
"""Domains that are corrupted: photo and art."""
ALL_CORRUPTED: Final = tuple(
    (domain, kind, level) for domain in CORRUPTED for kind in KINDS for level in LEVELS
)
"""Every corruption: domain, kind and severity."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EncodedPictures:
    """uint8 features [n, width] with labels and domains, int64 [n].  corrupted: features of all
    pictures of a domain, in their order, by (domain, kind, severity).  spans: columns of taps."""

    features: Bytes = field(repr=False)
    label: NDArray[np.int64] = field(repr=False)
    domain: NDArray[np.int64] = field(repr=False)
    domains: tuple[str, ...]
    corrupted: dict[tuple[int, str, int], Bytes] = field(repr=False)
    spans: tuple[tuple[int, int], ...]


class PictureFile:
    """The pictures of the file, decoded one by one."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as held:
            self._blob, self._offsets = held["blob"], held["offsets"]
            self.label = held["label"].astype(np.int64)
            self.domain = held["domain"].astype(np.int64)
            self.domains = tuple(str(one) for one in held["domains"])

    def pixels(self, row: int) -> Bytes:
        """Return a picture: uint8 [h, w, 3]."""
        raw = self._blob[self._offsets[row] : self._offsets[row + 1]].tobytes()
        with Image.open(io.BytesIO(raw)) as image:
            return np.asarray(image.convert("RGB"))


def encode_pictures(
    data: Path, corrupted: Iterable[tuple[int, str, int]] = ALL_CORRUPTED
) -> EncodedPictures:
    """Read the features of all pictures, and of corrupted ones, from the cache, and encode those
    that are not there."""
    pictures = PictureFile(data / PICTURES)
    card = encoder.shipped_card(MODEL)
    cache = cache_folder() / f"adapt-{card.fingerprint[:16]}"
    model: Any = None

    def part(name: str, rows: NDArray[np.intp], change: Callable[[Bytes, int], Bytes]) -> Bytes:
        nonlocal model
        path = cache / f"{name}.npz"
        known = read_cached(path, len(rows), card.width)
        if known is not None:
            return known
        model = model or encoder.open_model(card)
        print(f"encoding {len(rows)} pictures, {name}", file=sys.stderr, flush=True)
        made = np.stack([model.encode(change(pictures.pixels(r), r)).values for r in rows.tolist()])
        write_cached(path, made)
        return np.asarray(made, np.uint8)

    whole = part("clean", np.arange(len(pictures.label)), lambda pixels, _: pixels)
    found = {
        (domain, kind, level): part(
            f"{pictures.domains[domain]}-{kind}-{level}",
            np.flatnonzero(pictures.domain == domain),
            _corrupter(kind, level),
        )
        for domain, kind, level in corrupted
    }
    return EncodedPictures(
        features=whole,
        label=pictures.label,
        domain=pictures.domain,
        domains=pictures.domains,
        corrupted=found,
        spans=tuple((span.start, span.stop) for span in card.slices),
    )


def _corrupter(kind: str, level: int) -> Callable[[Bytes, int], Bytes]:
    """Return a function that corrupts the picture of a row, each with noise of its own."""
    severity = SEVERITIES[kind][level]

    def change(pixels: Bytes, row: int) -> Bytes:
        random = np.random.default_rng([row, zlib.crc32(kind.encode()), level])
        return np.asarray(corrupt_values(pixels, kind, severity, np.array(255.0), random), np.uint8)

    return change


def read_cached(path: Path, count: int, width: int) -> Bytes | None:
    """Return cached features, or None where the file is missing, damaged or of another shape."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            found = held["features"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    fits = found.dtype == np.uint8 and found.shape == (count, width)
    return np.asarray(found, np.uint8) if fits else None


def write_cached(path: Path, features: Bytes) -> None:
    """Write features to a file of the cache, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(partial, features=features)
    partial.replace(path)
