"""The one table of messages: id -> fields.

Python's records, the C codec and docs/explanation/wire.md are generated from it (codegen.py), and
the Python codec reads it. Integers travel little-endian, fields in the order of the table without
padding; at most one field of variable length, the last, takes what is left.
"""

from dataclasses import dataclass
from typing import Final

# The low four bits of a code are the size of one value in bytes.
DTYPES: Final = {
    "uint8": 0x01,
    "uint16": 0x02,
    "uint32": 0x04,
    "int8": 0x11,
    "int16": 0x12,
    "int32": 0x14,
    "float32": 0x24,
    "float64": 0x28,
}
STATUSES: Final = {"done": 0, "refused": 1, "unknown": 2, "failed": 3}
LEVELS: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3}
UPDATE_STATES: Final = {"idle": 0, "receiving": 1, "ready": 2, "trial": 3}
UPDATE_REASONS: Final = {
    "none": 0,
    "signature": 1,
    "digest": 2,
    "size": 3,
    "revision": 4,
    "unconfirmed": 5,
    "flash": 6,
    "unexpected": 7,
}
CHOICES: Final = {
    "dtype": DTYPES,
    "status": STATUSES,
    "level": LEVELS,
    "update_state": UPDATE_STATES,
    "update_reason": UPDATE_REASONS,
}
SCALARS: Final = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4}
# vector: bytes whose length is a multiple of the size of the field `dtype`'s values.
VARIABLE: Final = frozenset({"bytes", "text", "vector"})


