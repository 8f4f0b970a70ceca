"""auricle.toml as an owner edits it: the text, the line of a mistake, a save with a backup."""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from ..storage import write_text
from .client import AskError

SETTINGS: Final = "auricle.toml"
BACKUP: Final = "auricle.toml.backup"
"""The settings before the last save."""

TEXT_BYTES_MAX: Final = 256 << 10
"""Longest settings that are edited here: 256 streams of 1 KiB."""


def read_text(folder: Path) -> str:
    """Return the settings of a home; raises AskError."""
    try:
        return (folder / SETTINGS).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AskError(f"reading {SETTINGS}: {reason}", "correct the file in the home") from error


def tables_of(text: str) -> dict[str, Any]:
    """Return the tables of settings as plain values; raises AskError if they are not TOML."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise AskError(f"reading {SETTINGS}: {error}", "correct it on the screen Health") from error


def mark_of(text: str) -> str:
    """Return a mark of a text, to notice that another person has changed it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_backup(folder: Path) -> bool:
    """Return whether a backup exists."""
    return (folder / BACKUP).is_file()


def read_backup(folder: Path) -> str:
    """Return the settings before the last save; raises AskError."""
    try:
        return (folder / BACKUP).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AskError(
            "there is no backup of the settings", "they were never saved here"
        ) from error


def unchanged_text(folder: Path, mark: str) -> str:
    """Return the settings; raises AskError if they have another mark by now."""
    text = read_text(folder)
    if mark_of(text) != mark:
        raise AskError(
            "the settings were changed meanwhile, by another person or program",
            "load this page again, and make your change there; yours is still in this field",
        )
    return text


def save(folder: Path, text: str, mark: str) -> None:
    """Replace the settings, and keep those before as the backup; both survive a power cut.

    mark: of the text that was edited.  Raises AskError if it was changed meanwhile, or the disk
    fails; nothing has changed then.
    """
    before = unchanged_text(folder, mark)
    try:
        write_text(folder / BACKUP, before)
        write_text(folder / SETTINGS, text)
    except OSError as error:
        raise AskError(
            f"saving {SETTINGS}: {error.strerror}", "the settings are unchanged; free some space"
        ) from error


def line_of(text: str, message: str) -> int:
    """Return the line that an error is about, counted from 1; 0 if it names none.

    Knows the errors of tomllib (a line) and of msgspec (a path such as `$.streams.gate.source`).
    """
    at_line = re.search(r"at line (\d+)", message)
    if at_line:
        return int(at_line.group(1))
    if "at end of document" in message:
        return max(1, len(text.splitlines()))
    place = re.search(r"at `\$\.?([^`]*)`", message)
    keys = re.findall(r"[^.\[\]]+", place.group(1)) if place else []
    unknown = re.search(r"(?:unknown|required) field `([^`]+)`", message)
    if unknown:
        keys.append(unknown.group(1))
    stream = re.search(r"the stream ([^:]+):", message)
    if not keys and stream:
        keys = ["streams", stream.group(1)]
    return _line_of_keys(text.splitlines(), [key for key in keys if key != "..."])


def _line_of_keys(lines: list[str], keys: list[str]) -> int:
    """Return the line of a key below its table, else that of its table, else 0."""
    found, table = 0, ""
    for number, line in enumerate(lines, 1):
        head = re.match(r"\s*\[+\s*(.+?)\s*\]+\s*(#.*)?$", line)
        name = re.match(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*=""", line)
        if head:
            table = head.group(1).replace('"', "").replace("'", "")
            if keys and ".".join(keys).startswith(table):
                found = max(found, number) if found else number
        elif name and keys:
            key = name.group(1).strip("\"'")
            if ".".join(filter(None, (table, key))) == ".".join(keys):
                return number
    return found
