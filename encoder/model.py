"""A model in use: payloads in, uint8 features out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .arrays import prepare_vector, prepare_window
from .card import Card, Kind
from .card_file import load_card
from .errors import CardError, ModelError, PayloadError
from .onnx_file import digest_of, read_model
from .preparation import prepare_image
from .session import OnnxSession
from .taps import check_ports, probe_shape, run_taps

Prepare = Callable[[object, Card], NDArray[Any]]

SHIPPED: Mapping[str, Path] = {
    name: Path(__file__).with_name("models") / name / "card.toml"
    for name in ("efficientnet_lite0", "log_mel")
}
"""The cards of the models that come with the package, by name."""

THREADS_MAX = 256

_PREPARATIONS: Mapping[Kind, Prepare] = {
    "image": prepare_image,
    "window": prepare_window,
    "vector": prepare_vector,
}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What a model saw in one measurement.  values: uint8 [width], read-only, in the order of the
    card's taps; copied where the given array could still be written to.  Equal when the values
    are.  Raises PayloadError for another dtype or shape."""

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
    """A card and, where it names a file, the loaded graph; made by `open_model`.

    Payloads are: image: bytes of a file, or pixels; window: array [length, channels]; vector:
    array [width].  A payload that cannot be encoded raises PayloadError and changes nothing.
    Payloads are run one by one: batches gain nothing on one thread, and so the features of a
    measurement never depend on what else was in its batch."""

    def __init__(self, card: Card, session: OnnxSession | None) -> None:
        self.card = card
        self._session = session
        self._closed = False

    def encode(self, payload: object) -> Features:
        """The quantised features of one payload.  Raises PayloadError for a bad payload, CardError
        if the card has no quantiser yet."""
        if self.card.quantiser is None:
            raise CardError(
                f"encoding with model {self.card.name!r}: its card has no quantiser",
                "freeze one from sample data with `auricle encoder calibrate`",
            )
        levels = self.card.quantiser.quantise(self._raw(payload))
        levels.setflags(write=False)
        return Features(levels)

    def encode_batch(self, payloads: Iterable[object]) -> NDArray[np.uint8]:
        """Quantised features uint8 [n, width].  Raises like `encode`, naming the payload."""
        rows = _each(lambda payload: self.encode(payload).values, payloads)
        return np.array(rows, dtype=np.uint8).reshape(len(rows), self.card.width)

    def measure(self, payloads: Iterable[object]) -> NDArray[np.float32]:
        """Features float32 [n, width] before the quantiser, for calibration and inspection."""
        rows = _each(self._raw, payloads)
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.card.width)

    def close(self) -> None:
        """Let go of the graph and its memory; encoding afterwards raises ModelError."""
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
        batch = _PREPARATIONS[self.card.kind](payload, self.card)
        if self._session is None:
            return np.asarray(batch[0], dtype=np.float32)
        return run_taps(self._session, self.card, batch)


def open_model(
    source: Card | str | os.PathLike[str],
    threads: int = 1,
    providers: Sequence[str] | None = None,
) -> Model:
    """A model ready to encode.

    source: a card, the path of a card.toml, or a name in SHIPPED.  threads, providers: see
    `Session`.  The file's sha256 is compared with the card before anything parses or runs it, and
    the graph runs once on zeros, so that a wrong input, tap or width is found here.  A card of
    ready-made vectors loads no runtime.  Raises CardError or ModelError."""
    if not 1 <= threads <= THREADS_MAX:
        raise ModelError(
            f"opening a model with {threads} threads", f"use 1 to {THREADS_MAX} threads"
        )
    card = source if isinstance(source, Card) else load_card(SHIPPED.get(str(source), source))
    if card.file is None:
        return Model(card, None)
    return Model(card, _verified_session(card, threads, providers))


def _verified_session(card: Card, threads: int, providers: Sequence[str] | None) -> OnnxSession:
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
    session = OnnxSession(data, path.resolve().parent, threads, providers)
    check_ports(session, card)
    zeros = np.zeros(probe_shape(card), dtype=card.input.dtype)
    run_taps(session, card, zeros)
    return session


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
