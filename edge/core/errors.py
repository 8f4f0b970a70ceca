"""The errors a user of `edge` can meet; each says what to do about it."""

from typing import Any, Final

import encoder
import hdc


class EdgeError(Exception):
    """Root of all errors of `edge`.  message: what was done, expected, found; hint: the cure."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class ConfigError(EdgeError):
    """A configuration, scenario or command line that cannot be used as it stands."""


class StateError(EdgeError):
    """The knowledge on disk could not be opened, read or written."""


class StateVersionError(StateError):
    """The knowledge file was written by a newer version of the program; nothing was touched."""


class StateCorruptError(StateError):
    """The knowledge file is damaged, or not a knowledge file at all."""


class ModelMismatchError(EdgeError):
    """The ledger's features come from another encoder or quantiser than the one in use."""


class TransportError(EdgeError):
    """Another program (a daemon, a broker) could not be reached, or does not answer."""


EXPECTED_ERRORS: Final[tuple[type[Any], ...]] = (EdgeError, encoder.EncoderError, hdc.HdcError)
"""Errors that a program reports in two lines; any other is a defect and keeps its traceback."""
