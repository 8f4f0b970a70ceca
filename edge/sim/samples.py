"""Sample sources: the shipped digits, folders of images or sounds, npz and csv files."""

import io
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import ConfigError
from .digits import load_mnist, load_optdigits
from .example_samples import read_example_samples
from .sample_set import SampleSet, select_samples
from .scenarios import DATA_VARIABLE, SHIPPED_SOURCES, DomainSpec

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
BLOB_KEYS = ("blob", "offsets")


def read_samples(
    domain: DomainSpec, *, flat: bool = False, card: encoder.Card | None = None
) -> SampleSet:
    """Read the rows of a domain's source that `where` and `classes` select.

    flat: arrays of pixels become vectors, for the encoder "vector".  card: of an encoder of sounds,
    for which a folder holds WAV files.  Raises ConfigError if the
    source is missing or differs from the domain's description.
    """
    if card is not None and card.kind == "window" and Path(domain.source).is_dir():
        return _selected(read_example_samples(domain, card), domain)
    samples = _read(msgspec.json.encode(domain))
    return _flatten(samples) if flat and not samples.taps else samples


@lru_cache(maxsize=16)
def _read(coded: bytes) -> SampleSet:
    """Read a source once per process: seeds and variants share it."""
    domain = msgspec.json.decode(coded, type=DomainSpec)
    if domain.source in SHIPPED_SOURCES:
        samples = _digits(domain.source)
    else:
        path = Path(domain.source)
        if path.is_dir():
            samples = _folder(path)
        elif path.suffix == ".npz" and path.is_file():
            samples = _archive(path, domain)
        elif path.suffix == ".csv" and path.is_file():
            samples = read_example_samples(domain)
        else:
            raise ConfigError(
                f"reading samples from {path}: expected a folder of class folders, an .npz or a"
                " .csv file, found none",
                "check the path; relative paths start at the scenario's folder, then at the folder"
                f" in {DATA_VARIABLE}",
            )
    return _selected(samples, domain)


def _selected(samples: SampleSet, domain: DomainSpec) -> SampleSet:
    """Return the samples of the classes that a domain keeps; raises ConfigError without any."""
    if not samples.labels:
        raise ConfigError(
            f"reading samples from {domain.source}: expected samples, found none",
            f"put images ({', '.join(SUFFIXES)}) into a folder for each class, or check `where`",
        )
    kept = [
        row
        for row, label in enumerate(samples.labels)
        if not domain.classes or label in domain.classes
    ]
    missing = sorted(set(domain.classes) - set(samples.labels))
    if missing or not kept:
        raise ConfigError(
            f"reading samples from {domain.source}: no sample of class {missing or 'any'}",
            f"known classes: {', '.join(sorted(set(samples.labels)))}",
        )
    return select_samples(samples, kept)


def _flatten(samples: SampleSet) -> SampleSet:
    first = samples.read(0)
    if not isinstance(first, np.ndarray):
        raise ConfigError(
            'reading samples: the encoder is "vector", the samples are image files',
            "choose a model that takes images, or use features",
        )
    return SampleSet(
        samples.labels,
        lambda row: samples.read(row).ravel().astype(np.float32),
        (("pixels", first.size),),
    )


def _digits(source: str) -> SampleSet:
    digits = load_mnist() if source == "mnist" else load_optdigits()
    return SampleSet(tuple(str(label) for label in digits.labels), digits.images.__getitem__)


def _folder(path: Path) -> SampleSet:
    files = [
        (file.parent.name, file)
        for file in sorted(path.glob("*/*"))
        if file.suffix.lower() in SUFFIXES
    ]
    return SampleSet(
        tuple(label for label, _ in files),
        lambda row: files[row][1].read_bytes(),
        name=lambda row: str(files[row][1]),
    )


def _archive(path: Path, domain: DomainSpec) -> SampleSet:
    try:
        with np.load(path, allow_pickle=False) as held:
            labels = _named(held[domain.labels], held[domain.names] if domain.names else None)
            rows = np.flatnonzero(
                np.logical_and.reduce(
                    [np.ones(len(labels), bool), *(held[k] == v for k, v in domain.where.items())]
                )
            )
            data = domain.data or _default_data(held.files)
            arrays = {key: held[key] for key in data}
    except (OSError, KeyError, ValueError, IndexError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"reading samples from {path}: {error}",
            "see docs/howto/simulate.md for the keys an npz file may hold: `data`, `labels`,"
            " `names`, `where`",
        ) from error
    whole = _encoded(arrays, labels) if tuple(arrays) == BLOB_KEYS else _plain(arrays, labels)
    if any(len(array) != len(labels) for key, array in arrays.items() if key not in BLOB_KEYS):
        raise ConfigError(
            f"reading samples from {path}: {tuple(arrays)} and {domain.labels!r} differ in length",
            "store one label per row",
        )
    return select_samples(whole, rows.tolist())


def _default_data(files: list[str]) -> tuple[str, ...]:
    if set(BLOB_KEYS) <= set(files):
        return BLOB_KEYS
    return ("images",) if "images" in files else ("features",)


def _named(labels: NDArray[Any], names: NDArray[Any] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(str(label) for label in labels.tolist())
    return tuple(str(names[int(label)]) for label in labels)


def _encoded(arrays: dict[str, NDArray[Any]], labels: tuple[str, ...]) -> SampleSet:
    blob, offsets = (arrays[key] for key in BLOB_KEYS)
    return SampleSet(labels, lambda row: blob[offsets[row] : offsets[row + 1]].tobytes())


def _plain(arrays: dict[str, NDArray[Any]], labels: tuple[str, ...]) -> SampleSet:
    first = next(iter(arrays.values()))
    if first.dtype == np.uint8 and first.ndim >= 3:
        return SampleSet(labels, first.__getitem__)
    parts = [array.reshape(len(array), -1) for array in arrays.values()]
    joined = np.concatenate(parts, axis=1).astype(np.float32)
    taps = tuple((key, part.shape[1]) for key, part in zip(arrays, parts, strict=True))
    return SampleSet(labels, joined.__getitem__, taps)


def decode_image(payload: Any) -> NDArray[np.uint8]:
    """Return the pixels, uint8 [h, w] or [h, w, 3], of an image payload."""
    if isinstance(payload, np.ndarray):
        return payload
    from PIL import Image

    with Image.open(io.BytesIO(payload)) as image:
        return np.asarray(image.convert("RGB"))
