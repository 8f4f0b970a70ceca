"""Decodes payloads: bytes as JSON, CBOR or raw numbers to a measurement, or why they are invalid.

A message holds a list of numbers, an object `{"values": ...}` with metadata, or an object whose
fields, also nested ones, are the values.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np

from ..config import SentStream
from ..core import COUNT_MAX, TEXT_CHARS_MAX, NamedValues, listed
from .measurement import InvalidMeasurement, Measurement, MeasurementMetadata

NUMBERS_MAX: Final = 1 << 20
"""Numbers of one sample: more than an image of 512 x 512 in RGB has.  Bounds memory."""

CHANNELS_MAX: Final = 4_096
"""Channels of a series, and fields of one message.  Chosen by hand; effect not measured."""

DEPTH_MAX: Final = 8
"""Levels of nested objects; sensor messages have two or three.  Chosen by hand."""

METADATA_FIELDS: Final = ("id", "subject", "sequence", "captured_at_ns")
"""Top-level fields of a message that are never values unless the settings name them."""

_EXPECTED: Final = (
    'send [1.5, 2.0], {"values": [1.5, 2.0], "id": "x", "captured_at_ns": 0}, or numbers by name:'
    ' {"temperature": 1.5}'
)


class PayloadDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measurement as JSON or CBOR: `values`, and their metadata."""

    values: list[Any] | dict[str, Any]
    id: str = ""
    subject: str = ""
    sequence: int | None = None
    captured_at_ns: int | None = None
    recording: str = ""


_read_json: Final = msgspec.json.Decoder(list[Any] | dict[str, Any])


def decode_payload(
    stream: str, settings: SentStream, body: bytes, metadata: MeasurementMetadata
) -> Measurement | InvalidMeasurement:
    """Decode one measurement.

    metadata: sent outside the body; the metadata in a document takes precedence.

    Cost: about 10 us for 64 numbers of JSON.
    """
    if not body:
        return InvalidMeasurement("it has no bytes", "send the measurement as the message's body")
    try:
        match settings.format:
            case "image":
                return Measurement(stream, body, metadata)
            case "raw":
                return _from_raw(stream, settings, body, metadata)
            case "json":
                return _from_message(stream, settings, _read_json.decode(body), metadata)
            case _:
                return _from_message(stream, settings, _read_cbor(body), metadata)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return InvalidMeasurement(
            f"it is not {settings.format} as expected: {_shorten(error)}", _EXPECTED
        )
    except (RecursionError, MemoryError, ValueError, OverflowError, TypeError) as error:
        return InvalidMeasurement(
            f"it cannot be read as {settings.format}: {_shorten(error)}", _EXPECTED
        )


def read_properties(
    pairs: Iterable[tuple[str, str]],
) -> MeasurementMetadata | InvalidMeasurement:
    """Read metadata sent outside the body: id, subject, sequence, captured_at_ns, recording.  Other
    names are ignored."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in {"sequence", "captured_at_ns"}:
            if not (text.isascii() and text.isdigit() and len(text) <= 19):
                return InvalidMeasurement(
                    f"{name} is {text[:40]!r}", f"send {name} as a whole number from 0"
                )
            found[name] = int(text)
        elif name in {"id", "subject", "recording"}:
            found[name] = text
    return _checked(MeasurementMetadata(**found))


def parse_numbers(values: object, kind: str) -> Any:
    """Convert a decoded list to a payload: a float32 array of a sample, float64 [channels] of a
    series.  None is a missing value of a series.  Raises ValueError if it holds other things."""
    if kind == "series":
        if not isinstance(values, list) or len(values) > CHANNELS_MAX:
            raise ValueError(f"a series is a list of at most {CHANNELS_MAX} numbers")
        return np.array([math.nan if v is None else v for v in values], np.float64)
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.size > NUMBERS_MAX:
        raise ValueError(f"expected at most {NUMBERS_MAX} numbers in rows of equal length")
    with np.errstate(over="ignore"):  # becomes infinite, which is rejected later
        return array.astype(np.float32)


def name_values(values: Any, columns: tuple[str, ...]) -> Any:
    """Name an array by the configured columns, if any.  Raises ValueError for another length."""
    if not columns:
        return values
    if np.shape(values) != (len(columns),):
        found = list(np.shape(values))
        raise ValueError(f"expected {len(columns)} numbers, one for each column, found {found}")
    return NamedValues(columns, values.astype(np.float64), ordered=True)


def flatten(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of nested objects by dotted name, such as `battery.voltage`.

    Raises ValueError for too many leaves or too many levels.
    """
    found: dict[str, Any] = {}
    for name, value in _leaves(fields, "", DEPTH_MAX):
        found[name] = value
        if len(found) > CHANNELS_MAX:
            raise ValueError(f"more than {CHANNELS_MAX} fields")
    return found


def select_columns(leaves: Mapping[str, Any], columns: tuple[str, ...], kind: str) -> NamedValues:
    """Select the configured columns of a message, in their order.  A series may lack some.

    Raises ValueError that names missing columns, TypeError that names a column without a number.
    """
    missing = [name for name in columns if name not in leaves]
    if missing and (kind == "sample" or len(missing) == len(columns)):
        raise ValueError(f"missing fields: {listed(missing)}; found {listed(tuple(leaves))}")
    values = [_number(name, leaves.get(name)) for name in columns]
    return NamedValues(columns, np.array(values, np.float64), ordered=True)


