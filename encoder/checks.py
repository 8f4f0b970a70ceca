"""The rules that a card must satisfy before a model is loaded, each with a hint."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .errors import CardError

if TYPE_CHECKING:
    from .card import Card

# The axes of one measurement in the order of the payload, per kind.
NATURAL_LAYOUTS: Mapping[str, str] = {"image": "HWC", "window": "LC", "vector": "V"}
DTYPES = ("float32", "float16", "float64", "uint8", "int8")
COLOURS: Mapping[str, int] = {"RGB": 3, "BGR": 3, "L": 1}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
FITS = ("cover", "stretch")
VERSIONS = (1, 2, 3)  # of the preparation of images, see preparation.py
# Encoders for edge devices take images far below 16,384 pixels a side.
SIDE_MAX = 1 << 14
# Features, samples of a window, or sizes of an axis: bounds the allocation for a damaged card.
WIDTH_MAX = 1 << 20
# ONNX graphs for edge devices have 2 to 5 axes; numpy allows more, so any small bound will do.
AXIS_MAX = 7
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_card(card: Card) -> None:
    """Raise CardError with the card's name, the fault and a hint if `card` is inconsistent."""
    _check_identity(card)
    _check_input(card)
    _check_preparation(card)
    _check_taps(card)


def require(condition: object, card_name: str, found: str, hint: str) -> None:
    """Raise CardError about the card called `card_name` unless `condition` holds."""
    if not condition:
        raise CardError(f"card {card_name!r}: {found}", hint)


def _check_identity(card: Card) -> None:
    texts = (card.name, card.licence, *card.notes)
    require(
        bool(card.name) and all(text.isprintable() for text in texts),
        card.name,
        "name, licence and notes must be printable text and the name not empty",
        "give the card a plain name",
    )
    require(
        card.kind in NATURAL_LAYOUTS,
        card.name,
        f"kind {card.kind!r} is unknown",
        f"kind is one of {', '.join(NATURAL_LAYOUTS)}",
    )
    if card.file is None:
        require(
            card.kind == "vector" and not card.sha256,
            card.name,
            "only a card of kind 'vector' without a sha256 may omit the model file",
            "name the ONNX file in `file`",
        )
        return
    require(
        is_inside(card.file),
        card.name,
        f"file {card.file!r} leaves the folder of the card",
        "put the model into the card's folder and name it by a relative path",
    )
    require(
        _DIGEST.fullmatch(card.sha256) is not None,
        card.name,
        f"sha256 {card.sha256!r} is not 64 lower-case hex digits",
        "write the card again with `auricle encoder card MODEL.onnx`",
    )


def is_inside(path: str) -> bool:
    """Say whether the relative `path` as written stays inside its folder."""
    parts = PurePosixPath(path.replace("\\", "/"))
    return bool(parts.parts) and not (
        parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0] or "\0" in path
    )


def _check_input(card: Card) -> None:
    given = card.input
    letters = [letter for letter in given.layout if letter != "1"]
    natural = NATURAL_LAYOUTS[card.kind]
    core = natural.rstrip("C")
    require(
        len(set(letters)) == len(letters)
        and given.layout.startswith("N")
        and set(core) <= set(letters) <= {"N", *natural},
        card.name,
        f"layout {given.layout!r} does not fit kind {card.kind!r}",
        f"use N first, then each letter of {natural!r} once (C may be left out), and 1s",
    )
    require(
        len(given.shape) == len(given.layout)
        and all(size == -1 or 1 <= size <= WIDTH_MAX for size in given.shape)
        and all(s in (1, -1) for s, a in zip(given.shape, given.layout, strict=True) if a == "1"),
        card.name,
        f"input shape {list(given.shape)} does not fit layout {given.layout!r}",
        "give one size per letter, -1 for any",
    )
    require(
        given.dtype in DTYPES,
        card.name,
        f"input dtype {given.dtype!r} is not supported",
        f"use one of {', '.join(DTYPES)}",
    )
    require(bool(given.name), card.name, "the input has no name", "name the graph's input")


