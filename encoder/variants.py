"""Other forms of an encoder: at another resolution, averaged over views of the picture, with some
of its taps only or with their spread, or side by side with a second one.

Each is an ONNX file with its own card and fingerprint; features of different forms do not mix.  The
quantiser is that of the encoders it is made of, so no samples are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .card import Card, Tap
from .card_file import save_card
from .checks import SIDE_MAX
from .errors import CardError, ModelError
from .graph_surgery import cut, joined, parts_of, renamed, with_deviations
from .model import open_model
from .onnx_file import digest_of, read_model
from .onnx_writer import Graph, Node, Value, onnx_around
from .quantiser import Quantiser

CROPS_MAX = 5
"""The corners and the centre, as Krizhevsky et al. 2012 average them (section 4.1: five crops and
their mirror images)."""
# The names of a graph inside a larger one; a slash keeps them apart from the taps' names.
_INNER = "inner/"
# Slice reads from the last column to before the first: ends below any size.
_BEFORE_FIRST = np.iinfo(np.int32).min


def at_side(card: Card, side: int, folder: Path) -> Card:
    """Write to `folder` the encoder of `card` for pictures of `side` x `side` pixels, and return
    its card.

    The network is the same, with fewer or more positions; it must take any size, as convolutions
    and means do.  Cost per picture: about the square of the side.  Raises CardError unless it is an
    encoder of pictures that does."""
    _require_pictures(card)
    _require_side(card, side)
    parts = cut(parts_of(_model_of(card)), [tap.output for tap in card.taps])
    data = onnx_around(parts.data(), _outside(card, (side, side), (), _ranks(card)))
    made = _resized(card, side, side)
    return _written(replace(made, name=f"{card.name}-{side}"), data, folder)


def flipped(card: Card, folder: Path) -> Card:
    """Write to `folder` the encoder that averages the features of a picture and of its mirror
    image, and return its card.  Cost per picture: twice the graph.  Raises CardError as
    `at_side`."""
    _require_pictures(card)
    axis = np.array([card.input.layout.index("W")], np.int32)
    weights: dict[str, NDArray[np.generic]] = {
        "last": np.array([-1], np.int32),
        "before": np.array([_BEFORE_FIRST], np.int32),
        "across": axis,
    }
    mirror = Node("Slice", (card.input.name, "last", "before", "across", "last"), "mirrored")
    both = Node("Concat", (card.input.name, "mirrored"), _inner_input(card), (("axis", 0),))
    data = _averaged(card, (mirror, both), weights, _sizes(card))
    return _written(replace(card, name=f"{card.name}-flipped"), data, folder)


def cropped(card: Card, side: int, count: int, folder: Path) -> Card:
    """Write to `folder` the encoder that averages the features of `count` crops of a picture scaled
    to `side` x `side` pixels, each of the size that `card` takes, and return its card.

    count: 2 to CROPS_MAX: upper left, lower right, upper right, lower left, centre.  Cost per
    picture: `count` times the graph.  Raises CardError for another count, for a side below that of
    the card, and as `at_side`."""
    _require_pictures(card)
    _require_side(card, side)
    height, width = _sizes(card)
    if not 2 <= count <= CROPS_MAX or side < max(height, width):
        raise CardError(
            f"making crops for card {card.name!r}: expected 2 to {CROPS_MAX} crops of a picture of "
            f"at least {max(height, width)} pixels a side, found {count} of {side}",
            "choose another number or a larger side",
        )
    corners = _corners(side - height, side - width)[:count]
    names = [f"crop{number}" for number in range(count)]
    weights: dict[str, NDArray[np.generic]] = {
        "axes": np.array([card.input.layout.index(axis) for axis in "HW"], np.int32)
    }
    nodes = []
    for name, (top, left) in zip(names, corners, strict=True):
        weights[f"{name}/start"] = np.array([top, left], np.int32)
        weights[f"{name}/end"] = np.array([top + height, left + width], np.int32)
        cutting = (card.input.name, f"{name}/start", f"{name}/end", "axes")
        nodes.append(Node("Slice", cutting, name))
    nodes.append(Node("Concat", names, _inner_input(card), (("axis", 0),)))
    data = _averaged(card, nodes, weights, (side, side))
    made = replace(_resized(card, side, side), name=f"{card.name}-{count}-crops")
    return _written(made, data, folder)


def with_taps(card: Card, names: Sequence[str], folder: Path) -> Card:
    """Write to `folder` the encoder with these taps only, in this order, and return its card.

    Layers that none of them needs are left out, so that early taps cost less (early exit).  Raises
    CardError if the card lacks one of the taps, or none is named."""
    _require_graph(card)
    held = {tap.name: tap for tap in card.taps}
    if not names or not set(names) <= set(held):
        raise CardError(
            f"choosing taps {list(names)} of card {card.name!r}: it has {', '.join(held)}",
            "name one or more of them",
        )
    taps = tuple(held[name] for name in dict.fromkeys(names))
    made = replace(
        card,
        name=f"{card.name}-{taps[0].name}",
        taps=taps,
        quantiser=_columns_of([card], [taps]),
    )
    parts = cut(parts_of(_model_of(card)), [tap.output for tap in taps])
    ranks = dict(zip(held, _ranks(card), strict=True))
    outside = _outside(made, _open_sizes(made), (), [ranks[tap.name] for tap in taps])
    return _written(made, onnx_around(parts.data(), outside), folder)


def with_spread(card: Card, names: Sequence[str], folder: Path) -> Card:
    """Write to `folder` the encoder with a further tap NAME_spread for each tap named: the standard
    deviation of its values over the picture, where the tap itself is their mean.

    Returns its card, without a quantiser: the ranges of the new taps are not known yet (see
    `calibrate`).  The last tap of `card` stays the last: the detector whitens that one, and on PACS
    the mean of the last stage detects novelty better than its spread does (docs/howto/encoder.md).
    Cost per picture: under a hundredth of the graph.  Raises CardError for a tap that the card
    lacks or that is no mean."""
    _require_graph(card)
    held, names = {tap.name: tap for tap in card.taps}, tuple(dict.fromkeys(names))
    if not names or not set(names) <= set(held):
        raise CardError(
            f"adding the spread of taps {list(names)} to card {card.name!r}: it has "
            f"{', '.join(held)}",
            "name one or more of them",
        )
    more = [replace(held[name], name=f"{name}_spread", output=f"{name}_spread") for name in names]
    taps = (*card.taps[:-1], *more, card.taps[-1])
    made = replace(card, name=f"{card.name}_spread", taps=taps, quantiser=None)
    declared = replace(made, taps=(*card.taps, *more))
    parts = cut(parts_of(_model_of(card)), [tap.output for tap in card.taps])
    try:
        parts = with_deviations(parts, {held[name].output: f"{name}_spread" for name in names})
    except ValueError as error:
        raise CardError(
            f"adding the spread of taps {list(names)} to card {card.name!r}: {error}",
            "name taps that are a mean over height and width",
        ) from error
    ranks = dict(zip(held, _ranks(card), strict=True))
    several = [*ranks.values(), *(ranks[name] for name in names)]
    outside = _outside(declared, _open_sizes(made), (), several)
    return _written(made, onnx_around(parts.data(), outside), folder)


def side_by_side(cards: Sequence[Card], folder: Path) -> Card:
    """Write to `folder` one encoder with the taps of several, which see the same prepared picture,
    and return its card.  The taps of the second and later ones get its name before theirs.

    Cost per picture: that of all graphs; the picture is prepared once.  Raises CardError unless the
    cards prepare a measurement alike, and ModelError as `open_model`."""
    first = cards[0]
    for card in cards:
        _require_graph(card)
        if (card.kind, card.input, card.preparation) != (
            first.kind,
            first.input,
            first.preparation,
        ):
            raise CardError(
                f"joining cards {first.name!r} and {card.name!r}: they prepare a measurement"
                " differently",
                _joining_hint(first, card),
            )
    parts, taps = [], []
    for number, card in enumerate(cards):
        prefix = f"{_INNER}{number}/"
        inside = cut(parts_of(_model_of(card)), [tap.output for tap in card.taps])
        parts.append(renamed(inside, prefix, {card.input.name}))
        owner = "" if number == 0 else f"{card.name}/"
        taps.append(
            tuple(replace(t, name=owner + t.name, output=prefix + t.output) for t in card.taps)
        )
    made = replace(
        first,
        name="+".join(card.name for card in cards),
        licence=" and ".join(dict.fromkeys(card.licence for card in cards)),
        taps=tuple(tap for several in taps for tap in several),
        quantiser=_columns_of(cards, [card.taps for card in cards]),
    )
    try:
        base = joined(parts).data()
    except ValueError as error:
        raise _unusable(made, error) from error
    ranks = [rank for card in cards for rank in _ranks(card)]
    outside = _outside(made, _open_sizes(made), (), ranks)
    return _written(made, onnx_around(base, outside), folder)


def _averaged(
    card: Card,
    before: Sequence[Node],
    weights: dict[str, NDArray[np.generic]],
    sizes: tuple[int, int],
) -> bytes:
    """Return the file whose `before` nodes put several views into one batch of the encoder, and
    whose outputs are the means over them."""
    views = len(before[-1].inputs)
    inside = cut(parts_of(_model_of(card)), [tap.output for tap in card.taps])
    base = renamed(inside, _INNER).data()
    weights |= {
        "batch": np.array([0], np.int64),
        "share": np.array(1 / views, np.float32),
    }
    nodes = []
    for tap in card.taps:
        total = f"{tap.output}/sum"
        nodes.append(Node("ReduceSum", (_INNER + tap.output, "batch"), total))
        nodes.append(Node("Mul", (total, "share"), tap.output))
    outside = _outside(card, sizes, nodes, _ranks(card))
    return onnx_around(base, outside._replace(weights=weights, before=before))


def _outside(
    card: Card, sizes: tuple[int, ...], nodes: Sequence[Node], ranks: Sequence[int]
) -> Graph:
    """Return the graph that declares the input of `card`, with these sizes of its axes H and W, and
    an output for each tap, with its number of axes."""
    places = dict(zip("HW", sizes, strict=False))
    shape = tuple(
        places.get(axis, size)
        for axis, size in zip(card.input.layout[1:], card.input.shape[1:], strict=True)
    )
    given = Value(card.input.name, shape, card.input.dtype)
    results = [
        Value(tap.output, tuple(tap.width if axis == tap.axis else -1 for axis in range(1, rank)))
        for tap, rank in zip(card.taps, ranks, strict=True)
    ]
    return Graph(nodes, {}, [given], results)


def _require_pictures(card: Card) -> None:
    if card.kind == "image" and card.file is not None and card.input.layout in ("NCHW", "NHWC"):
        return
    raise CardError(
        f"changing the pictures of card {card.name!r}: expected an encoder of pictures with input "
        f"NCHW or NHWC, found kind {card.kind!r} with {card.input.layout!r}",
        "give the card of an encoder of pictures",
    )


def _require_graph(card: Card) -> None:
    """Raise CardError for a card of vectors, which has no graph to change."""
    if card.file is None:
        raise CardError(
            f"changing card {card.name!r}: expected an encoder with an ONNX file, found kind "
            f"{card.kind!r} without one",
            "give the card of an encoder of pictures or sounds",
        )


def _joining_hint(first: Card, second: Card) -> str:
    """Return what to do about two cards that prepare a measurement differently."""
    if first.kind == second.kind == "image":
        one, other = (_resized(card, *_sizes(first)) for card in (first, second))
        if (one.input, one.preparation) == (other.input, other.preparation):
            return (
                "their sizes differ: write both at one size N, then join the two new cards: "
                "`auricle encoder vary CARD --side N --out FOLDER` for each"
            )
    return "choose cards with the same kind, [input] and [preparation]; only their sizes may differ"


def _require_side(card: Card, side: int) -> None:
    """Raise CardError for a side that no picture has."""
    if not 1 <= side <= SIDE_MAX:
        raise CardError(
            f"changing the pictures of card {card.name!r}: expected a side of 1 to {SIDE_MAX} "
            f"pixels, found {side}",
            "choose another side; with crops, one larger than the pictures of the card",
        )


def _sizes(card: Card) -> tuple[int, int]:
    """Return height and width of a prepared picture."""
    found = card.preparation.crop or card.preparation.resize
    assert found is not None  # the checks of a card
    return found


def _open_sizes(card: Card) -> tuple[int, ...]:
    """Return the declared sizes of the axes H and W, nothing for other kinds."""
    return tuple(card.input.size(axis) for axis in "HW") if card.kind == "image" else ()


def _resized(card: Card, height: int, width: int) -> Card:
    """Return a card for other pictures; what it cuts off at the edges stays the same share."""
    prepared = card.preparation
    old = _sizes(card)
    around = prepared.resize or old
    scaled = (round(around[0] * height / old[0]), round(around[1] * width / old[1]))
    sizes = {"H": height, "W": width}
    shape = tuple(
        sizes.get(axis, size)
        for axis, size in zip(card.input.layout, card.input.shape, strict=True)
    )
    return replace(
        card,
        input=replace(card.input, shape=shape),
        preparation=replace(prepared, resize=scaled, crop=(height, width)),
    )


def _corners(free_height: int, free_width: int) -> list[tuple[int, int]]:
    """Return the upper left corners of crops, two opposite ones first."""
    return [
        (0, 0),
        (free_height, free_width),
        (0, free_width),
        (free_height, 0),
        (free_height // 2, free_width // 2),
    ]


def _inner_input(card: Card) -> str:
    return _INNER + card.input.name


def _columns_of(cards: Sequence[Card], taps: Sequence[Sequence[Tap]]) -> Quantiser | None:
    """Return the quantiser of some taps of some cards, None if a card has none."""
    scales, zeros = [], []
    for card, several in zip(cards, taps, strict=True):
        if card.quantiser is None:
            return None
        places = dict(zip((tap.name for tap in card.taps), card.slices, strict=True))
        scales += [card.quantiser.scale[places[tap.name]] for tap in several]
        zeros += [card.quantiser.zero[places[tap.name]] for tap in several]
    return Quantiser(np.concatenate(scales), np.concatenate(zeros))


def _model_of(card: Card) -> bytes:
    """Return the verified file of a card.  Raises as `open_model`."""
    open_model(card).close()
    assert card.folder is not None  # open_model
    assert card.file is not None
    return read_model(Path(card.folder, card.file))


def _ranks(card: Card) -> tuple[int, ...]:
    """Return the number of axes of each tap's output.  Raises as `open_model`."""
    with open_model(card) as opened:
        return opened.tap_ranks()


def _written(card: Card, data: bytes, folder: Path) -> Card:
    """Write model.onnx and card.toml; return the card with its file, which was run once.  A file
    that does not run is removed again."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(data)
    made = replace(
        card, file=path.name, sha256=digest_of(data, path), notes=(), folder=str(folder.resolve())
    )
    try:
        open_model(made).close()
    except (CardError, ModelError):
        path.unlink()
        if new:
            folder.rmdir()
        raise
    save_card(made, folder / "card.toml")
    return made


def _unusable(card: Card, error: ValueError) -> CardError:
    return CardError(
        f"making encoder {card.name!r}: {error}",
        "export the models for the same operator set, in one file each",
    )
