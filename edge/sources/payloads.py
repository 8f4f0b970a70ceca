"""Bytes that were sent to measurements, or to the reason why they are none."""

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import numpy as np

from ..config import SentStream
from ..core import COUNT_MAX, TEXT_CHARS_MAX, NamedValues
from .fields import BESIDE, all_numbers, every_number, flatten, pick
from .measurement import InvalidMeasurement, Measurement, RawPayload

NUMBERS_MAX: Final = 1 << 20
CHANNELS_MAX: Final = 4_096


class PayloadDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measurement as JSON or CBOR: `values`, and what is known about it."""

    values: list[Any] | dict[str, Any]
    id: str = ""
    subject: str = ""
    sequence: int | None = None
    captured_at_ns: int | None = None


_read_json: Final = msgspec.json.Decoder(list[Any] | dict[str, Any])


def decode_payload(
    stream: str, sent: SentStream, body: bytes, given: RawPayload
) -> Measurement | InvalidMeasurement:
    """Read one measurement.  given: what came beside the body; a document's own words win.

    Cost: about 10 us for 64 numbers of JSON.
    """
    if not body:
        return InvalidMeasurement("it has no bytes", "send the measurement as the message's body")
    try:
        match sent.form:
            case "image":
                return Measurement(stream, body, given)
            case "raw":
                return _from_raw(stream, sent, body, given)
            case "json":
                return _from_message(stream, sent, _read_json.decode(body), given)
            case _:
                return _from_message(stream, sent, _read_cbor(body), given)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return InvalidMeasurement(f"it is not {sent.form} as expected: {_brief(error)}", _EXPECTED)
    except (RecursionError, MemoryError, ValueError, OverflowError, TypeError) as error:
        return InvalidMeasurement(f"it cannot be read as {sent.form}: {_brief(error)}", _EXPECTED)


_EXPECTED: Final = (
    'send [1.5, 2.0], {"values": [1.5, 2.0], "id": "x", "captured_at_ns": 0}, or numbers by name:'
    ' {"temperature": 1.5}'
)


def read_properties(pairs: Iterable[tuple[str, str]]) -> RawPayload | InvalidMeasurement:
    """Read what came beside a body, by name: id, subject, sequence, captured_at_ns.  Other names
    are somebody else's business."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in {"sequence", "captured_at_ns"}:
            if not (text.isascii() and text.isdigit() and len(text) <= 19):
                return InvalidMeasurement(
                    f"{name} is {text[:40]!r}", f"send {name} as a whole number from 0"
                )
            found[name] = int(text)
        elif name in {"id", "subject"}:
            found[name] = text
    return _checked(RawPayload(**found))


def parse_numbers(values: object, kind: str) -> Any:
    """Turn a decoded list of numbers into a payload: float32 array, float64 of a series.

    Raises ValueError where they are none.  None stands for a missing number of a series.
    """
    if kind == "series":
        if not isinstance(values, list) or len(values) > CHANNELS_MAX:
            raise ValueError(f"a series is a list of at most {CHANNELS_MAX} numbers")
        return np.array([math.nan if v is None else v for v in values], np.float64)
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.size > NUMBERS_MAX:
        raise ValueError(f"expected at most {NUMBERS_MAX} numbers in rows of equal length")
    with np.errstate(over="ignore"):  # infinite then, and refused as that
        return array.astype(np.float32)


def _from_raw(
    stream: str, sent: SentStream, body: bytes, given: RawPayload
) -> Measurement | InvalidMeasurement:
    dtype = np.dtype(sent.dtype).newbyteorder("<")
    count = math.prod(sent.shape) if sent.shape else len(body) // dtype.itemsize
    if len(body) != count * dtype.itemsize:
        expected = f"{list(sent.shape) or 'a list'} of {sent.dtype}"
        return InvalidMeasurement(
            f"expected {expected}, {count * dtype.itemsize} bytes, found {len(body)}",
            "send little-endian numbers, or correct dtype and shape in the settings",
        )
    values = np.frombuffer(body, dtype).reshape(sent.shape or (-1,))
    wanted = np.float64 if sent.kind == "series" else np.float32
    return Measurement(stream, name_list(values.astype(wanted), sent.columns), given)


