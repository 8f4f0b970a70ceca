"""The errors of `encoder`.  The `hint` of each says how to correct it."""

from __future__ import annotations


class EncoderError(Exception):
    """Base class.  `message` states the operation, the expected and the found value; `hint` states
    the next step."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


class CardError(EncoderError):
    """A card is missing, unreadable or inconsistent."""


class ModelError(EncoderError):
    """A model file is missing, has another digest than its card, or does not match the card."""


class PayloadError(EncoderError):
    """One measurement cannot be encoded.  No state has changed: drop it and continue."""
