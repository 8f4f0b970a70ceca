"""The model card: everything that decides which uint8 features a measurement gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from .checks import check_card
from .errors import CardError
from .quantiser import Quantiser

Kind = Literal["image", "window", "vector"]
IMAGE_VERSION = 3
"""Version of the preparation of images in new cards; versions 1 and 2 serve the cards that have
them."""


@dataclass(frozen=True, slots=True)
class Input:
    """The input of the ONNX graph.

    shape: one number per axis, -1 for any size.  layout: one letter per axis: N batch, then H W C
    (image), L C (window: length, channels) or V (vector), and 1 for an axis of size one."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = "NCHW"

    def size(self, axis: str) -> int:
        """Return the size of an axis by its letter: -1 for any, 1 if the layout lacks the axis."""
        return self.shape[self.layout.index(axis)] if axis in self.layout else 1


@dataclass(frozen=True, slots=True)
class Tap:
    """One output of the graph.

    axis: the axis that holds its `width` features.  All other axes except the batch are averaged,
    so that feature maps [b, width, h, w] become [b, width]."""

    name: str
    output: str
    width: int
    axis: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """The preprocessing of a measurement.

    All kinds: `(value - mean) / scale`, per channel or with one number for all.  Images, in this
    order: `colour`, `resize` [height, width] (fit 'cover' keeps the aspect ratio and fills the
    area, 'stretch' does not), and a centred `crop` [height, width].  Windows: `length` and `step`
    in samples.  version: of how images are decoded and scaled, 1 to IMAGE_VERSION; features of
    different versions do not mix."""

    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    colour: str = "RGB"
    resize: tuple[int, int] | None = None
    fit: str = "cover"
    crop: tuple[int, int] | None = None
    interpolation: str = "bicubic"
    length: int | None = None
    step: int | None = None
    version: int = 1

    def __post_init__(self) -> None:
        # 127 and 127.0 are the same preparation and must give the same fingerprint.
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))

    def keys(self) -> dict[str, object]:
        """Return the keys that a card file and its fingerprint hold: `version` only from 2 on, so
        that cards from before it existed keep their fingerprints."""
        held = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.version == 1:
            del held["version"]
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A checked description of one frozen encoder.  Raises CardError if it is inconsistent.

    file: the ONNX file relative to the card's folder, None for ready-made vectors.  sha256: digest
    of the model file (and of its external data, see `model_digest`), empty without a file.
    folder: the folder that the card was read from.  notes: guesses made when the card was written.
    `name`, `licence`, `file`, `folder` and `notes` do not change the fingerprint."""

    name: str
    kind: Kind
    file: str | None
    sha256: str
    licence: str
    input: Input
    preparation: Preparation
    taps: tuple[Tap, ...]
    quantiser: Quantiser | None = None
    notes: tuple[str, ...] = ()
    folder: str | None = field(default=None, compare=False)
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_card(self)
        object.__setattr__(self, "_fingerprint", _digest(self))

    @property
    def width(self) -> int:
        """The number of features: the sum of the taps' widths."""
        return sum(tap.width for tap in self.taps)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The columns of each tap, in the order of `taps`."""
        ends = [0]
        for tap in self.taps:
            ends.append(ends[-1] + tap.width)
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of everything that decides the uint8 features: model digest, kind, input,
        preparation, taps and quantiser.  Equal fingerprints mean comparable features."""
        return self._fingerprint


def vector_card(
    width: int,
    name: str = "vector",
    quantiser: Quantiser | None = None,
    taps: Mapping[str, int] | None = None,
) -> Card:
    """Return a card for ready-made feature vectors of `width` numbers: no ONNX file, no runtime.

    taps: name -> width of consecutive parts from different layers or sensors; one tap called
    'features' by default.  Raises CardError if their widths do not add up."""
    parts = {"features": width} if taps is None else dict(taps)
    if sum(parts.values()) != width:
        raise CardError(
            f"making a vector card: expected taps whose widths add up to {width}, found "
            f"{sum(parts.values())}",
            "make the widths of the taps add up to the width of the vector",
        )
    return Card(
        name=name,
        kind="vector",
        file=None,
        sha256="",
        licence="none",
        input=Input("vector", (-1, width), "float32", "NV"),
        preparation=Preparation(),
        taps=tuple(Tap(tap, tap, part) for tap, part in parts.items()),
        quantiser=quantiser,
    )


def _digest(card: Card) -> str:
    prepared, given = card.preparation, card.input
    content = {
        "sha256": card.sha256,
        "kind": card.kind,
        "input": [given.name, list(given.shape), given.dtype, given.layout],
        "preparation": prepared.keys(),
        "taps": [[tap.name, tap.output, tap.width, tap.axis] for tap in card.taps],
        "quantiser": None
        if card.quantiser is None
        else [
            card.quantiser.scale.astype("<f4").tobytes().hex(),
            card.quantiser.zero.astype("<i4").tobytes().hex(),
        ],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
