"""Encode and decode messages by the table in messages.py."""

import struct
from typing import Any, Final

from .errors import MessageError
from .messages import CHOICES, LINK, TABLE, VARIABLE, MessageField, MessageKind, class_name
from .records import CLASSES, LinkRecord, Message

_LETTERS: Final = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i"}
_KINDS: Final = {kind.id: kind for kind in TABLE}
_BY_CLASS: Final = {class_name(kind): kind for kind in (*LINK, *TABLE)}
_WORDS: Final = {
    name: {code: word for word, code in codes.items()} for name, codes in CHOICES.items()
}


def _layout(kind: MessageKind) -> struct.Struct:
    letters = (_LETTERS.get(field.kind, f"{field.size}s") for field in _fixed(kind))
    return struct.Struct("<" + "".join(letters))


def _fixed(kind: MessageKind) -> tuple[MessageField, ...]:
    return tuple(field for field in kind.fields if field.kind not in VARIABLE)


def _tail(kind: MessageKind) -> MessageField | None:
    return kind.fields[-1] if kind.fields and kind.fields[-1].kind in VARIABLE else None


_LAYOUTS: Final = {
    kind.name: (_layout(kind), _fixed(kind), _tail(kind)) for kind in _BY_CLASS.values()
}


def encode_message(message: Message) -> bytes:
    """Encode a message as its id and fields.  Raises MessageError if a value does not fit."""
    kind = _BY_CLASS[type(message).__name__]
    return bytes((kind.id,)) + encode_record(message)


def decode_message(data: bytes) -> Message | None:
    """Decode a message; returns None if the table does not allow these bytes."""
    kind = _KINDS.get(data[0]) if data else None
    found: Any = None if kind is None else decode_record(kind.name, data[1:])
    return found  # type: ignore[no-any-return]  # kinds of TABLE decode to a Message


def encode_record(record: Message | LinkRecord) -> bytes:
    """Encode the fields of a message or of a record of the link, without the id."""
    kind = _BY_CLASS[type(record).__name__]
    layout, fixed, tail = _LAYOUTS[kind.name]
    try:
        head = layout.pack(*(_to_wire(field, getattr(record, field.name)) for field in fixed))
    except (struct.error, KeyError) as error:
        message = f"encoding a {kind.name}: a value does not fit its field: {error}"
        raise MessageError(
            message, "see the ranges and codes in docs/explanation/wire.md"
        ) from error
    if tail is None:
        return head
    value = getattr(record, tail.name)
    try:
        body = value.encode() if tail.kind == "text" else bytes(value)
    except UnicodeEncodeError as error:
        message = f"encoding the {tail.name} of a {kind.name}: {error}"
        raise MessageError(message, "send text that UTF-8 can encode") from error
    if tail.kind == "vector" and len(body) % _value_bytes(record):
        message = (
            f"encoding the {tail.name} of a {kind.name}: expected a multiple of "
            f"{_value_bytes(record)} bytes, found {len(body)}"
        )
        raise MessageError(message, "make its length a multiple of the size of its dtype")
    return head + body


def decode_record(name: str, data: bytes) -> Message | LinkRecord | None:
    """Decode a record of the kind `name`; returns None if the table does not allow these bytes."""
    layout, fixed, tail = _LAYOUTS[name]
    if len(data) < layout.size or (tail is None and len(data) > layout.size):
        return None
    values = {
        field.name: _from_wire(field, value)
        for field, value in zip(fixed, layout.unpack_from(data), strict=True)
    }
    if None in values.values():
        return None
    if tail is not None:
        body = data[layout.size :]
        values[tail.name] = body.decode("utf-8", "replace") if tail.kind == "text" else body
    record: Message | LinkRecord = CLASSES[name](**values)
    vector = tail is not None and tail.kind == "vector"
    return None if vector and len(data[layout.size :]) % _value_bytes(record) else record


def survives(data: bytes) -> bool:
    """Say whether an encoded message is retransmitted to a peer that restarted."""
    return _KINDS[data[0]].survives


def _to_wire(field: MessageField, value: Any) -> Any:
    if field.kind == "fixed" and len(value) != field.size:
        raise struct.error(f"{field.name} has {field.size} bytes, not {len(value)}")
    return CHOICES[field.choices][value] if field.choices else value


def _from_wire(field: MessageField, value: Any) -> Any:
    """Return None for a code that the table does not allow."""
    return _WORDS[field.choices].get(value) if field.choices else value


def _value_bytes(record: Any) -> int:
    return CHOICES["dtype"][record.dtype] & 0x0F
