"""Code generator: from the table of messages to Python's records, the C codec and the wire page.

scripts/generate_wire.py writes the texts; a test compares them with the files in the repository.
"""

from collections.abc import Iterator

from .messages import CHOICES, LINK, SCALARS, TABLE, VARIABLE, MessageField, MessageKind, class_name

_NOTE = "Generated from messages.py by scripts/generate_wire.py."
_C_TYPES = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t"} | {
    "i32": "int32_t"
}


FIELDS_MAX = 5
"""Fields that a record takes by position; one with more is made by keyword, as the house rules
require."""

_MARK = f"<!-- {_NOTE} -->"


def generated() -> dict[str, str]:
    """Return the text of each generated file by its path from the source root."""
    return {
        "firmware_bridge/records.py": "\n".join(_records()) + "\n",
        "firmware_bridge/c/auricle_messages.h": "\n".join(_header()) + "\n",
        "firmware_bridge/c/auricle_message_table.h": "\n".join(_descriptors()) + "\n",
    }


def _python_type(field: MessageField) -> str:
    if field.choices or field.kind == "text":
        return "str"
    return "int" if field.kind in SCALARS else "bytes"


def _records() -> Iterator[str]:
    yield f'"""Message classes. {_NOTE}"""'
    yield ""
    yield "from dataclasses import dataclass"
    yield "from typing import Final"
    for kind in (*LINK, *TABLE):
        yield ""
        yield ""
        by_keyword = ", kw_only=True" if len(kind.fields) > FIELDS_MAX else ""
        yield f"@dataclass(frozen=True, slots=True{by_keyword})"
        yield f"class {class_name(kind)}:"
        if not kind.fields:
            yield f'    """{kind.meaning}"""'
            continue
        yield f'    """{kind.meaning}'
        yield ""
        yield from (f"    {field.name}: {_meaning(field)}." for field in kind.fields)
        yield '    """'
        yield ""
        yield from (f"    {field.name}: {_python_type(field)}" for field in kind.fields)
    names = [class_name(kind) for kind in TABLE]
    yield ""
    yield ""
    yield "Message = (\n    " + "\n    | ".join(names) + "\n)"
    yield "LinkRecord = " + " | ".join(class_name(kind) for kind in LINK)
    yield "CLASSES: Final[dict[str, type[Message | LinkRecord]]] = {"
    yield from (f'    "{kind.name}": {class_name(kind)},' for kind in (*LINK, *TABLE))
    yield "}"


def _meaning(field: MessageField) -> str:
    known = f" (codes: {field.choices})" if field.choices else ""
    return field.meaning.replace("`", "") + known


def _header() -> Iterator[str]:
    yield f"/* Message types. {_NOTE} */"
    yield "#ifndef AURICLE_MESSAGES_H"
    yield "#define AURICLE_MESSAGES_H"
    yield ""
    yield "#include <stdbool.h>"
    yield "#include <stddef.h>"
    yield "#include <stdint.h>"
    yield ""
    yield "/* The longest fixed part of a message, id included, and of a record of the link. */"
    yield f"#define AURICLE_HEAD_BYTES_MAX {max(map(_head_bytes, TABLE)) + 1}"
    yield f"#define AURICLE_RECORD_BYTES_MAX {max(map(_head_bytes, LINK))}"
    yield ""
    yield "/* A reference to bytes: of the caller when sending, of the link when receiving,"
    yield "   valid there until the handler returns. */"
    yield "typedef struct {"
    yield "    const uint8_t *data;"
    yield "    size_t length;"
    yield "} auricle_view;"
    for name, codes in CHOICES.items():
        yield ""
        yield "enum {"
        for word, code in codes.items():
            yield f"    AURICLE_{name}_{word}".upper() + f" = {code},"
        yield "};"
    for kind in (*LINK, *TABLE):
        if kind.fields:
            yield ""
            yield from _struct(kind)
    yield ""
    yield "enum {"
    yield from (
        f"    AURICLE_RECORD_{kind.name}".upper() + f" = {i}," for i, kind in enumerate(LINK)
    )
    yield "};"
    yield ""
    yield "enum {"
    yield from (f"    AURICLE_{kind.name}".upper() + f" = {kind.id}," for kind in TABLE)
    yield "};"
    yield ""
    yield "/* One message of any kind; `id` selects the member. */"
    yield "typedef struct {"
    yield "    uint8_t id;"
    yield "    union {"
    yield from (f"        auricle_{kind.name} {kind.name};" for kind in TABLE if kind.fields)
    yield "    } as;"
    yield "} auricle_message;"
    yield ""
    yield from _C_FUNCTIONS.splitlines()
    yield ""
    yield "#endif"


