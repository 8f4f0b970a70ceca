"""Home Assistant's device discovery: one retained message announces a device with all its entities.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (read in November 2026).
What is replayed after an outage doesn't change what an entity shows: the templates keep the state.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from ..config import HomeAssistantSettings
from .packets import InboundMessage, OutboundMessage, SilentPresence
from .streams import Streams
from .topics import Topics, encode_level

REPUBLISH_S_MAX: Final = 5.0
"""After Home Assistant came up, devices wait up to this long, so that not all speak at once."""

CHANNELS_MAX: Final = 16
"""Channels of a series that get an entity each; all of them are in the topic of its forecasts."""

ORIGIN: Final = "Auricle"
_NOT_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]+")


class HomeAssistant(SilentPresence):
    """Announces a device, which stays announced while it is away.

    streams: gives those of the moment.  chance: draws from [0, 1).
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        device: str,
        version: str,
        streams: Callable[[], Streams],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._enabled = settings.enabled
        self._status = f"{settings.prefix}/status"
        self._chance = chance
        self._heard = False
        self._due_s: float | None = None
        self._topic = f"{settings.prefix}/device/{object_id('auricle', device)}/config"
        self._announce = partial(_announce, device, version, streams)

    def hello(self) -> Iterable[OutboundMessage]:
        """Announce the device, or take back what was announced before it was switched off."""
        body = msgspec.json.encode(self._announce()) if self._enabled else b""
        return (OutboundMessage(self._topic, body, retain=True),)

    def filters(self) -> Iterable[str]:
        """Listen for Home Assistant coming up."""
        return (self._status,) if self._enabled else ()

    def hear(self, arrival: InboundMessage) -> bool:
        """Note that Home Assistant came up."""
        if not self._enabled or arrival.topic != self._status:
            return False
        self._heard = self._heard or (arrival.payload == b"online" and not arrival.retained)
        return True

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Announce again, some time after Home Assistant came up."""
        if self._heard:
            self._heard = False
            self._due_s = now_s + self._chance() * REPUBLISH_S_MAX
        if self._due_s is None or now_s < self._due_s:
            return ()
        self._due_s = None
        return self.hello()


def object_id(*names: str) -> str:
    """Make an id of the signs that Home Assistant allows, another for each other names."""
    text = "_".join(names)
    plain = _NOT_AN_ID.sub("_", text)
    if plain == text and "_".join(names[1:]).count("_") == len(names) - 2:
        return plain
    return f"{plain}_{hashlib.sha256('/'.join(map(encode_level, names)).encode()).hexdigest()[:8]}"


def _announce(device: str, version: str, streams: Callable[[], Streams]) -> dict[str, Any]:
    return discovery_message(device, version, streams())


def discovery_message(device: str, version: str, streams: Streams) -> dict[str, Any]:
    """Return the discovery payload of a device: one entity of its connection, three of its health,
    four of each stream that decisions are told of; of a series the changes, and a forecast of each
    channel, of the first `CHANNELS_MAX`."""
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
        # It says itself whether the device is there, and has to be there to say so.
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
    where = topics.telling("decision", stream)
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
    return _with_ids(device, made)


def _of_series(
    device: str, topics: Topics, stream: str, channels: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    forecasts, changes = topics.telling("forecast", stream), topics.telling("change-point", stream)
    parts: dict[tuple[str, ...], dict[str, Any]] = {
        (stream, "change"): {
            "p": "sensor",
            "name": f"{stream} change",
            "state_topic": changes,
            "value_template": _live("value_json.change"),
        }
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
    """Return the template of a value that is not touched by what is replayed after an outage."""
    return f"{{{{ this.state if value_json.historical else {value} }}}}"


def _with_ids(device: str, parts: Mapping[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Key the parts, by tuples of names, by the ids that Home Assistant remembers them by."""
    named = {object_id("auricle", device, *names): part for names, part in parts.items()}
    return {key: part | {"unique_id": key} for key, part in named.items()}
