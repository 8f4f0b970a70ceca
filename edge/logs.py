"""Logs: JSON lines on standard error, or plain text where a person watches.

Python's own `logging` carries them: packages that make logs pretty take longer to load than all
else that a daemon needs.

No password can get in: they are never part of the settings, and what is logged are names and
reasons.  Keys that sound like secrets are masked all the same.
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
    """Says events with what belongs to them, as `log.info("home_opened", home="press")`."""

    def debug(self, event: str, **fields: object) -> None:
        """Say what only a developer wants to know."""
        _say(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Say what went as it should."""
        _say(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Say what somebody should look at."""
        _say(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Say what failed."""
        _say(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Say what failed, with the exception that is being handled."""
        _say(logging.ERROR, event, fields, sys.exception())


log: Final = EventLog()

PACE_S: Final = 60.0
"""Seconds between two lines about the same count: a sender that repeats a mistake for a day then
causes 1,440 lines at most.  Chosen by hand."""

REASON_CHARS: Final = 300
"""Longest reason in a line about a count: it may quote what was sent.  Chosen by hand."""


class PacedLog:
    """Logs counts that rise, however fast: for each event a line at once, then one every `PACE_S`
    with how many came since the line before."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[int, float]] = {}

    def warn(self, event: str, total: int, now_s: float, **fields: object) -> None:
        """Log a warning where `total` has risen and it is time.  Call it each second or so."""
        before, at_s = self._logged.get(event, (0, -math.inf))
        if total > before and now_s - at_s >= PACE_S:
            self._logged[event] = total, now_s
            said = {key: _cut(one) for key, one in fields.items()}
            log.warning(event, count=total - before, **said)


def set_up_logs(level: str) -> None:
    """Send logs to standard error from a level on (debug, info, warning, error)."""
    lines = _Lines(_Text() if sys.stderr.isatty() else _Json())
    # What packages warn of is a line like any other.
    logging.captureWarnings(capture=True)
    for name in (NAME, WARNINGS):
        logger = logging.getLogger(name)
        for handler in [one for one in logger.handlers if isinstance(one, _Lines)]:
            logger.removeHandler(handler)
        logger.addHandler(lines)
        logger.setLevel(level.upper())


def mask_secrets(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with the values of keys that sound like secrets masked."""
    return {key: MASK if SECRET.search(key.lower()) else one for key, one in fields.items()}


def _cut(value: object) -> object:
    return value[:REASON_CHARS] if isinstance(value, str) else value


def _say(
    level: int, event: str, fields: dict[str, object], trace: BaseException | None = None
) -> None:
    logger = logging.getLogger(NAME)
    if logger.isEnabledFor(level):
        logger.log(level, event, exc_info=trace, extra={"fields": mask_secrets(fields)})


class _Lines(logging.Handler):
    """Writes to standard error as it is then; one that is gone is no reason to stop serving."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        with suppress(OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class _Json(logging.Formatter):
    """One object a line; an exception is text, as Python shows it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said = {**_fields(record), "event": record.getMessage()}
        said |= {"level": record.levelname.lower(), "timestamp": _moment(record)}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


class _Text(logging.Formatter):
    """Time, level, event, and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and an exception below it."""
        fields = " ".join(f"{key}={one!r}" for key, one in _fields(record).items())
        line = f"{_moment(record)} {record.levelname.lower():8} {record.getMessage():24} {fields}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return line.rstrip() + trace


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return dict(getattr(record, "fields", {}))


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
