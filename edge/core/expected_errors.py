"""The errors of all packages that users meet, in a file of its own: it loads numpy, and errors.py
does not."""

from typing import Any, Final

import encoder
import hdc

from .errors import EdgeError

EXPECTED_ERRORS: Final[tuple[type[Any], ...]] = (EdgeError, encoder.EncoderError, hdc.HdcError)
"""Errors that a program reports in two lines; any other is a bug and keeps its traceback."""