def _numeric_fields(leaves: Mapping[str, Any]) -> NamedValues:
    """Select the fields that hold a number, and skip others.  Raises ValueError if none does."""
    found = {name: float(value) for name, value in leaves.items() if isinstance(value, int | float)}
    if not found:
        names = listed(tuple(leaves)) or "no field"
        raise ValueError(f"it has no `values` and no field that holds a number; found {names}")
    return NamedValues(tuple(found), np.array(list(found.values()), np.float64))


def _all_fields(leaves: Mapping[str, Any]) -> NamedValues:
    """Select all fields, None as a missing number.  Raises TypeError for one without a number."""
    values = [_number(name, value) for name, value in leaves.items()]
    return NamedValues(tuple(leaves), np.array(values, np.float64))


def _leaves(fields: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if not depth:
        raise ValueError(f"its objects are nested more than {DEPTH_MAX} deep")
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.", depth - 1)
        else:
            yield name, value


def _number(name: str, value: Any) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float):
        raise TypeError(f"the field {name:.60} holds no number: {str(value)[:40]!r}")
    return float(value)


def _from_raw(
    stream: str, settings: SentStream, body: bytes, metadata: MeasurementMetadata
) -> Measurement | InvalidMeasurement:
    dtype = np.dtype(settings.dtype).newbyteorder("<")
    count = math.prod(settings.shape) if settings.shape else len(body) // dtype.itemsize
    if len(body) != count * dtype.itemsize:
        expected = f"{list(settings.shape) or 'a list'} of {settings.dtype}"
        return InvalidMeasurement(
            f"expected {expected}, {count * dtype.itemsize} bytes, found {len(body)}",
            "send little-endian numbers, or correct dtype and shape in the settings",
        )
    values = np.frombuffer(body, dtype).reshape(settings.shape or (-1,))
    target = np.float64 if settings.kind == "series" else np.float32
    return Measurement(stream, name_values(values.astype(target), settings.columns), metadata)


def _from_message(
    stream: str,
    settings: SentStream,
    message: list[Any] | dict[str, Any],
    metadata: MeasurementMetadata,
) -> Measurement | InvalidMeasurement:
    if isinstance(message, list):
        values = name_values(parse_numbers(message, settings.kind), settings.columns)
        return Measurement(stream, values, metadata)
    if "values" in message and "values" not in settings.columns:
        document = msgspec.convert(message, PayloadDocument)
        return _from_document(stream, settings, document, metadata)
    return _from_fields(stream, settings, message, metadata)


def _from_fields(
    stream: str, settings: SentStream, message: dict[str, Any], metadata: MeasurementMetadata
) -> Measurement | InvalidMeasurement:
    """Decode an object whose fields are the values.  Of the metadata fields only the time is used:
    a field `id` usually identifies the device rather than the measurement."""
    leaves = flatten(message)
    at_ns = message.get("captured_at_ns")
    if isinstance(at_ns, int) and "captured_at_ns" not in settings.columns:
        metadata = msgspec.structs.replace(metadata, captured_at_ns=at_ns)
    checked = _checked(metadata)
    if isinstance(checked, InvalidMeasurement):
        return checked
    if settings.columns:
        return Measurement(stream, select_columns(leaves, settings.columns, settings.kind), checked)
    fields = {name: value for name, value in leaves.items() if name not in METADATA_FIELDS}
    return Measurement(stream, _numeric_fields(fields), checked)


def _from_document(
    stream: str, settings: SentStream, document: PayloadDocument, metadata: MeasurementMetadata
) -> Measurement | InvalidMeasurement:
    captured_at_ns = document.captured_at_ns
    merged = MeasurementMetadata(
        document.id or metadata.id,
        document.subject or metadata.subject,
        metadata.sequence if document.sequence is None else document.sequence,
        metadata.captured_at_ns if captured_at_ns is None else captured_at_ns,
        document.recording or metadata.recording,
    )
    checked = _checked(merged)
    if isinstance(checked, InvalidMeasurement):
        return checked
    if isinstance(document.values, list):
        payload = name_values(parse_numbers(document.values, settings.kind), settings.columns)
        return Measurement(stream, payload, checked)
    leaves = flatten(document.values)
    if settings.columns:
        return Measurement(stream, select_columns(leaves, settings.columns, settings.kind), checked)
    payload = _all_fields(leaves)
    if settings.kind == "series":
        payload = dict(zip(payload.names, payload.values.tolist(), strict=True))
    return Measurement(stream, payload, checked)


def _read_cbor(body: bytes) -> list[Any] | dict[str, Any]:
    # Loaded with the first CBOR message.
    from .cbor import read_cbor

    return msgspec.convert(read_cbor(body), list[Any] | dict[str, Any])


def _checked(metadata: MeasurementMetadata) -> MeasurementMetadata | InvalidMeasurement:
    for name in ("id", "subject", "recording"):
        text = getattr(metadata, name)
        if len(text) > TEXT_CHARS_MAX or not (text.isprintable() or not text):
            return InvalidMeasurement(
                f"{name} is {text[:40]!r}, {len(text)} characters",
                f"send {name} as at most {TEXT_CHARS_MAX} printable characters",
            )
    for name in ("sequence", "captured_at_ns"):
        number = getattr(metadata, name)
        if number is not None and not 0 <= number <= COUNT_MAX:
            return InvalidMeasurement(
                f"{name} is {number}", f"send {name} as a whole number from 0 to 2^63 - 1"
            )
    return metadata


def _shorten(error: BaseException) -> str:
    return str(error)[:TEXT_CHARS_MAX]
