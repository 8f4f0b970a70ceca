"""Home Assistant discovery: one retained message announces a device with all its entities.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (as of November 2026).
Messages that are replayed after an outage do not change the state of an entity: the templates
ignore them.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from ..config import HomeAssistantSettings
from .packets import InboundMessage, OutboundMessage
from .presence import SilentPresence, Streams
from .topics import Topics, encode_level

REPUBLISH_S_MAX: Final = 5.0
"""Longest random delay after Home Assistant starts, so that devices do not all publish at once.
Chosen by hand; effect not measured."""

CHANNELS_MAX: Final = 16
"""Channels of a series with an entity each; the forecast topic has all.  More would crowd the
device page of Home Assistant.  Chosen by hand; effect not measured."""

ORIGIN: Final = "Auricle"
_NOT_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]+")


class HomeAssistant(SilentPresence):
    """Announces a device; the retained announcement stays while the device is offline.

    streams: returns the streams to announce now.  draw: returns numbers in [0, 1).
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        device: str,
        version: str,
        streams: Callable[[], Streams],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._enabled = settings.enabled
        self._status = f"{settings.prefix}/status"
        self._draw = draw
        self._started = False
        self._due_s: float | None = None
        self._topic = f"{settings.prefix}/device/{object_id('auricle', device)}/config"
        self._announce = partial(_announce, device, version, streams)

    def birth(self) -> Iterable[OutboundMessage]:
        """Return the announcement, or its removal if discovery is disabled."""
        body = msgspec.json.encode(self._announce()) if self._enabled else b""
        return (OutboundMessage(self._topic, body, retain=True),)

    def filters(self) -> Iterable[str]:
        """Return the birth topic of Home Assistant."""
        return (self._status,) if self._enabled else ()

    def handle(self, message: InboundMessage) -> bool:
        """Handle the birth message of Home Assistant; a retained one is not new."""
        if not self._enabled or message.topic != self._status:
            return False
        self._started = self._started or (message.payload == b"online" and not message.retained)
        return True

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Return the announcement again, a random delay after Home Assistant started."""
        if self._started:
            self._started = False
            self._due_s = now_s + self._draw() * REPUBLISH_S_MAX
        if self._due_s is None or now_s < self._due_s:
            return ()
        self._due_s = None
        return self.birth()


def object_id(*names: str) -> str:
    """Return an id of the characters that Home Assistant allows, unique for these names."""
    text = "_".join(names)
    plain = _NOT_AN_ID.sub("_", text)
    if plain == text and "_".join(names[1:]).count("_") == len(names) - 2:
        return plain
    return f"{plain}_{hashlib.sha256('/'.join(map(encode_level, names)).encode()).hexdigest()[:8]}"


def _announce(device: str, version: str, streams: Callable[[], Streams]) -> dict[str, Any]:
    return discovery_message(device, version, streams())


def discovery_message(device: str, version: str, streams: Streams) -> dict[str, Any]:
    """Return the discovery payload of a device.

    Entities: one for its connection, three for its health, and five for each sample stream; for a
    series its change points, its anomalies, and a forecast for each of the first `CHANNELS_MAX`
    channels.
    """
    topics = Topics(device)
    parts = dict(_of_device(device, topics))
    for stream, channels in streams.items():
        if channels is None:
            parts |= _of_stream(device, topics, stream)
        else:
            parts |= _of_series(device, topics, stream, channels[:CHANNELS_MAX])
    return {
        "dev": {"ids": object_id("auricle", device), "name": device, "mf": ORIGIN, "sw": version},
        "o": {"name": ORIGIN, "sw": version},
        "availability": [{"topic": topics.status, "value_template": "{{ value_json.state }}"}],
        "cmps": parts,
    }


def _of_device(device: str, topics: Topics) -> dict[str, dict[str, Any]]:
    connection = {
        "p": "binary_sensor",
        "name": "Connection",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.status,
        "value_template": "{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
        # It shows the connection itself, so it must stay available while the device is offline.
        "availability": [{"topic": topics.status, "value_template": "{{ 'online' }}"}],
    }
    counted = {
        "waiting": ("Messages waiting", "value_json.outbox.waiting", "measurement"),
        "dropped": ("Messages dropped", "value_json.outbox.dropped", "total_increasing"),
        "decided": (
            "Decisions",
            "value_json.streams | map(attribute='decided') | sum",
            "total_increasing",
        ),
    }
    parts = {("connection",): connection} | {
        (key,): {
            "p": "sensor",
            "name": name,
            "state_class": kind,
            "entity_category": "diagnostic",
            "state_topic": topics.health,
            "value_template": f"{{{{ {value} }}}}",
        }
        for key, (name, value, kind) in counted.items()
    }
    return _with_ids(device, parts)


def _of_stream(device: str, topics: Topics, stream: str) -> dict[str, dict[str, Any]]:
    where = topics.message_topic("decision", stream)
    parts: dict[str, dict[str, Any]] = {
        "novelty": {"p": "sensor", "state_class": "measurement"},
        "domain": {"p": "sensor"},
        "label": {"p": "sensor"},
        "drift": {"p": "binary_sensor", "device_class": "problem"},
    }
    values = {
        "novelty": "value_json.score",
        "domain": "value_json.domain",
        "label": "value_json.label or 'unknown'",
        "drift": "'ON' if value_json.alarm else 'OFF'",
    }
    made = {
        (stream, key): part
        | {
            "name": f"{stream} {key}",
            "state_topic": where,
            "value_template": _live(values[key]),
        }
        for key, part in parts.items()
    }
    made[stream, "lasting-alarm"] = _of_question(topics, stream)
    return _with_ids(device, made)


def _of_question(topics: Topics, stream: str) -> dict[str, Any]:
    """Return the entity of a lasting alarm: how far the stream is above its level.  Its attributes
    are what the command `confirm` needs."""
    where = topics.message_topic("alarm-question", stream)
    return {
        "p": "sensor",
        "name": f"{stream} lasting alarm",
        "state_topic": where,
        "value_template": _live("value_json.shift"),
        "json_attributes_topic": where,
        "json_attributes_template": "{{ {'alarm_id': value_json.alarm_id, 'stream':"
        " value_json.stream, 'domain': value_json.domain} | tojson }}",
    }


def _of_series(
    device: str, topics: Topics, stream: str, channels: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    forecasts = topics.message_topic("forecast", stream)
    change_points = topics.message_topic("change-point", stream)
    parts: dict[tuple[str, ...], dict[str, Any]] = {
        (stream, "change-point"): {
            "p": "sensor",
            "name": f"{stream} change point",
            "state_topic": change_points,
            "value_template": _live("value_json.change"),
        },
        (stream, "anomaly"): {
            "p": "binary_sensor",
            "name": f"{stream} anomaly",
            "device_class": "problem",
            "state_topic": forecasts,
            "value_template": _live("'ON' if value_json.anomaly_alarm else 'OFF'"),
        },
    }
    for place, channel in enumerate(channels):
        ahead = f"value_json.{{}}[0][{place}]"
        bounds = ", ".join(f"'{key}': {ahead.format(key)}" for key in ("low", "high"))
        parts[stream, channel, "forecast"] = {
            "p": "sensor",
            "name": f"{stream} {channel} forecast",
            "state_class": "measurement",
            "state_topic": forecasts,
            "value_template": _live(ahead.format("point")),
            "json_attributes_topic": forecasts,
            "json_attributes_template": "{{ {"
            + bounds
            + ", 'samples_ahead': value_json.horizons[0]} | tojson }}",
        }
    return _with_ids(device, parts)


def _live(value: str) -> str:
    """Return the template of a value that ignores messages replayed after an outage."""
    return f"{{{{ this.state if value_json.historical else {value} }}}}"


def _with_ids(device: str, parts: Mapping[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the entities, keyed by tuples of names, under their unique ids."""
    named = {object_id("auricle", device, *names): part for names, part in parts.items()}
    return {key: part | {"unique_id": key} for key, part in named.items()}
