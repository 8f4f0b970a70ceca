"""ONNX files before a runtime loads them: the digest, and the external files that they name.

Parses the protobuf fields that can name a file on disk, without the onnx package.  The field
numbers are those of onnx.proto (onnx/onnx, IR version 3 and later)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from .checks import is_inside
from .errors import ModelError

DEPTH_MAX = 64  # subgraphs nest a few levels deep; bounds the recursion on hostile files
# 2 GiB is protobuf's own limit for one message.
MODEL_BYTES_MAX = (1 << 31) - 1

# message -> field number -> message inside.  'entry' is StringStringEntryProto of external_data.
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


def read_model(path: Path) -> bytes:
    """Read the model file.  Raises ModelError if it is missing, empty or larger than 2 GiB."""
    try:
        size = path.stat().st_size
        if 0 < size <= MODEL_BYTES_MAX:
            return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"reading model {path}: {error.strerror}", "put the model file into its card's folder"
        ) from error
    raise ModelError(
        f"reading model {path}: expected 1 to {MODEL_BYTES_MAX} bytes, found {size}",
        "copy the model again; keep weights beyond 2 GiB as external data",
    )


def digest_of(data: bytes, path: Path) -> str:
    """Return the hex SHA-256 of a model with the file content `data` at `path`.

    With external data: the SHA-256 of the file's digest and, sorted by name, each external file's
    name and digest, so that it also covers external weights.  Raises ModelError like
    `external_files`."""
    digest = hashlib.sha256(data).hexdigest()
    # External data has the key "location".  Parsing takes longer than the digest, so skip it if the
    # key does not occur.  Searched backwards, bytes take less than half the time.
    outside = external_files(data, path) if data.rfind(b"location") >= 0 else {}
    if not outside:
        return digest
    total = hashlib.sha256(digest.encode("ascii"))
    for name, place in outside.items():
        try:
            with place.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(
                f"reading external data {place}: {error.strerror}",
                "copy the model together with its data files",
            ) from error
        total.update(f"\n{name}\0{part}".encode())
    return total.hexdigest()


def model_digest(path: Path) -> str:
    """Return the digest that a card holds as `sha256`, see `digest_of`; reads the whole model."""
    return digest_of(read_model(path), path)


def model_files(path: Path) -> list[Path]:
    """Return the model file and the external data files that it names."""
    return [path, *external_files(read_model(path), path).values()]


def external_files(data: bytes, path: Path) -> dict[str, Path]:
    """Return name -> path of every external data file of the model `data` at `path`, sorted.
    Raises ModelError if one is outside the model's folder (absolute, `..`, or by a symbolic link),
    or if `data` is not a well-formed ONNX file."""
    names = sorted(set(_locations(data, path)))
    folder = path.resolve().parent
    places = {name: folder / name for name in names}
    for name, place in places.items():
        if not is_inside(name) or not place.resolve().is_relative_to(folder):
            raise ModelError(
                f"model {path}: its external data {name!r} lies outside {folder}",
                "do not use this file unless you trust its author; save it again with its data "
                "in the same folder, or inside it",
            )
    return places


def _locations(data: bytes, path: Path) -> Iterator[str]:
    try:
        for entry in _entries(memoryview(data), "model", 0):
            pair = {number: bytes(value) for number, value in _fields(entry)}
            if pair.get(1) != b"location":
                continue
            yield pair.get(2, b"").decode("utf-8")
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"model {path}: expected an ONNX file, found {error}",
            "give a complete .onnx file, not a checkpoint, archive or text",
        ) from error


def _entries(data: memoryview, message: str, depth: int) -> Iterator[memoryview]:
    """Yield every external_data entry inside one message."""
    if depth > DEPTH_MAX:
        raise ValueError(f"messages nested deeper than {DEPTH_MAX}")
    inside = _MESSAGES[message]
    for number, value in _fields(data):
        child = inside.get(number)
        if child == "entry":
            yield value
        elif child is not None:
            yield from _entries(value, child, depth + 1)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (field number, content) of every length-delimited field and skip other wire types.
    Visits each byte once per nesting level."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            length, at = 0, _varint(data, at)[1]
        elif wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}, which ONNX does not use")
        if at + length > len(data):
            raise ValueError("a field that ends beyond the file")
        if wire == 2:
            yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number longer than ten bytes")
