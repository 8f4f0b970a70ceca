"""The daemon's settings: read, checked, and replaced by the last good ones where they are broken.

`auricle check` and `auricle doctor` apply the same checks without a start.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ..config import (
    SETTINGS,
    MqttSettings,
    Settings,
    TopicStream,
    parse_settings,
    read_text,
)
from ..core import TEXT_CHARS_MAX, ConfigError
from ..mqtt import FLEET_PURPOSES, Topics, encode_level
from ..storage import write_text

OUTBOX: Final = "outbox.db"
GOOD: Final = f"{SETTINGS}.last-good"


def load_settings(folder: Path) -> tuple[Settings, str]:
    """Return the settings of a home.  If they are broken, return the last good ones and the error.

    Raises ConfigError if no good settings exist.
    """
    try:
        return read_good_settings(folder), ""
    except ConfigError as error:
        good = _last_good(folder)
        if good is None:
            raise
        with suppress(ConfigError):
            kept = parse_settings(good, folder / GOOD)
            return kept, f"{error.message}; the settings of {GOOD} hold"
        raise


def read_good_settings(folder: Path) -> Settings:
    """Read and check the settings, and keep a copy of them; raises ConfigError for broken ones."""
    text = read_text(folder)
    settings = parse_settings(text, folder / SETTINGS)
    check_streams(settings, folder)
    if _last_good(folder) != text:
        # If the disk fails, the previous copy stays.
        with suppress(OSError):
            write_text(folder / GOOD, text)
    return settings


def _last_good(folder: Path) -> str | None:
    """Return the text of the last good settings, None without a readable copy."""
    path = folder / GOOD
    with suppress(OSError, UnicodeDecodeError):
        # Opening a named pipe would block for ever.
        return path.read_text("utf-8") if path.is_file() else None
    return None


def check_streams(settings: Settings, folder: Path) -> None:
    """Raise ConfigError for streams that the daemon cannot serve."""
    for name in (settings.device.known_as, *settings.streams, *settings.homes):
        if not (name.strip() and name.isprintable() and len(name) <= TEXT_CHARS_MAX):
            raise ConfigError(
                f"reading the settings of {folder}: {name[:60]!r} is no name",
                f"use 1 to {TEXT_CHARS_MAX} printable characters",
            )
    for name, stream in settings.streams.items():
        if stream.home and stream.home not in settings.homes:
            known = ", ".join(settings.homes) or "none"
            raise ConfigError(
                f"reading the stream {name}: there is no home {stream.home!r} in [homes]",
                f"known homes: {known}",
            )
        if isinstance(stream, TopicStream):
            if settings.mqtt is None:
                raise ConfigError(
                    f"reading the stream {name}: its source is a topic, and no broker is set",
                    "add the section [mqtt]",
                )
            if any(sign in stream.topic for sign in "+#"):
                raise ConfigError(
                    f"reading the stream {name}: its topic {stream.topic} has a wildcard",
                    "give each stream one topic, so that its window describes one sensor",
                )


def resolve_paths(mqtt: MqttSettings, folder: Path) -> MqttSettings:
    """Return settings whose relative paths start at a folder."""
    changes: dict[str, object] = {}
    if mqtt.password_file:
        changes["password_file"] = str(folder / mqtt.password_file)
    if mqtt.tls is not None:
        files = {
            name: str(folder / value)
            for name in ("ca", "certificate", "key")
            if (value := getattr(mqtt.tls, name))
        }
        changes["tls"] = msgspec.structs.replace(mqtt.tls, **files)
    return msgspec.structs.replace(mqtt, **changes)


def topic_filters(settings: Settings, topics: Topics) -> list[str]:
    """Return the topics to subscribe to: of streams, commands and fleet contributions."""
    streams = [one for one in settings.streams.values() if isinstance(one, TopicStream)]
    filters = {one.topic for one in streams if one.topic}
    if any(not one.topic for one in streams):
        filters.add(topics.observe_filter())
    filters.update(fleet_filters(settings, topics))
    if settings.commands.enabled:
        filters.add(topics.command_filter())
    return sorted(filters)


def fleet_filters(settings: Settings, topics: Topics) -> list[str]:
    """Return the topics of the fleet to subscribe to; none outside any fleet."""
    if settings.fleet is None:
        return []
    fleet = settings.fleet.name
    of_others = [one for one in FLEET_PURPOSES if one != "applied"]
    roots = [topics.fleet_filter(fleet, one) for one in of_others]
    levels = [encode_level(device) for device in settings.fleet.devices]
    found = [root + level for root in roots for level in levels]
    return [*found, topics.fleet_topic(fleet, "applied")]