def _check_preparation(card: Card) -> None:
    prepared = card.preparation
    channels = {"image": COLOURS.get(prepared.colour, 0), "window": card.input.size("C")}.get(
        card.kind, card.input.size("V")
    )
    for what, numbers in (("mean", prepared.mean), ("scale", prepared.scale)):
        require(
            len(numbers) in (1, channels) and all(map(math.isfinite, numbers)),
            card.name,
            f"{what} {list(numbers)} must be finite, one number or {channels}",
            "give one number per channel",
        )
    require(0.0 not in prepared.scale, card.name, "a scale is zero", "give the divisor, 1 for none")
    versions = VERSIONS if card.kind == "image" else (1,)
    require(
        prepared.version in versions,
        card.name,
        f"version {prepared.version} of the preparation is unknown for kind {card.kind!r}",
        f"version is one of {', '.join(map(str, versions))}; a newer one needs a newer auricle",
    )
    if card.kind == "image":
        _check_image(card)
    if card.kind == "window":
        _check_window(card)


def _check_image(card: Card) -> None:
    prepared, given = card.preparation, card.input
    require(
        prepared.colour in COLOURS
        and prepared.fit in FITS
        and prepared.interpolation in INTERPOLATIONS,
        card.name,
        f"colour {prepared.colour!r}, fit {prepared.fit!r} or interpolation "
        f"{prepared.interpolation!r} is unknown",
        f"colour: {', '.join(COLOURS)}; fit: {', '.join(FITS)}; interpolation: "
        f"{', '.join(INTERPOLATIONS)}",
    )
    require(
        given.size("C") in (-1, COLOURS[prepared.colour]),
        card.name,
        f"the input takes {given.size('C')} channels but colour {prepared.colour!r} gives "
        f"{COLOURS[prepared.colour]}",
        "use colour 'L' for one channel, 'RGB' or 'BGR' for three",
    )
    size = prepared.crop or prepared.resize
    require(
        size is not None
        and all(1 <= s <= SIDE_MAX for s in (*size, *(prepared.resize or ())))
        and all(
            wanted in (-1, got) for wanted, got in zip(map(given.size, "HW"), size, strict=True)
        ),
        card.name,
        f"the preparation gives images of {size} pixels (height, width), the input takes "
        f"{(given.size('H'), given.size('W'))}",
        "set crop, or resize without a crop, to the input's height and width",
    )
    if prepared.crop and prepared.resize:
        require(
            all(c <= r for c, r in zip(prepared.crop, prepared.resize, strict=True)),
            card.name,
            f"crop {prepared.crop} is larger than resize {prepared.resize}",
            "crop at most the size after resize",
        )


def _check_window(card: Card) -> None:
    prepared, given = card.preparation, card.input
    require(
        prepared.length is not None
        and 1 <= prepared.length <= WIDTH_MAX
        and given.size("L") in (-1, prepared.length),
        card.name,
        f"window length {prepared.length} does not fit the input's length {given.size('L')}",
        "set preparation.length to the number of samples that the graph takes",
    )
    require(
        prepared.step is None or 1 <= prepared.step <= WIDTH_MAX,
        card.name,
        f"window step {prepared.step} is not a positive number of samples",
        "set preparation.step to the samples between two windows",
    )
    require(
        given.size("C") > 0,
        card.name,
        "the number of channels is open",
        "give the number of channels in input.shape",
    )


def _check_taps(card: Card) -> None:
    names = [tap.name for tap in card.taps]
    require(
        bool(names) and len(set(names)) == len(names) and all(n and n.isprintable() for n in names),
        card.name,
        f"taps {names} must be at least one, with different printable names",
        "give every tap a name of its own",
    )
    for tap in card.taps:
        require(
            1 <= tap.width <= WIDTH_MAX and 1 <= tap.axis <= AXIS_MAX and bool(tap.output),
            card.name,
            f"tap {tap.name!r} has width {tap.width}, axis {tap.axis}, output {tap.output!r}",
            "give its output, its width, and the axis that holds the features (1 or more)",
        )
    require(
        card.width <= WIDTH_MAX,
        card.name,
        f"the taps hold {card.width} features",
        f"use taps of at most {WIDTH_MAX} features in all",
    )
    if card.file is None:
        require(
            card.input.size("V") == card.width,
            card.name,
            f"vectors of {card.input.size('V')} numbers but taps of {card.width}",
            "make the widths of the taps add up to the width of the vector",
        )
    if card.quantiser is not None:
        require(
            card.quantiser.width == card.width,
            card.name,
            f"the quantiser holds {card.quantiser.width} columns, the taps {card.width}",
            "calibrate again after changing the taps",
        )
