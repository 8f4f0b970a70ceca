"""An open model: encodes payloads to uint8 features, and calibrates its quantiser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from .arrays import prepare_vector, prepare_window
from .card import Card
from .card_file import load_card
from .errors import CardError, ModelError, PayloadError
from .onnx_file import digest_of, read_model
from .pixel_graph import pixel_graph
from .preparation import prepare_blocks, prepare_image
from .quantiser import Granularity, freeze_quantiser
from .session import (
    OnnxSession,
    check_input,
    check_taps,
    probe_shape,
    run_taps,
    widths_declared,
)

SHIPPED: Mapping[str, Path] = {
    name: Path(__file__).with_name("models") / name / "card.toml"
    for name in (
        "efficientnet_lite0",
        "efficientnet_lite0_spread",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "log_mel",
    )
}
"""The cards of the models in the package, by name."""

DEFAULT_ENCODER: Final = "efficientnet_lite0_spread"
"""The encoder of pictures unless another is chosen: the most accurate one within 1.2 times the time
of `efficientnet_lite0` (docs/howto/encoder.md, other encoders)."""


def shipped_card(name: str, fingerprint: str = "") -> Card:
    """Return the card of a model in SHIPPED.

    fingerprint: of the card that features were made with.  If that is an earlier card of the same
    model, which lies next to the newest as card-N.toml, it is returned: only with it are new
    features comparable."""
    path = SHIPPED[name]
    card = load_card(path)
    if not fingerprint or card.fingerprint == fingerprint:
        return card
    earlier = map(load_card, sorted(path.parent.glob("card-*.toml"), reverse=True))
    return next((one for one in earlier if one.fingerprint == fingerprint), card)


THREADS_MAX = 256
"""More than any supported device has cores; a larger number is a mistake."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The quantised features of one measurement.

    values: uint8 [width], read-only, in the order of the card's taps; copied if the given array is
    writable.  Compared by value.  Raises PayloadError for another dtype or shape."""

    values: NDArray[np.uint8]

    def __post_init__(self) -> None:
        given = self.values
        if given.dtype != np.uint8 or given.ndim != 1:
            raise PayloadError(
                f"reading features: expected uint8 [width], found {given.dtype} "
                f"{list(given.shape)}",
                "quantise them with the card's quantiser",
            )
        if given.flags.writeable:
            object.__setattr__(self, "values", given.copy())
            self.values.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Features):
            return NotImplemented
        return np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(self.values.tobytes())


class Model:
    """A card with its loaded graph, if it names a file; `open_model` makes it.

    Payloads: the bytes of an image file or its pixels; windows [length, channels]; vectors [width].
    A payload that cannot be encoded raises PayloadError and changes nothing.  Payloads run one by
    one: batches gain nothing on one thread, and the features of a measurement must not depend on
    its batch."""

    def __init__(self, card: Card, session: OnnxSession | None, *, blocks: bool = False) -> None:
        """blocks: whether the graph takes blocks of pixels, as those of pixel_graph.py do."""
        self.card = card
        self._session = session
        self._prepare = partial(prepare_blocks, card=card) if blocks else _preparation_of(card)
        self._closed = False

    def encode(self, payload: object) -> Features:
        """Return the quantised features of one payload.  Raises PayloadError for a bad payload,
        CardError if the card has no quantiser."""
        if self.card.quantiser is None:
            raise CardError(
                f"encoding with model {self.card.name!r}: its card has no quantiser",
                "freeze one from sample data with `auricle encoder calibrate`",
            )
        levels = self.card.quantiser.quantise(self._raw(payload))
        levels.setflags(write=False)
        return Features(levels)

    def encode_batch(self, payloads: Iterable[object]) -> NDArray[np.uint8]:
        """Return quantised features uint8 [n, width].  Raises like `encode`, with the position."""
        rows = _each(lambda payload: self.encode(payload).values, payloads)
        return np.array(rows, dtype=np.uint8).reshape(len(rows), self.card.width)

    def measure(self, payloads: Iterable[object]) -> NDArray[np.float32]:
        """Return features float32 [n, width] before quantisation."""
        rows = _each(self._raw, payloads)
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.card.width)

    def tap_ranks(self) -> tuple[int, ...]:
        """Return the number of axes of each tap's output, as the graph declares them; none without
        a graph."""
        if self._session is None:
            return ()
        ranks = {port.name: len(port.shape) for port in self._session.outputs}
        return tuple(ranks[tap.output] for tap in self.card.taps)

    def close(self) -> None:
        """Release the graph and its memory; encoding afterwards raises ModelError."""
        self._session = None
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _raw(self, payload: object) -> NDArray[np.float32]:
        if self._closed:
            raise ModelError(
                f"encoding with model {self.card.name!r}: it was closed", "open the model again"
            )
        batch = self._prepare(payload)
        if self._session is None:
            return np.asarray(batch[0], dtype=np.float32)
        return run_taps(self._session, self.card, batch)


def _preparation_of(card: Card) -> Callable[[object], NDArray[Any]]:
    """Return the function that turns a payload into a batch of one for the card's graph."""
    if card.kind == "image":
        return partial(prepare_image, card=card)
    if card.kind == "window":
        return partial(prepare_window, card=card, channels=card.input.size("C"))
    return partial(prepare_vector, card=card, width=card.input.size("V"))


