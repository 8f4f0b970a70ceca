"""JSON Schemas of what is published, made from the very classes that are published.

Writers write every field, so that all are required; readers ignore fields that they don't know, so
that a newer version may add some.
"""

import inspect
from typing import Any, Final, get_args

import msgspec

from ..core import Message
from .messages import BundleTrialReport, ClockJump, DaemonStatus, OutboxGap, Response
from .status import DeviceStatus
from .topics import ROOT, kind_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

TOLD: Final[tuple[type, ...]] = (
    *get_args(Message),
    OutboxGap,
    ClockJump,
    DaemonStatus,
    Response,
    BundleTrialReport,
)
"""Classes whose messages have a sequence number."""

_NUMBERED: Final[dict[str, Any]] = {
    "historical": {"type": "boolean", "description": "told later than it happened"},
    "sequence": {
        "type": "integer",
        "minimum": 0,
        "description": "one counter a device over all that it tells, none twice; 0: has no number",
    },
    "at_ns": {"type": "integer", "description": "when it was told, nanoseconds since 1970"},
}


def message_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of every kind of message, by kind."""
    made = {kind_of(one): message_schema(one, _NUMBERED) for one in TOLD}
    return made | {kind_of(DeviceStatus): message_schema(DeviceStatus, {})}


def message_schema(told: type, more: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a class of messages in its envelope.  more: fields of the envelope."""
    kind = kind_of(told)
    (reference,), parts = msgspec.json.schema_components([told], ref_template="#/$defs/{name}")
    parts = {name: _as_written(part) for name, part in parts.items()}
    own = parts.pop(reference["$ref"].rpartition("/")[2])
    fields = {
        "schema": {"const": f"{ROOT}/{kind}"},
        "device": {"type": "string", "minLength": 1},
    }
    properties = fields | more | own["properties"]
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
    """Say what is written: every field, and null for a number that is none."""
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
