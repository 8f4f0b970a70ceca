"""Encodes and decodes Sparkplug B payloads, with the fields that an edge node needs.

Eclipse Sparkplug 3.0.0, section 6.4.  The protobuf message is described in code, so that no
generated file is shipped; unknown fields are skipped.  Needs the extra `sparkplug`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

Value = bool | int | float | str | None


class DataType(IntEnum):
    """The basic data types of Sparkplug that are used here."""

    INT64 = 4
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.  name: empty if the alias identifies it; alias: 0 for none.  kind: None if the
    birth message gave it.  A value of None, NaN or infinity is sent as null."""

    name: str
    alias: int
    kind: DataType | None
    value: Value
    at_ms: int
    historical: bool = False


_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "auricle.sparkplug"

# Name, number, type; the fields of `_VALUE` form one oneof.
_METRIC: Final = (
    ("name", 1, _FIELD.TYPE_STRING),
    ("alias", 2, _FIELD.TYPE_UINT64),
    ("timestamp", 3, _FIELD.TYPE_UINT64),
    ("datatype", 4, _FIELD.TYPE_UINT32),
    ("is_historical", 5, _FIELD.TYPE_BOOL),
    ("is_null", 7, _FIELD.TYPE_BOOL),
)
_VALUE: Final = (
    ("int_value", 10, _FIELD.TYPE_UINT32),
    ("long_value", 11, _FIELD.TYPE_UINT64),
    ("float_value", 12, _FIELD.TYPE_FLOAT),
    ("double_value", 13, _FIELD.TYPE_DOUBLE),
    ("boolean_value", 14, _FIELD.TYPE_BOOL),
    ("string_value", 15, _FIELD.TYPE_STRING),
)


def _describe() -> Any:
    """Return the message class of payloads."""
    file = descriptor_pb2.FileDescriptorProto(
        name="auricle_sparkplug.proto", package=_PACKAGE, syntax="proto2"
    )
    payload = file.message_type.add(name="Payload")
    metric = payload.nested_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    optional, repeated = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED
    for name, number, kind in _METRIC:
        metric.field.add(name=name, number=number, type=kind, label=optional)
    for name, number, kind in _VALUE:
        metric.field.add(name=name, number=number, type=kind, label=optional, oneof_index=0)
    payload.field.add(name="timestamp", number=1, type=_FIELD.TYPE_UINT64, label=optional)
    payload.field.add(
        name="metrics",
        number=2,
        type=_FIELD.TYPE_MESSAGE,
        label=repeated,
        type_name=f".{_PACKAGE}.Payload.Metric",
    )
    payload.field.add(name="seq", number=3, type=_FIELD.TYPE_UINT64, label=optional)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


_Payload: Final = _describe()


def encode_payload(metrics: Iterable[Metric], at_ms: int, seq: int | None) -> bytes:
    """Encode a payload.  at_ms: milliseconds since 1970.  seq: None for NDEATH, which has none."""
    payload = _Payload(timestamp=at_ms)
    if seq is not None:
        payload.seq = seq
    for metric in metrics:
        _write(payload.metrics.add(timestamp=max(metric.at_ms, 0)), metric)
    data: bytes = payload.SerializeToString()
    return data


def _write(one: Any, metric: Metric) -> None:
    if metric.name:
        one.name = metric.name
    if metric.alias:
        one.alias = metric.alias
    if metric.kind is not None:
        one.datatype = metric.kind
    if metric.historical:
        one.is_historical = True
    value = metric.value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        one.is_null = True
    elif isinstance(value, bool):
        one.boolean_value = value
    elif isinstance(value, int):
        one.long_value = value % (1 << 64)
    elif isinstance(value, float):
        one.double_value = value
    else:
        one.string_value = value


def decode_metrics(data: bytes) -> dict[str, Value] | None:
    """Decode the metrics of a command, by name; None if the bytes are not a payload."""
    try:
        payload = _Payload.FromString(data)
    except DecodeError:
        return None
    return {
        metric.name: getattr(metric, metric.WhichOneof("value"))
        for metric in payload.metrics
        if metric.name and metric.WhichOneof("value")
    }
