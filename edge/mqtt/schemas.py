"""JSON Schemas of the published messages, generated from the message classes themselves.

Writers write every field, so the schemas require all.  Readers ignore unknown fields, so a newer
version may add some.
"""

import inspect
from typing import Any, Final, get_args

import msgspec

from ..core import Message
from .messages import (
    BundleTrialReport,
    ClockJump,
    DaemonStatus,
    DeviceStatus,
    OutboxGap,
    Response,
)
from .topics import ROOT, kind_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

PUBLISHED: Final[tuple[type, ...]] = (
    *get_args(Message),
    OutboxGap,
    ClockJump,
    DaemonStatus,
    Response,
    BundleTrialReport,
)
"""Message classes with a sequence number."""

_NUMBERED: Final[dict[str, Any]] = {
    "historical": {"type": "boolean", "description": "published later than it happened"},
    "sequence": {
        "type": "integer",
        "minimum": 0,
        "description": "counts all messages of a device, never repeats; 0: not numbered",
    },
    "at_ns": {"type": "integer", "description": "time of publication, nanoseconds since 1970"},
}


def message_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of every kind of message, by kind."""
    made = {kind_of(one): message_schema(one, _NUMBERED) for one in PUBLISHED}
    return made | {kind_of(DeviceStatus): message_schema(DeviceStatus, {})}


def message_schema(message: type, envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a message class.  envelope: additional fields of its envelope."""
    kind = kind_of(message)
    (reference,), parts = msgspec.json.schema_components([message], ref_template="#/$defs/{name}")
    parts = {name: _as_written(part) for name, part in parts.items()}
    own = parts.pop(reference["$ref"].rpartition("/")[2])
    fields = {
        "schema": {"const": f"{ROOT}/{kind}"},
        "device": {"type": "string", "minLength": 1},
    }
    properties = fields | envelope | own["properties"]
    whole = {
        "$schema": DIALECT,
        "title": kind,
        "description": inspect.cleandoc(own.get("description", "")),
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    return whole | ({"$defs": parts} if parts else {})


def _as_written(part: Any) -> Any:
    """Adapt a schema to the encoder: it writes every field, and null for NaN and infinity."""
    if isinstance(part, list):
        return [_as_written(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: _as_written(value) for key, value in part.items() if key != "default"}
    if isinstance(made.get("description"), str):
        made["description"] = inspect.cleandoc(made["description"])
    if made.get("type") == "number":
        made["type"] = ["number", "null"]
    if made.get("type") == "object" and "properties" in made:
        made["required"] = list(made["properties"])
    return made
