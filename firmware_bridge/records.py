"""Message classes. Generated from messages.py by scripts/generate_wire.py."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Opens a session. Its layout never changes; a later version adds to `extension`.

    version_min: oldest supported version of the protocol.
    version_max: newest supported version of the protocol.
    session: not 0; different after each start.
    peer_session: the peer's session, 0 if unknown.
    frame_bytes_max: longest frame accepted, before stuffing.
    message_bytes_max: longest message accepted, after reassembly.
    extension: ignored.
    """

    version_min: int
    version_max: int
    session: int
    peer_session: int
    frame_bytes_max: int
    message_bytes_max: int
    extension: bytes


@dataclass(frozen=True, slots=True)
class SelectiveAck:
    """Lists the frames after the acknowledged ones that have arrived.

    bitmap: bit i: frame acknowledged + 1 + i has arrived.
    """

    bitmap: int


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """Requests the peer's clock.

    requested_at_ns: the requester's clock at the request.
    """

    requested_at_ns: int


@dataclass(frozen=True, slots=True)
class TimeReply:
    """Replies to a time request.

    requested_at_ns: copied from the request.
    received_at_ns: the replier's clock when the request arrived.
    replied_at_ns: the replier's clock at the reply.
    """

    requested_at_ns: int
    received_at_ns: int
    replied_at_ns: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement: a vector of numbers of one type.

    stream: number of the stream on the device.
    dtype: type of the values (codes: dtype).
    sequence: number of the reading in its stream, from 0 at start-up.
    captured_at_ns: the device's clock at the measurement.
    values: little-endian, without padding.
    """

    stream: int
    dtype: str
    sequence: int
    captured_at_ns: int
    values: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """Requests an action of the device's application; answered by an ack.

    command_id: chosen by the sender, repeated in the ack.
    action: the action; the application defines the numbers.
    argument: the argument of the action.
    """

    command_id: int
    action: int
    argument: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The result of a command or an actuate.

    command_id: chosen by the sender, repeated in the ack.
    status: the outcome (codes: status).
    detail: the reason, as text for a person.
    """

    command_id: int
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Actuate:
    """Sets an output of the device; answered by an ack.

    command_id: chosen by the sender, repeated in the ack.
    channel: number of the output on the device.
    value: the new value, in the output's unit.
    """

    command_id: int
    channel: int
    value: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Announces a stream; sent when a session opens.

    stream: number of the stream on the device.
    dtype: type of its values (codes: dtype).
    length: values in a reading; 0: variable.
    period_us: time between two readings; 0: variable.
    name: the stream's name.
    """

    stream: int
    dtype: str
    length: int
    period_us: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDecision:
    """The verdict of the device's own detector on a reading.

    stream: number of the stream on the device.
    sequence: number of the reading in its stream, from 0 at start-up.
    captured_at_ns: the device's clock at the measurement.
    known: 1: known, 0: novel, 2: undecided (too few calibration samples).
    domain: number of the nearest domain in the exported knowledge.
    label: number of the answered label; 65535: abstains.
    score: the detector's integer score.
    """

    stream: int
    sequence: int
    captured_at_ns: int
    known: int
    domain: int
    label: int
    score: int


@dataclass(frozen=True, slots=True)
class Log:
    """A line of the device's log.

    level: the severity (codes: level).
    logged_at_ns: the device's clock.
    text: what happened.
    """

    level: str
    logged_at_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The counters of the device's link since its start.

    frames_sent: frames sent, including retransmissions.
    frames_resent: frames retransmitted.
    frames_received: valid frames received.
    frames_damaged: blocks that are not a frame of this session.
    frames_repeated: duplicate frames received.
    messages_dropped: messages dropped: no room, or a restart.
    messages_refused: received messages that the table does not allow.
    """

    frames_sent: int
    frames_resent: int
    frames_received: int
    frames_damaged: int
    frames_repeated: int
    messages_dropped: int
    messages_refused: int


@dataclass(frozen=True, slots=True)
class UpdateBegin:
    """Offers a model; the fields before `signature` are signed.

    revision: the model's revision; it only increases.
    body_bytes: length of the model.
    digest: SHA-512 of the model.
    signature: Ed25519 over auricle-model-1 and the fields above.
    """

    revision: int
    body_bytes: int
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class UpdateChunk:
    """A part of the model.

    offset: position of its first byte in the model.
    data: the part.
    """

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UpdateCommit:
    """All parts are sent: verify the model and try it at the next start.

    revision: the model's revision; it only increases.
    """

    revision: int


@dataclass(frozen=True, slots=True)
class UpdateConfirm:
    """The model on trial works: keep it.

    revision: the model's revision; it only increases.
    """

    revision: int


@dataclass(frozen=True, slots=True)
class UpdateQuery:
    """Requests the state of the update."""


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """The state of the update; the answer to every update message.

    state: the state of the update (codes: update_state).
    reason: the reason of a refusal (codes: update_reason).
    running_revision: revision in use; 0: none.
    update_revision: revision being received or on trial; 0: none.
    offset: bytes of the update stored in flash: continue from here.
    """

    state: str
    reason: str
    running_revision: int
    update_revision: int
    offset: int


Message = (
    Reading
    | Command
    | Ack
    | Actuate
    | StreamInfo
    | DeviceDecision
    | Log
    | Counters
    | UpdateBegin
    | UpdateChunk
    | UpdateCommit
    | UpdateConfirm
    | UpdateQuery
    | UpdateStatus
)
LinkRecord = Hello | SelectiveAck | TimeRequest | TimeReply
CLASSES: Final[dict[str, type[Message | LinkRecord]]] = {
    "hello": Hello,
    "selective_ack": SelectiveAck,
    "time_request": TimeRequest,
    "time_reply": TimeReply,
    "reading": Reading,
    "command": Command,
    "ack": Ack,
    "actuate": Actuate,
    "stream_info": StreamInfo,
    "device_decision": DeviceDecision,
    "log": Log,
    "counters": Counters,
    "update_begin": UpdateBegin,
    "update_chunk": UpdateChunk,
    "update_commit": UpdateCommit,
    "update_confirm": UpdateConfirm,
    "update_query": UpdateQuery,
    "update_status": UpdateStatus,
}
