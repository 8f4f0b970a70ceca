"""Structured logs on standard error: JSON lines, or plain text on a terminal.

They use Python's own `logging`: packages for structured logs take longer to import than everything
else in a daemon.

Passwords are never part of the settings, and only names and reasons are logged.  As a second line
of defence, the values of keys that look like secrets are masked.
"""

import json
import logging
import math
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

NAME: Final = "auricle"
WARNINGS: Final = "py.warnings"
SECRET: Final = re.compile(r"(?:password|passphrase|secret|token|private_key)(?!_(?:file|env))")
MASK: Final = "***"


class EventLog:
    """Logs events with fields, such as `log.info("home_opened", home="press")`."""

    def debug(self, event: str, **fields: object) -> None:
        """Log an event for developers."""
        _log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log normal operation."""
        _log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log an event that an operator should check."""
        _log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a failure."""
        _log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log a failure with the exception that is being handled."""
        _log(logging.ERROR, event, fields, sys.exception())


log: Final = EventLog()

INTERVAL_S: Final = 60.0
"""Seconds between two lines about the same counter: a sender that repeats a mistake for a day
causes 1,440 lines at most.  Chosen by hand; effect not measured."""

REASON_CHARS: Final = 300
"""Longest reason in a line: it may quote input.  Chosen by hand; effect not measured."""


class RateLimitedLog:
    """Logs rising counters at a limited rate: for each event one line at once, then one every
    `INTERVAL_S` with the increase since the last."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[int, float]] = {}

    def warn(self, event: str, total: int, now_s: float, **fields: object) -> None:
        """Log a warning if `total` has risen and a line is due.  Call it about once a second."""
        before, at_s = self._logged.get(event, (0, -math.inf))
        if total > before and now_s - at_s >= INTERVAL_S:
            self._logged[event] = total, now_s
            short = {key: _shorten(one) for key, one in fields.items()}
            log.warning(event, count=total - before, **short)


def set_up_logs(level: str) -> None:
    """Log to standard error at and above a level (debug, info, warning, error)."""
    lines = _Lines(_Text() if sys.stderr.isatty() else _Json())
    # Warnings of packages become log lines.
    logging.captureWarnings(capture=True)
    for name in (NAME, WARNINGS):
        logger = logging.getLogger(name)
        for handler in [one for one in logger.handlers if isinstance(one, _Lines)]:
            logger.removeHandler(handler)
        logger.addHandler(lines)
        logger.setLevel(level.upper())


def mask_secrets(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields, with the values of keys that look like secrets masked."""
    return {key: MASK if SECRET.search(key.lower()) else one for key, one in fields.items()}


def _shorten(value: object) -> object:
    return value[:REASON_CHARS] if isinstance(value, str) else value


def _log(
    level: int, event: str, fields: dict[str, object], trace: BaseException | None = None
) -> None:
    logger = logging.getLogger(NAME)
    if logger.isEnabledFor(level):
        logger.log(level, event, exc_info=trace, extra={"fields": mask_secrets(fields)})


class _Lines(logging.Handler):
    """Writes to the current standard error; if it is closed, the daemon keeps serving."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line."""
        with suppress(OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class _Json(logging.Formatter):
    """Formats a record as a JSON object; an exception is its traceback as text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {**_fields(record), "event": record.getMessage()}
        line |= {"level": record.levelname.lower(), "timestamp": _timestamp(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Text(logging.Formatter):
    """Formats a record as text: time, level, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback of an exception below it."""
        fields = " ".join(f"{key}={one!r}" for key, one in _fields(record).items())
        line = (
            f"{_timestamp(record)} {record.levelname.lower():8} {record.getMessage():24} {fields}"
        )
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return line.rstrip() + trace


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return dict(getattr(record, "fields", {}))


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
