"""The encoder of a home, which accepts measurements and features."""

import os
from pathlib import Path

import encoder

from ..config import SETTINGS, Settings
from ..core import StateError
from ..storage import read_card_fingerprint

VECTOR_CARD = "card.toml"
"""The card of a home for vectors, in its folder."""


class InputModel:
    """An encoder that accepts features too, which were encoded and quantised before by its card."""

    def __init__(self, model: encoder.Model) -> None:
        self._model = model

    @property
    def card(self) -> encoder.Card:
        """The card of the encoder behind it."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Encode a payload; raises encoder.EncoderError for an invalid one."""
        return payload if isinstance(payload, encoder.Features) else self._model.encode(payload)

    def close(self) -> None:
        """Close the encoder."""
        self._model.close()


def open_encoder(folder: Path, settings: Settings) -> encoder.Model:
    """Open the encoder that the settings name; raises StateError if its card is missing.

    A shipped encoder prepares measurements as it did when the home's facts were learned, so that
    their features stay comparable.
    """
    named = settings.encoder.card
    if named in encoder.SHIPPED:
        made_with = read_card_fingerprint(folder / settings.knowledge.file)
        card = encoder.shipped_card(named, made_with)
        return encoder.open_model(card, threads=settings.encoder.threads)
    path = folder / named
    if not path.is_file():
        found = "it is no file" if os.path.lexists(path) else "there is no such file"
        raise StateError(
            f"opening the encoder card {path}: {found}",
            f"name {' or '.join(encoder.SHIPPED)}, or a card's path, as encoder.card in"
            f" {SETTINGS} or as --encoder",
        )
    return encoder.open_model(encoder.load_card(path), threads=settings.encoder.threads)