@dataclass(frozen=True, slots=True)
class MessageField:
    """One field: `kind` is a key of SCALARS, one of VARIABLE, or `fixed` with `size` bytes.
    choices: name of the table in CHOICES that says which codes are allowed."""

    name: str
    kind: str
    meaning: str
    size: int = 0
    choices: str = ""


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One kind of message. `id` 0: the link's own, carried by a kind of frame and not by data.
    survives: sent again to a peer that restarted before it acknowledged."""

    id: int
    name: str
    meaning: str
    fields: tuple[MessageField, ...]
    survives: bool = False


def _field(name: str, kind: str, meaning: str, size: int = 0, choices: str = "") -> MessageField:
    return MessageField(name, kind, meaning, size, choices)


_STREAM = _field("stream", "u8", "number of the stream on the device")
_SEQUENCE = _field("sequence", "u32", "number of the reading in its stream, from 0 at start-up")
_CAPTURED = _field("captured_at_ns", "u64", "the device's clock when it was measured")
_COMMAND = _field("command_id", "u32", "chosen by the sender, repeated in the answer")
_REVISION = _field("revision", "u32", "the model's revision; it only ever rises")

LINK: Final = (
    MessageKind(
        0,
        "hello",
        "Opens a session. Its layout never changes; a later version adds to `extension`.",
        (
            _field("version_min", "u8", "oldest version of the protocol that is spoken"),
            _field("version_max", "u8", "newest version of the protocol that is spoken"),
            _field("session", "u32", "not 0; another one after each start"),
            _field("peer_session", "u32", "the peer's session as far as known, else 0"),
            _field("frame_bytes_max", "u16", "longest frame taken, before stuffing"),
            _field("message_bytes_max", "u32", "longest message put together from fragments"),
            _field("extension", "bytes", "ignored"),
        ),
    ),
    MessageKind(
        0,
        "held",
        "Says which frames after the acknowledged ones have arrived.",
        (_field("bitmap", "u32", "bit i: frame `acknowledged + 1 + i` is held"),),
    ),
    MessageKind(
        0,
        "time_ask",
        "Asks for the peer's clock.",
        (_field("asked_at_ns", "u64", "the asker's clock"),),
    ),
    MessageKind(
        0,
        "time_tell",
        "Answers with the clock.",
        (
            _field("asked_at_ns", "u64", "as asked"),
            _field("heard_at_ns", "u64", "the teller's clock when it heard the question"),
            _field("told_at_ns", "u64", "the teller's clock when it answered"),
        ),
    ),
)
TABLE: Final = (
    MessageKind(
        1,
        "reading",
        "A measurement: a vector of numbers of one type.",
        (
            _STREAM,
            _field("dtype", "u8", "type of the values", choices="dtype"),
            _SEQUENCE,
            _CAPTURED,
            _field("values", "vector", "little-endian, one after the other"),
        ),
        survives=True,
    ),
    MessageKind(
        2,
        "command",
        "Asks the device's application to do something; answered by an ack.",
        (
            _COMMAND,
            _field("action", "u16", "what to do; the numbers belong to the application"),
            _field("argument", "bytes", "whatever the action needs"),
        ),
    ),
    MessageKind(
        3,
        "ack",
        "What became of a command or an actuate.",
        (
            _COMMAND,
            _field("status", "u8", "the outcome", choices="status"),
            _field("detail", "text", "why, for a person to read"),
        ),
    ),
    MessageKind(
        4,
        "actuate",
        "Sets an output of the device; answered by an ack.",
        (
            _COMMAND,
            _field("channel", "u8", "number of the output on the device"),
            _field("value", "i32", "what to set it to, in the output's own unit"),
        ),
    ),
    MessageKind(
        5,
        "stream_info",
        "Announces a stream; sent when a session opens.",
        (
            _STREAM,
            _field("dtype", "u8", "type of its values", choices="dtype"),
            _field("length", "u16", "values in a reading; 0: it varies"),
            _field("period_us", "u32", "time between two readings; 0: it varies"),
            _field("name", "text", "the stream's name"),
        ),
        survives=True,
    ),
    MessageKind(
        6,
        "device_decision",
        "What the device's own detector made of a reading.",
        (
            _STREAM,
            _SEQUENCE,
            _CAPTURED,
            _field("known", "u8", "1: known, 0: new, 2: too little learned to say"),
            _field("domain", "u16", "number of the nearest domain in the exported knowledge"),
            _field("label", "u16", "number of the answer; 65535: it abstains"),
            _field("score", "i32", "the detector's integer score"),
        ),
        survives=True,
    ),
    MessageKind(
        7,
        "log",
        "A line of the device's log.",
        (
            _field("level", "u8", "how grave it is", choices="level"),
            _field("logged_at_ns", "u64", "the device's clock"),
            _field("text", "text", "what happened"),
        ),
        survives=True,
    ),
    MessageKind(
        8,
        "counters",
        "What the device's link has counted since it started.",
        (
            _field("frames_sent", "u32", "frames sent, those sent again included"),
            _field("frames_resent", "u32", "frames sent again"),
            _field("frames_received", "u32", "whole frames received"),
            _field("frames_damaged", "u32", "blocks that were no frame of this session"),
            _field("frames_repeated", "u32", "frames received before"),
            _field("messages_dropped", "u32", "messages given up: no room, or a restart"),
            _field("messages_refused", "u32", "messages received that the table does not allow"),
        ),
    ),
    MessageKind(
        16,
        "update_begin",
        "Offers a model; what comes before `signature` is signed.",
        (
            _REVISION,
            _field("body_bytes", "u32", "length of the model"),
            _field("digest", "fixed", "SHA-512 of the model", 64),
            _field("signature", "fixed", "Ed25519 over `auricle-model-1` and the fields above", 64),
        ),
    ),
    MessageKind(
        17,
        "update_chunk",
        "A part of the model.",
        (
            _field("offset", "u32", "of its first byte in the model"),
            _field("data", "bytes", "the part"),
        ),
    ),
    MessageKind(
        18,
        "update_commit",
        "All parts are sent: check the model and try it at the next start.",
        (_REVISION,),
    ),
    MessageKind(
        19,
        "update_confirm",
        "The model on trial works: keep it.",
        (_REVISION,),
    ),
    MessageKind(20, "update_ask", "Asks for the state of the update.", ()),
    MessageKind(
        21,
        "update_status",
        "The state of the update; also the answer to each update message.",
        (
            _field("state", "u8", "where the update stands", choices="update_state"),
            _field("reason", "u8", "why it was refused", choices="update_reason"),
            _field("running_revision", "u32", "revision in use; 0: none"),
            _field("update_revision", "u32", "revision being received or tried; 0: none"),
            _field("offset", "u32", "bytes of the update that are safely kept: go on from here"),
        ),
    ),
)
ABSTAINS: Final = 0xFFFF
