"""The errors of this room: each says what was wrong and, in `hint`, what to do about it."""

from __future__ import annotations


class EncoderError(Exception):
    """Root of every error of the encoder room.  `message` states what was being done, what was
    expected and what was found; `hint` states what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


class CardError(EncoderError):
    """A card is missing, cannot be read, or contradicts itself."""


class ModelError(EncoderError):
    """A model file is missing, is not the one that the card names, or does not do what it says."""


class PayloadError(EncoderError):
    """One measurement cannot be encoded.  Nothing else is affected: drop it and go on."""
