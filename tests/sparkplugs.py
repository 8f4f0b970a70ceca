"""An independent decoder of Sparkplug payloads, from the public field numbers alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

NAMES = {1: "name", 2: "alias", 3: "timestamp", 4: "datatype", 5: "is_historical", 7: "is_null"}
VALUES = {10: int, 11: int, 12: float, 13: float, 14: bool, 15: str}


@dataclass
class Read:
    """A payload; metrics by name or, without one, by alias."""

    timestamp: int = -1
    seq: int | None = None
    metrics: dict[Any, dict[str, Any]] = field(default_factory=dict)


def read_payload(data: bytes) -> Read:
    """Read a payload of Sparkplug B."""
    made = Read()
    for number, value in fields(data):
        if number == 1:
            made.timestamp = value
        elif number == 3:
            made.seq = value
        elif number == 2:
            metric = read_metric(value)
            made.metrics[metric.get("name", metric.get("alias"))] = metric
    return made


def read_metric(data: bytes) -> dict[str, Any]:
    """Read a metric, its value under "value"."""
    made: dict[str, Any] = {}
    for number, value in fields(data):
        if number in VALUES:
            text = value.decode() if isinstance(value, bytes) else value
            made["value"] = VALUES[number](text)
        else:
            made[NAMES[number]] = value.decode() if isinstance(value, bytes) else value
    return made


def fields(data: bytes) -> list[tuple[int, Any]]:
    """Split a message into field numbers and values."""
    made: list[tuple[int, Any]] = []
    at = 0
    value: Any
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        made.append((key >> 3, value))
    return made


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint; return it and the offset of its end."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 128:
            return value, at


def rebirth_command() -> bytes:
    """Return an NCMD that requests a rebirth, encoded by hand."""
    name = b"Node Control/Rebirth"
    metric = b"\x0a" + bytes([len(name)]) + name + b"\x20\x0b" + b"\x70\x01"
    return b"\x08\x01" + b"\x12" + bytes([len(metric)]) + metric
