"""Logs: JSON lines on standard error, or coloured text where a person watches.

No password can get in: they are never part of the settings, and what is logged are names and
reasons.  Keys that sound like secrets are masked all the same.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final

import structlog

SECRET: Final = re.compile(r"(?:password|passphrase|secret|token|private_key)(?!_(?:file|env))")
MASK: Final = "***"


def set_up_logs(level: str) -> None:
    """Send logs to standard error from a level on (debug, info, warning, error)."""
    watched = sys.stderr.isatty()
    last: Any = structlog.dev.ConsoleRenderer() if watched else structlog.processors.JSONRenderer()
    trace = [] if watched else [structlog.processors.dict_tracebacks]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *trace,
            mask,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_Lines,
        cache_logger_on_first_use=False,
    )


class _Lines:
    """Writes to standard error as it is now; one that is gone is no reason to stop serving."""

    def __init__(self, *_names: object) -> None:
        self._file = sys.stderr

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._file.write(line + "\n")
            self._file.flush()

    debug = info = warning = error = exception = critical = msg


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask the values of keys that sound like secrets."""
    for key in event:
        if SECRET.search(key.lower()):
            event[key] = MASK
    return event
