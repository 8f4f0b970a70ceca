"""Reading settings again: what can change at once changes, and the last good ones are kept."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..config import SETTINGS, Settings, parse_settings, read_settings, read_text
from ..core import ConfigError, EdgeError
from ..logs import set_up_logs
from ..storage import write_text
from .assembly import check_streams, filters_of, make_streams

if TYPE_CHECKING:
    from .daemon import Daemon

GOOD: Final = f"{SETTINGS}.last-good"
OF_HOMES: Final = ("encoder", "knowledge", "detector", "growth", "candidates", "bundles", "fleet")
SOURCE_S: Final = 0.5


def load_settings(folder: Path) -> tuple[Settings, str]:
    """Return the settings of a home, and what is wrong with them where those of the last good start
    stand in.  Raises ConfigError where there are none of these."""
    try:
        text = read_text(folder)
        settings = parse_settings(text, folder / SETTINGS)
        check_streams(settings, folder)
    except ConfigError as error:
        good = _kept(folder)
        if good is None:
            raise
        with suppress(ConfigError):
            kept = parse_settings(good, folder / GOOD)
            return kept, f"{error.message}; the settings of {GOOD} hold"
        raise
    keep_last_good(folder, text)
    return settings, ""


def keep_last_good(folder: Path, text: str) -> None:
    """Keep a copy of settings that can be used; where the disk fails, the copy before stays."""
    if _kept(folder) != text:
        with suppress(OSError):
            write_text(folder / GOOD, text)


def _kept(folder: Path) -> str | None:
    """Return the settings of the last good start; None where no file holds any (opening a pipe
    would wait for ever)."""
    path = folder / GOOD
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text("utf-8") if path.is_file() else None
    return None


def reload_settings(daemon: "Daemon") -> tuple[str, ...]:
    """Let new settings hold; returns what was done, and what needs a restart.

    Raises ConfigError where they cannot be used: nothing has changed then, and `trouble` says so.
    """
    folder = daemon.folder
    try:
        text = read_text(folder)
        settings = parse_settings(text, folder / SETTINGS)
        check_streams(settings, folder)
    except ConfigError as error:
        daemon.troubles["settings"] = f"{error.message}; those read before hold"
        raise
    daemon.troubles.pop("settings", None)
    keep_last_good(folder, text)
    before, daemon.settings = daemon.settings, settings
    daemon.homes[""].settings = settings
    return tuple(_changes(daemon, before, settings)) or ("nothing has changed",)


def _changes(daemon: "Daemon", before: Settings, now: Settings) -> Iterator[str]:
    if before.device.known_as != now.device.known_as or before.homes != now.homes:
        yield "device.name and homes: need a restart"
    if before.device.log_level != now.device.log_level:
        set_up_logs(now.device.log_level)
        yield "device.log_level: changed"
    if before.outbox != now.outbox:
        daemon.outbox.adjust(now.outbox)
        yield "outbox: changed"
    if before.streams != now.streams:
        _restream(daemon, before, now)
        yield "streams: changed"
    if before.mqtt != now.mqtt:
        if before.mqtt is None or now.mqtt is None:
            yield "mqtt: with or without a broker needs a restart"
        else:
            daemon.reconnect()
            yield "mqtt: changed, connecting again"
    if (before.commands, before.fleet) != (now.commands, now.fleet):
        yield from _restaff(daemon)
    if before.http != now.http:
        daemon.doors.reopen()
        yield "http: changed"
    yield from _reopened(daemon)


def _restream(daemon: "Daemon", before: Settings, now: Settings) -> None:
    changed = [name for name, one in before.streams.items() if now.streams.get(name) != one]
    daemon.stop_sources(SOURCE_S, changed)
    streams = make_streams(now, daemon.run_name, daemon.intake.streams)
    daemon.loop.restream(streams)
    daemon.line.subscribe(filters_of(now, daemon.topics))
    daemon.reannounce()
    daemon.start_sources()


def _restaff(daemon: "Daemon") -> Iterator[str]:
    try:
        daemon.restaff()
    except EdgeError as error:
        yield f"commands and fleet: not changed: {error.message}"
    else:
        daemon.line.subscribe(filters_of(daemon.settings, daemon.topics))
        yield "commands and fleet: changed"


def _reopened(daemon: "Daemon") -> Iterator[str]:
    """Open homes again whose settings are others, or that are not open."""
    for name, slot in daemon.homes.items():
        shown = f"home {name}" if name else ", ".join(OF_HOMES)
        try:
            differs = slot.differs(slot.settings or read_settings(slot.folder))
        except EdgeError as error:
            yield f"{shown}: not changed: {error.message}"
            continue
        if differs:
            slot.retry()
            daemon.loop.open_homes()
            yield f"{shown}: opened again" if slot.home else f"{shown}: {slot.trouble}"