def open_model(
    source: Card | str | os.PathLike[str] = DEFAULT_ENCODER,
    threads: int = 1,
    providers: Sequence[str] | None = None,
) -> Model:
    """Open a model for encoding.

    source: a card, the path of a card.toml, or a name in SHIPPED.  threads, providers: see
    `OnnxSession`.  The file's SHA-256 is verified before anything parses or runs it.  A wrong
    input, tap or width fails here: the graph runs once on zeros unless it declares them all.  A
    card of ready-made vectors loads no runtime.  Raises CardError or ModelError."""
    if not 1 <= threads <= THREADS_MAX:
        raise ModelError(
            f"opening a model with {threads} threads", f"use 1 to {THREADS_MAX} threads"
        )
    card = source if isinstance(source, Card) else load_card(SHIPPED.get(str(source), source))
    if card.file is None:
        return Model(card, None)
    return _opened(card, threads, providers)


def calibrate(
    model: Model,
    payloads: Iterable[object],
    granularity: Granularity = "tap",
    headroom: float = 0.25,
) -> Card:
    """Return the card of `model` with a quantiser frozen from `payloads`, ideally 100 to 1,000
    varied ones.

    granularity, headroom: see `freeze_quantiser`.  The new card has a new fingerprint, and its
    features do not mix with older ones.  Raises PayloadError with the position of a bad payload.
    Cost: one run of the graph per payload."""
    features = model.measure(payloads)
    quantiser = freeze_quantiser(features, model.card.slices, granularity, headroom)
    return replace(model.card, quantiser=quantiser)


def _opened(card: Card, threads: int, providers: Sequence[str] | None) -> Model:
    """Open a card that names a file; see `open_model`."""
    if card.folder is None or card.file is None:
        raise CardError(
            f"opening model {card.name!r}: the card does not say in which folder {card.file} lies",
            "load the card with `load_card`, or set its `folder`",
        )
    path = Path(card.folder, card.file)
    data = read_model(path)
    found = digest_of(data, path)
    if found != card.sha256:
        raise ModelError(
            f"opening model {path}: the card expects sha256 {card.sha256}, found {found}",
            "restore the file that the card describes; for a new model write a new card",
        )
    folder = path.resolve().parent
    # Other providers fuse the first layer themselves, or have no kernel for its other form.
    pixels = pixel_graph(data, card) if providers is None else None
    if pixels is not None:
        session = OnnxSession(pixels.data, folder, threads)
    else:
        session = OnnxSession(data, folder, threads, providers)
        check_input(session, card)
    check_taps(session, card)
    if not widths_declared(session, card):
        shape = probe_shape(card) if pixels is None else pixels.shape
        dtype = card.input.dtype if pixels is None else "uint8"
        run_taps(session, card, np.zeros(shape, dtype=dtype))
    return Model(card, session, blocks=pixels is not None)


def _each(
    encode: Callable[[object], NDArray[Any]], payloads: Iterable[object]
) -> list[NDArray[Any]]:
    rows = []
    for place, payload in enumerate(payloads):
        try:
            rows.append(encode(payload))
        except PayloadError as error:
            raise PayloadError(f"payload {place}: {error.message}", error.hint) from error
    return rows
