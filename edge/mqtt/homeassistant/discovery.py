"""The discovery payload: one retained message announces a device with all its entities.

Messages that are replayed after an outage do not change the state of an entity: the templates
ignore them.  Every entity is available while the device is connected, and one of a stream only
while its source measures.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...core import TEXT_CHARS_MAX
from ..topics import Topics, encode_level
from .device import AnnouncedDevice, AnnouncedHome, AnnouncedStream
from .states import NEW, UNDECIDED, literal, state_of, state_template

Entities = dict[tuple[str, ...], dict[str, Any]]
"""Entities by the names that identify them."""

CHANNELS_MAX: Final = 16
"""Channels of a series with an entity each; the forecast topic has all.  More would crowd the
device page of Home Assistant.  Chosen by hand; effect not measured."""

OPTIONS_BYTES_MAX: Final = 8_192
"""Bytes of the labels in a list: Home Assistant's recorder drops attributes above 16,384 bytes
(components/recorder/const.py), and the list is one of them.  Labels beyond can be typed."""

HEALTH_MISSED: Final = 3
"""Health messages that may fail to arrive before their values expire: they have QoS 0."""

RATE_PERCENT: Final = (0.01, 49.99, 0.01)
"""Least and largest false-alarm rate of the entity, and its step.  The setting is above 0 and below
0.5 (edge/core/config.py)."""

CHANGES: Final = ("outage", "return", "jump", "level", "drift")
"""Kinds of change points (`ChangePoint.change`)."""

ORIGIN: Final = "Auricle"
_NOT_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]+")


class EntityTopics:
    """The topics that only Home Assistant uses, below `homeassistant` and `control` of the
    device's own."""

    def __init__(self, device: str) -> None:
        own = Topics(device)
        self.base = own.base
        self.state = f"{own.base}/homeassistant/state"
        self.answer = f"{own.base}/homeassistant/answer"
        self.controls = f"{own.base}/control/+"

    def flagged(self, stream: str) -> str:
        """Return the topic of a stream's flagged observation."""
        return f"{self.base}/homeassistant/flagged/{encode_level(stream)}"

    def picture(self, stream: str) -> str:
        """Return the topic of its picture."""
        return f"{self.base}/homeassistant/picture/{encode_level(stream)}"

    def control(self, kind: str) -> str:
        """Return the topic of a kind of control."""
        return f"{self.base}/control/{kind}"


def object_id(*names: str) -> str:
    """Return an id of the characters that Home Assistant allows, unique for these names."""
    text = "_".join(names)
    plain = _NOT_AN_ID.sub("_", text)
    if plain == text and "_".join(names[1:]).count("_") == len(names) - 2:
        return plain
    return f"{plain}_{hashlib.sha256('/'.join(map(encode_level, names)).encode()).hexdigest()[:8]}"


def discovery_message(
    device: AnnouncedDevice, *, controls: bool = False, pictures: bool = False
) -> dict[str, Any]:
    """Return the discovery payload of a device.

    controls, pictures: whether it has these entities.
    """
    topics, own = Topics(device.name), EntityTopics(device.name)
    labels = {home.name: home.labels for home in device.homes}
    entities = _of_device(device, topics)
    if controls:
        entities["answer",] = _of_answers(own)
    for home in device.homes:
        entities |= _of_home(home, own, controls=controls)
    for stream in device.streams:
        entities |= _of_source(device.name, stream, own)
        if stream.channels is not None:
            entities |= _of_series(device.name, stream, topics, own)
            continue
        entities |= _of_decisions(device.name, stream, topics, own)
        if pictures and stream.pictures:
            entities |= _of_picture(device.name, stream, own)
        if controls:
            entities |= _of_controls(device.name, stream, labels.get(stream.home, ()), own)
    about = {
        "ids": object_id("auricle", device.name),
        "name": device.name,
        "mf": ORIGIN,
        "mdl": device.model,
        "hw": device.hardware,
        "sw": device.version,
        "cu": device.console,
    }
    return {
        "dev": {key: value for key, value in about.items() if value},
        "o": {"name": ORIGIN, "sw": device.version},
        "availability": [_connected(topics)],
        "cmps": _with_ids(device.name, entities),
    }