def name_list(values: Any, columns: tuple[str, ...]) -> Any:
    """Name an array by the columns of the settings, where they name any.  Raises ValueError for
    another number of values."""
    if not columns:
        return values
    if np.shape(values) != (len(columns),):
        found = list(np.shape(values))
        raise ValueError(f"expected {len(columns)} numbers, one for each column, found {found}")
    return NamedValues(columns, values.astype(np.float64), ordered=True)


def _from_message(
    stream: str, sent: SentStream, message: list[Any] | dict[str, Any], given: RawPayload
) -> Measurement | InvalidMeasurement:
    if isinstance(message, list):
        return Measurement(
            stream, name_list(parse_numbers(message, sent.kind), sent.columns), given
        )
    if "values" in message and "values" not in sent.columns:
        return _from_document(stream, sent, msgspec.convert(message, PayloadDocument), given)
    return _from_fields(stream, sent, message, given)


def _from_fields(
    stream: str, sent: SentStream, message: dict[str, Any], given: RawPayload
) -> Measurement | InvalidMeasurement:
    """Read an object whose fields are the values.  Of what may stand beside values only the time
    counts: a field called `id` is the device's more often than the measurement's."""
    leaves = flatten(message)
    at_ns = message.get("captured_at_ns")
    if isinstance(at_ns, int) and "captured_at_ns" not in sent.columns:
        given = msgspec.structs.replace(given, captured_at_ns=at_ns)
    checked = _checked(given)
    if isinstance(checked, InvalidMeasurement):
        return checked
    if sent.columns:
        return Measurement(stream, pick(leaves, sent.columns, sent.kind), checked)
    taken = {name: value for name, value in leaves.items() if name not in BESIDE}
    return Measurement(stream, every_number(taken), checked)


def _from_document(
    stream: str, sent: SentStream, document: PayloadDocument, given: RawPayload
) -> Measurement | InvalidMeasurement:
    own = RawPayload(
        document.id or given.id,
        document.subject or given.subject,
        given.sequence if document.sequence is None else document.sequence,
        given.captured_at_ns if document.captured_at_ns is None else document.captured_at_ns,
    )
    checked = _checked(own)
    if isinstance(checked, InvalidMeasurement):
        return checked
    if isinstance(document.values, list):
        payload = name_list(parse_numbers(document.values, sent.kind), sent.columns)
        return Measurement(stream, payload, checked)
    leaves = flatten(document.values)
    if sent.columns:
        return Measurement(stream, pick(leaves, sent.columns, sent.kind), checked)
    payload = all_numbers(leaves)
    if sent.kind == "series":
        payload = dict(zip(payload.names, payload.values.tolist(), strict=True))
    return Measurement(stream, payload, checked)


def _read_cbor(body: bytes) -> list[Any] | dict[str, Any]:
    # Loaded with the first message of that form.
    from .cbor import read_cbor

    return msgspec.convert(read_cbor(body), list[Any] | dict[str, Any])


def _checked(given: RawPayload) -> RawPayload | InvalidMeasurement:
    for name in ("id", "subject"):
        text = getattr(given, name)
        if len(text) > TEXT_CHARS_MAX or not (text.isprintable() or not text):
            return InvalidMeasurement(
                f"{name} is {text[:40]!r}, {len(text)} characters",
                f"send {name} as at most {TEXT_CHARS_MAX} printable characters",
            )
    for name in ("sequence", "captured_at_ns"):
        number = getattr(given, name)
        if number is not None and not 0 <= number <= COUNT_MAX:
            return InvalidMeasurement(
                f"{name} is {number}", f"send {name} as a whole number from 0 to 2^63 - 1"
            )
    return given


def _brief(error: BaseException) -> str:
    return str(error)[:TEXT_CHARS_MAX]
