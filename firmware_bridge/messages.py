"""The table of messages, the single source of the wire format.

codegen.py generates Python's records, the C codec and docs/explanation/wire.md from it; the Python
codec reads it.  Integers are little-endian, fields are in the order of the table without padding.
Only the last field may have a variable length; it takes the remaining bytes.
"""

from dataclasses import dataclass
from typing import Final

# The low four bits of a code are the size of a value in bytes, the high ones its kind.
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
# vector: bytes whose length is a multiple of the value size of the field `dtype`.
VARIABLE: Final = frozenset({"bytes", "text", "vector"})


@dataclass(frozen=True, slots=True)
class MessageField:
    """One field: `kind` is a key of SCALARS, one of VARIABLE, or `fixed` with `size` bytes.
    choices: name of the table in CHOICES with the allowed codes."""

    name: str
    kind: str
    meaning: str
    size: int = 0
    choices: str = ""


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One kind of message.

    id: 0 for records of the link, which a kind of frame carries.  survives: retransmitted to a peer
    that restarted before it acknowledged the message."""

    id: int
    name: str
    meaning: str
    fields: tuple[MessageField, ...]
    survives: bool = False


def class_name(kind: MessageKind) -> str:
    """Return the Python class of a kind: `update_begin` -> `UpdateBegin`."""
    return kind.name.title().replace("_", "")


def _field(name: str, kind: str, meaning: str, size: int = 0, choices: str = "") -> MessageField:
    return MessageField(name, kind, meaning, size, choices)


_STREAM = _field("stream", "u8", "number of the stream on the device")
_SEQUENCE = _field("sequence", "u32", "number of the reading in its stream, from 0 at start-up")
_CAPTURED = _field("captured_at_ns", "u64", "the device's clock at the measurement")
_COMMAND = _field("command_id", "u32", "chosen by the sender, repeated in the ack")
_REVISION = _field("revision", "u32", "the model's revision; it only increases")

LINK: Final = (
    MessageKind(
        0,
        "hello",
        "Opens a session. Its layout never changes; a later version adds to `extension`.",
        (
            _field("version_min", "u8", "oldest supported version of the protocol"),
            _field("version_max", "u8", "newest supported version of the protocol"),
            _field("session", "u32", "not 0; different after each start"),
            _field("peer_session", "u32", "the peer's session, 0 if unknown"),
            _field("frame_bytes_max", "u16", "longest frame accepted, before stuffing"),
            _field("message_bytes_max", "u32", "longest message accepted, after reassembly"),
            _field("extension", "bytes", "ignored"),
        ),
    ),
    MessageKind(
        0,
        "selective_ack",
        "Lists the frames after the acknowledged ones that have arrived.",
        (_field("bitmap", "u32", "bit i: frame `acknowledged + 1 + i` has arrived"),),
    ),
    MessageKind(
        0,
        "time_request",
        "Requests the peer's clock.",
        (_field("requested_at_ns", "u64", "the requester's clock at the request"),),
    ),
    MessageKind(
        0,
        "time_reply",
        "Replies to a time request.",
        (
            _field("requested_at_ns", "u64", "copied from the request"),
            _field("received_at_ns", "u64", "the replier's clock when the request arrived"),
            _field("replied_at_ns", "u64", "the replier's clock at the reply"),
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
            _field("values", "vector", "little-endian, without padding"),
        ),
        survives=True,
    ),
    MessageKind(
        2,
        "command",
        "Requests an action of the device's application; answered by an ack.",
        (
            _COMMAND,
            _field("action", "u16", "the action; the application defines the numbers"),
            _field("argument", "bytes", "the argument of the action"),
        ),
    ),
    MessageKind(
        3,
        "ack",
        "The result of a command or an actuate.",
        (
            _COMMAND,
            _field("status", "u8", "the outcome", choices="status"),
            _field("detail", "text", "the reason, as text for a person"),
        ),
    ),
    MessageKind(
        4,
        "actuate",
        "Sets an output of the device; answered by an ack.",
        (
            _COMMAND,
            _field("channel", "u8", "number of the output on the device"),
            _field("value", "i32", "the new value, in the output's unit"),
        ),
    ),
    MessageKind(
        5,
        "stream_info",
        "Announces a stream; sent when a session opens.",
        (
            _STREAM,
            _field("dtype", "u8", "type of its values", choices="dtype"),
            _field("length", "u16", "values in a reading; 0: variable"),
            _field("period_us", "u32", "time between two readings; 0: variable"),
            _field("name", "text", "the stream's name"),
        ),
        survives=True,
    ),
    MessageKind(
        6,
        "device_decision",
        "The verdict of the device's own detector on a reading.",
        (
            _STREAM,
            _SEQUENCE,
            _CAPTURED,
            _field("known", "u8", "1: known, 0: novel, 2: undecided (too few calibration samples)"),
            _field("domain", "u16", "number of the nearest domain in the exported knowledge"),
            _field("label", "u16", "number of the answered label; 65535: abstains"),
            _field("score", "i32", "the detector's integer score"),
        ),
        survives=True,
    ),
    MessageKind(
        7,
        "log",
        "A line of the device's log.",
        (
            _field("level", "u8", "the severity", choices="level"),
            _field("logged_at_ns", "u64", "the device's clock"),
            _field("text", "text", "what happened"),
        ),
        survives=True,
    ),
    MessageKind(
        8,
        "counters",
        "The counters of the device's link since its start.",
        (
            _field("frames_sent", "u32", "frames sent, including retransmissions"),
            _field("frames_resent", "u32", "frames retransmitted"),
            _field("frames_received", "u32", "valid frames received"),
            _field("frames_damaged", "u32", "blocks that are not a frame of this session"),
            _field("frames_repeated", "u32", "duplicate frames received"),
            _field("messages_dropped", "u32", "messages dropped: no room, or a restart"),
            _field("messages_refused", "u32", "received messages that the table does not allow"),
        ),
    ),
    MessageKind(
        16,
        "update_begin",
        "Offers a model; the fields before `signature` are signed.",
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
            _field("offset", "u32", "position of its first byte in the model"),
            _field("data", "bytes", "the part"),
        ),
    ),
    MessageKind(
        18,
        "update_commit",
        "All parts are sent: verify the model and try it at the next start.",
        (_REVISION,),
    ),
    MessageKind(
        19,
        "update_confirm",
        "The model on trial works: keep it.",
        (_REVISION,),
    ),
    MessageKind(20, "update_query", "Requests the state of the update.", ()),
    MessageKind(
        21,
        "update_status",
        "The state of the update; the answer to every update message.",
        (
            _field("state", "u8", "the state of the update", choices="update_state"),
            _field("reason", "u8", "the reason of a refusal", choices="update_reason"),
            _field("running_revision", "u32", "revision in use; 0: none"),
            _field("update_revision", "u32", "revision being received or on trial; 0: none"),
            _field("offset", "u32", "bytes of the update stored in flash: continue from here"),
        ),
    ),
)
ABSTAINS: Final = 0xFFFF  # the largest u16, which no export assigns to a label
