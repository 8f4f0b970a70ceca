"""Putting the daemon together from its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from ..config import FleetSettings, MqttSettings, PortStream, Settings, TopicStream
from ..core import TEXT_CHARS_MAX, ConfigError
from ..mqtt import Channels, Streams, Topics, encode_level
from .homes import HomeSlot
from .stream_counters import StreamCounters

OUTBOX: Final = "outbox.db"


def check_streams(settings: Settings, folder: Path) -> None:
    """Raise ConfigError for streams that cannot be served as they are set."""
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
                    "name one topic a stream, so that its window is of one sensor",
                )


def make_streams(
    settings: Settings, run: str, before: Mapping[str, StreamCounters] | None = None
) -> dict[str, StreamCounters]:
    """Return the streams; those that are as they were before go on counting."""
    kept = {} if before is None else before
    streams = {}
    for name, given in settings.streams.items():
        old = kept.get(name)
        if old is not None and type(old.settings) is type(given):
            old.settings = given
            streams[name] = old
        else:
            streams[name] = StreamCounters(name, given, run)
    return streams


def announced_streams(settings: Settings, homes: Mapping[str, HomeSlot]) -> Streams:
    """Return the streams as they are announced now: a series with the channels that are known."""
    found: dict[str, Channels] = {}
    for name, stream in settings.streams.items():
        opened = homes[stream.home].home
        followed = opened.runtime.series.channels(name) if opened is not None else ()
        found[name] = None if stream.kind == "sample" else followed
    return found


def outputs_of(settings: Settings, home: str) -> dict[str, int]:
    """Return the outputs, by stream, that a home sets where it raises an alarm."""
    return {
        name: stream.alarm_channel
        for name, stream in settings.streams.items()
        if isinstance(stream, PortStream)
        and stream.home == home
        and stream.alarm_channel is not None
    }


def filters_of(settings: Settings, topics: Topics) -> list[str]:
    """Return the topics that streams, commands and the fleet's sums come from."""
    sent = [one for one in settings.streams.values() if isinstance(one, TopicStream)]
    filters = {one.topic for one in sent if one.topic}
    if any(not one.topic for one in sent):
        filters.add(topics.observe_filter())
    if settings.fleet is not None:
        filters.update(is_contributing(settings.fleet, topics))
    if settings.commands.enabled:
        filters.add(topics.command_filter())
    return sorted(filters)


def is_contributing(fleet: FleetSettings, topics: Topics) -> list[str]:
    """Return the topics of the devices whose sums are adopted."""
    place = topics.contribution_filter(fleet.name).removesuffix("+")
    return [place + encode_level(device) for device in fleet.devices]


def resolve_paths(mqtt: MqttSettings, folder: Path) -> MqttSettings:
    """Return settings whose paths start from a folder."""
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