def _connected(topics: Topics) -> dict[str, str]:
    return {"topic": topics.status, "value_template": "{{ value_json.state }}"}


def _measures(device: str, stream: str, own: EntityTopics) -> dict[str, Any]:
    """Return the availability of a stream's entities."""
    key = object_id("auricle", device, stream)
    state = f"value_json.streams[{literal(key)}] | default('offline')"
    online = f"{{{{ 'offline' if ({state}) == 'offline' else 'online' }}}}"
    return {
        "availability": [
            _connected(Topics(device)),
            {"topic": own.state, "value_template": online},
        ],
        "availability_mode": "all",
    }


def _of_answers(own: EntityTopics) -> dict[str, Any]:
    """Return the event entity of what became of a control."""
    fields = ", ".join(f"'{one}': value_json.{one}" for one in ("control", "text", "hint"))
    return {
        "p": "event",
        "name": "Answer to a control",
        "icon": "mdi:message-reply-text",
        "entity_category": "diagnostic",
        "event_types": ["done", "refused"],
        "state_topic": own.answer,
        "value_template": _event("'done' if value_json.done else 'refused'", fields),
    }


def _of_device(device: AnnouncedDevice, topics: Topics) -> Entities:
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
    health: Entities = {
        (key,): {
            "p": "sensor",
            "name": name,
            "state_class": kind,
            "entity_category": "diagnostic",
            "state_topic": topics.health,
            "value_template": f"{{{{ {value} }}}}",
            "expire_after": round(HEALTH_MISSED * device.health_s),
        }
        for key, (name, value, kind) in counted.items()
    }
    return {("connection",): connection} | health


def _of_home(home: AnnouncedHome, own: EntityTopics, *, controls: bool) -> Entities:
    """Return the entities of a home: the chosen false-alarm rate, and its bundle."""
    place = f"value_json.homes[{literal(object_id('home', home.name))}]"
    named = f"{home.name} " if home.name else ""
    rate: dict[str, Any] = {
        "name": f"{named}false-alarm rate",
        "state_topic": own.state,
        "value_template": f"{{{{ {place}.rate }}}}",
        "unit_of_measurement": "%",
        "icon": "mdi:alarm-light-outline",
    }
    least, most, step = RATE_PERCENT
    if controls:
        sent = f"{{'home': {literal(home.name)}, 'percent': value}}"
        rate |= {
            "p": "number",
            "entity_category": "config",
            "command_topic": own.control("false-alarm-rate"),
            "command_template": f"{{{{ {sent} | tojson }}}}",
            "min": least,
            "max": most,
            "step": step,
            "mode": "box",
        }
    else:
        rate |= {"p": "sensor", "entity_category": "diagnostic"}
    made: Entities = {("home", home.name, "rate" if controls else "rate-shown"): rate}
    if home.bundle is not None:
        made["home", home.name, "bundle"] = {
            "p": "update",
            "name": f"{named}bundle",
            "entity_category": "diagnostic",
            "state_topic": own.state,
            "value_template": f"{{{{ {place}.bundle | tojson }}}}",
        }
    return made


def _of_source(device: str, stream: AnnouncedStream, own: EntityTopics) -> Entities:
    """Return the entity that shows whether a stream's source measures."""
    key = literal(object_id("auricle", device, stream.name))
    return {
        (stream.name, "source"): {
            "p": "binary_sensor",
            "name": f"{stream.name} source",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": own.state,
            "value_template": f"{{{{ 'OFF' if value_json.streams[{key}] == 'online' else 'ON' }}}}",
        }
    }