_C_FUNCTIONS = """\
/* Writes the message's id and fixed fields to `out`, which has room for AURICLE_HEAD_BYTES_MAX, and
   points `tail` to its variable field.  Returns the number of bytes written, or 0 if the table does
   not allow a value. */
size_t auricle_message_encode(const auricle_message *message, uint8_t *out, auricle_view *tail);

/* Reads a message; false if the table does not allow these bytes.  Views point into `data`. */
bool auricle_message_decode(const uint8_t *data, size_t length, auricle_message *message);

/* True if a message with this id is retransmitted to a peer that restarted. */
bool auricle_message_survives(uint8_t id);

/* Records of the link, by AURICLE_RECORD number. */
size_t auricle_record_encode(uint8_t record, const void *value, uint8_t *out);
bool auricle_record_decode(uint8_t record, const uint8_t *data, size_t length, void *value);"""


def _struct(kind: MessageKind) -> Iterator[str]:
    yield f"/* {kind.meaning} */"
    yield "typedef struct {"
    for field in kind.fields:
        if field.kind == "fixed":
            declared = f"uint8_t {field.name}[{field.size}]"
        else:
            declared = f"{_C_TYPES.get(field.kind, 'auricle_view')} {field.name}"
        yield f"    {declared}; /* {_meaning(field)} */"
    yield f"}} auricle_{kind.name};"


def _descriptors() -> Iterator[str]:
    yield f"/* The wire format of messages, for auricle_messages.c only. {_NOTE} */"
    yield ""
    yield "/* Allowed codes of fields; each list begins with its length. */"
    yield "static const uint8_t choices[] = {"
    places, place = {}, 1
    yield "    0,"
    for name, codes in CHOICES.items():
        places[name] = place
        place += len(codes) + 1
        yield f"    {', '.join(map(str, [len(codes), *codes.values()]))}, /* {name} */"
    yield "};"
    yield ""
    yield "static const field_t fields[] = {"
    starts, start = [], 0
    for kind in (*LINK, *TABLE):
        starts.append(start)
        start += len(kind.fields)
        for field in kind.fields:
            yield f"    {_descriptor(kind, field, places)},"
    yield "};"
    yield ""
    yield "/* id, survives, first field, number of fields; records of the link come first. */"
    yield "static const kind_t kinds[] = {"
    for kind, first in zip((*LINK, *TABLE), starts, strict=True):
        yield f"    {{{kind.id}, {int(kind.survives)}, {first}, {len(kind.fields)}}},"
    yield "};"
    yield ""
    yield f"enum {{ LINK_KINDS = {len(LINK)}, KINDS = {len(LINK) + len(TABLE)} }};"


def _head_bytes(kind: MessageKind) -> int:
    return sum(SCALARS.get(field.kind, field.size) for field in kind.fields)


def _descriptor(kind: MessageKind, field: MessageField, places: dict[str, int]) -> str:
    offset = f"offsetof(auricle_{kind.name}, {field.name})"
    size = SCALARS.get(field.kind, field.size)
    return f"{{{offset}, {field.kind.upper()}, {size}, {places.get(field.choices, 0)}}}"


def wire_page(page: str) -> str:
    """Return docs/explanation/wire.md with the part after the mark generated again."""
    tables = [
        *("", "## Codes", "", *_choice_rows(), "## Records of the link", ""),
        *_kind_tables(LINK),
        *("## Messages", ""),
        *_kind_tables(TABLE),
    ]
    return page.split(_MARK, maxsplit=1)[0] + _MARK + "\n".join(tables).rstrip() + "\n"


def _choice_rows() -> Iterator[str]:
    yield "| field | codes |"
    yield "| --- | --- |"
    for name, codes in CHOICES.items():
        listed = ", ".join(f"`{word}` {code}" for word, code in codes.items())
        yield f"| {name} | {listed} |"
    yield ""


def _kind_tables(kinds: tuple[MessageKind, ...]) -> Iterator[str]:
    for kind in kinds:
        number = f"{kind.id} " if kind.id else ""
        yield f"### {number}`{kind.name}`"
        yield ""
        again = " Retransmitted to a peer that restarted." if kind.survives else ""
        yield kind.meaning + again
        yield ""
        if kind.fields:
            yield "| bytes | field | type | meaning |"
            yield "| --- | --- | --- | --- |"
            yield from _rows(kind)
            yield ""


def _rows(kind: MessageKind) -> Iterator[str]:
    offset = 1 if kind.id else 0
    for field in kind.fields:
        size = SCALARS.get(field.kind, field.size)
        place = f"{offset} to the end" if field.kind in VARIABLE else f"{offset}"
        shown = f"{field.kind} {field.size}" if field.kind == "fixed" else field.kind
        yield f"| {place} | `{field.name}` | {shown} | {field.meaning} |"
        offset += size