def _of_decisions(
    device: str, stream: AnnouncedStream, topics: Topics, own: EntityTopics
) -> Entities:
    """Return the entities of a stream's decisions, alarms and flagged observation."""
    name, decisions = stream.name, topics.message_topic("decision", stream.name)
    undecided = f"{literal(UNDECIDED)} if value_json.known is none else {literal(NEW)}"
    novelty = "100 * (1 - value_json.p_value)"
    numbers = f"({novelty}) | round(2) if value_json.p_value is number else none"
    parts: dict[str, dict[str, Any]] = {
        "novelty": {
            "p": "sensor",
            "state_class": "measurement",
            "unit_of_measurement": "%",
            "suggested_display_precision": 1,
            "icon": "mdi:new-box",
            "value_template": _live(numbers),
        },
        "domain": {"p": "sensor", "value_template": state_template("value_json.domain", "none")},
        "label": {"p": "sensor", "value_template": state_template("value_json.label", undecided)},
        "drift": {
            "p": "binary_sensor",
            "device_class": "problem",
            "value_template": _live("'ON' if value_json.alarm else 'OFF'"),
        },
    }
    available = _measures(device, name, own)
    made: Entities = {
        (name, key): {"name": f"{name} {key}", "state_topic": decisions} | part | available
        for key, part in parts.items()
    }
    made[name, "alarm"] = _of_alarm(topics, name) | available
    made[name, "flagged"] = _of_flagged(own, name) | available
    made[name, "question"] = _of_question(own, name) | available
    return made


def _of_alarm(topics: Topics, stream: str) -> dict[str, Any]:
    """Return the event entity of a stream's alarms."""
    kind = "'raised' if value_json.raised else 'ended'"
    fields = "'domain': value_json.domain, 'observation_id': value_json.observation_id"
    return {
        "p": "event",
        "name": f"{stream} alarm",
        "icon": "mdi:alarm-light",
        "event_types": ["raised", "ended"],
        "state_topic": topics.message_topic("alarm", stream),
        "value_template": _event(kind, fields),
    }


def _of_flagged(own: EntityTopics, stream: str) -> dict[str, Any]:
    """Return the entity of the observation flagged last: its state is the runtime's guess."""
    absent = f"{literal(NEW)} if value_json.observation_id else none"
    return {
        "p": "sensor",
        "name": f"{stream} flagged",
        "icon": "mdi:help-box",
        "state_topic": own.flagged(stream),
        "value_template": state_template("value_json.guess or none", absent),
        **_shown(own, stream),
    }


def _of_question(own: EntityTopics, stream: str) -> dict[str, Any]:
    """Return the entity that is on while a lasting alarm waits for an answer."""
    return {
        "p": "binary_sensor",
        "name": f"{stream} lasting alarm",
        "device_class": "problem",
        "state_topic": own.flagged(stream),
        "value_template": "{{ 'ON' if value_json.alarm_id else 'OFF' }}",
        **_shown(own, stream),
    }


def _shown(own: EntityTopics, stream: str) -> dict[str, Any]:
    """Return the attributes that name the flagged observation and the alarm: controls return them,
    so that an answer is about the observation that was shown."""
    return {"json_attributes_topic": own.flagged(stream)}


def _of_picture(device: str, stream: AnnouncedStream, own: EntityTopics) -> Entities:
    return {
        (stream.name, "picture"): {
            "p": "image",
            "name": f"{stream.name} flagged picture",
            "image_topic": own.picture(stream.name),
            "content_type": "image/jpeg",
            **_shown(own, stream.name),
            **_measures(device, stream.name, own),
        }
    }


def _of_controls(
    device: str, stream: AnnouncedStream, labels: Iterable[str], own: EntityTopics
) -> Entities:
    """Return the entities that answer for the observation that Home Assistant shows."""
    name, options = stream.name, options_of(labels)
    fields = ("stream", "observation_id")
    shown = ", ".join(f"'{one}': this.attributes.get('{one}', '')" for one in fields)
    alarm = "'alarm_id': this.attributes.get('alarm_id', '')"
    common = _shown(own, name) | _measures(device, name, own)
    labelling = {
        "command_topic": own.control("label"),
        "command_template": f"{{{{ {{{shown}, 'label': value}} | tojson }}}}",
        "state_topic": own.flagged(name),
        **common,
    }
    made: Entities = {
        (name, "label-text"): {
            "p": "text",
            "name": f"{name} flagged is",
            "icon": "mdi:form-textbox",
            "max": TEXT_CHARS_MAX + 2,
            "value_template": state_template("value_json.label or none", "''"),
            **labelling,
        },
        (name, "not-new"): {
            "p": "button",
            "name": f"{name} not new",
            "icon": "mdi:check-decagram",
            "command_topic": own.control("not-new"),
            "command_template": f"{{{{ {{{shown}, {alarm}}} | tojson }}}}",
            **common,
        },
    }
    if options:
        made[name, "label-list"] = {
            "p": "select",
            "name": f"{name} flagged is one of",
            "icon": "mdi:label-multiple",
            "options": options,
            **labelling,
            "value_template": state_template("value_json.listed or none", "none"),
        }
    return made


def options_of(labels: Iterable[str]) -> list[str]:
    """Return labels as the options of a list, as many as fit."""
    options: list[str] = []
    size = 0
    for label in labels:
        size += len(state_of(label).encode()) + len('"",')
        if size > OPTIONS_BYTES_MAX:
            break
        options.append(state_of(label))
    return options


def _of_series(device: str, stream: AnnouncedStream, topics: Topics, own: EntityTopics) -> Entities:
    """Return the entities of a series: changes, anomalies, and a forecast for each of the first
    `CHANNELS_MAX` channels."""
    name, available = stream.name, _measures(device, stream.name, own)
    forecasts = topics.message_topic("forecast", name)
    found = "'channels': value_json.channels[:16], 'observation_id': value_json.observation_id"
    parts: Entities = {
        (name, "change"): {
            "p": "event",
            "name": f"{name} change",
            "icon": "mdi:chart-timeline-variant",
            "event_types": list(CHANGES),
            "state_topic": topics.message_topic("change-point", name),
            "value_template": _event(
                "value_json.change",
                f"{found}, 'severity': value_json.severity, 'regime': value_json.regime",
            ),
        },
        (name, "surprise"): {
            "p": "event",
            "name": f"{name} alarm",
            "icon": "mdi:alarm-light",
            "event_types": ["raised"],
            "state_topic": topics.message_topic("anomaly", name),
            "value_template": _event("'raised'", f"{found}, 'scale': value_json.scale"),
        },
        (name, "anomaly"): {
            "p": "binary_sensor",
            "name": f"{name} anomaly",
            "device_class": "problem",
            "state_topic": forecasts,
            "value_template": _live("'ON' if value_json.anomaly_alarm else 'OFF'"),
        },
    }
    for place, channel in enumerate((stream.channels or ())[:CHANNELS_MAX]):
        parts[name, channel, "forecast"] = _of_forecast(name, channel, place, forecasts)
    return {key: part | available for key, part in parts.items()}


def _of_forecast(stream: str, channel: str, place: int, topic: str) -> dict[str, Any]:
    ahead = f"value_json.{{}}[0][{place}]"
    bounds = ", ".join(f"'{key}': {ahead.format(key)}" for key in ("low", "high"))
    return {
        "p": "sensor",
        "name": f"{stream} {channel} forecast",
        "state_class": "measurement",
        "state_topic": topic,
        "value_template": _live(ahead.format("point")),
        "json_attributes_topic": topic,
        "json_attributes_template": f"{{{{ {{{bounds}, 'samples_ahead': value_json.horizons[0]}}"
        " | tojson }}",
    }


def _live(value: str) -> str:
    """Return the template of a number, ON or OFF; Home Assistant ignores an empty one, which a
    message replayed after an outage gives."""
    return f"{{{{ '' if value_json.get('historical') else {value} }}}}"


def _event(kind: str, fields: str) -> str:
    """Return the template of an event; an empty one is ignored, as in `_live`."""
    body = f"{{'event_type': {kind}, {fields}}}"
    return f"{{{{ '' if value_json.get('historical') else {body} | tojson }}}}"


def _with_ids(device: str, parts: Mapping[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the entities, keyed by tuples of names, under their unique ids."""
    named = {object_id("auricle", device, *names): part for names, part in parts.items()}
    return {key: part | {"unique_id": key} for key, part in named.items()}
