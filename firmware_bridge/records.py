"""Messages as Python holds them. Generated from messages.py by scripts/generate_wire.py."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Opens a session. Its layout never changes; a later version adds to `extension`.

    version_min: oldest version of the protocol that is spoken.
    version_max: newest version of the protocol that is spoken.
    session: not 0; another one after each start.
    peer_session: the peer's session as far as known, else 0.
    frame_bytes_max: longest frame taken, before stuffing.
    message_bytes_max: longest message put together from fragments.
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
class Held:
    """Says which frames after the acknowledged ones have arrived.

    bitmap: bit i: frame acknowledged + 1 + i is held.
    """

    bitmap: int


@dataclass(frozen=True, slots=True)
class TimeAsk:
    """Asks for the peer's clock.

    asked_at_ns: the asker's clock.
    """

    asked_at_ns: int


@dataclass(frozen=True, slots=True)
class TimeTell:
    """Answers with the clock.

    asked_at_ns: as asked.
    heard_at_ns: the teller's clock when it heard the question.
    told_at_ns: the teller's clock when it answered.
    """

    asked_at_ns: int
    heard_at_ns: int
    told_at_ns: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement: a vector of numbers of one type.

    stream: number of the stream on the device.
    dtype: type of the values (codes: dtype).
    sequence: number of the reading in its stream, from 0 at start-up.
    captured_at_ns: the device's clock when it was measured.
    values: little-endian, one after the other.
    """

    stream: int
    dtype: str
    sequence: int
    captured_at_ns: int
    values: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """Asks the device's application to do something; answered by an ack.

    command_id: chosen by the sender, repeated in the answer.
    action: what to do; the numbers belong to the application.
    argument: whatever the action needs.
    """

    command_id: int
    action: int
    argument: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of a command or an actuate.

    command_id: chosen by the sender, repeated in the answer.
    status: the outcome (codes: status).
    detail: why, for a person to read.
    """

    command_id: int
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Actuate:
    """Sets an output of the device; answered by an ack.

    command_id: chosen by the sender, repeated in the answer.
    channel: number of the output on the device.
    value: what to set it to, in the output's own unit.
    """

    command_id: int
    channel: int
    value: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Announces a stream; sent when a session opens.

    stream: number of the stream on the device.
    dtype: type of its values (codes: dtype).
    length: values in a reading; 0: it varies.
    period_us: time between two readings; 0: it varies.
    name: the stream's name.
    """

    stream: int
    dtype: str
    length: int
    period_us: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDecision:
    """What the device's own detector made of a reading.

    stream: number of the stream on the device.
    sequence: number of the reading in its stream, from 0 at start-up.
    captured_at_ns: the device's clock when it was measured.
    known: 1: known, 0: new, 2: too little learned to say.
    domain: number of the nearest domain in the exported knowledge.
    label: number of the answer; 65535: it abstains.
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

    level: how grave it is (codes: level).
    logged_at_ns: the device's clock.
    text: what happened.
    """

    level: str
    logged_at_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the device's link has counted since it started.

    frames_sent: frames sent, those sent again included.
    frames_resent: frames sent again.
    frames_received: whole frames received.
    frames_damaged: blocks that were no frame of this session.
    frames_repeated: frames received before.
    messages_dropped: messages given up: no room, or a restart.
    messages_refused: messages received that the table does not allow.
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
    """Offers a model; what comes before `signature` is signed.

    revision: the model's revision; it only ever rises.
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

    offset: of its first byte in the model.
    data: the part.
    """

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UpdateCommit:
    """All parts are sent: check the model and try it at the next start.

    revision: the model's revision; it only ever rises.
    """

    revision: int


@dataclass(frozen=True, slots=True)
class UpdateConfirm:
    """The model on trial works: keep it.

    revision: the model's revision; it only ever rises.
    """

    revision: int


@dataclass(frozen=True, slots=True)
class UpdateAsk:
    """Asks for the state of the update."""


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """The state of the update; also the answer to each update message.

    state: where the update stands (codes: update_state).
    reason: why it was refused (codes: update_reason).
    running_revision: revision in use; 0: none.
    update_revision: revision being received or tried; 0: none.
    offset: bytes of the update that are safely kept: go on from here.
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
    | UpdateAsk
    | UpdateStatus
)
LinkRecord = Hello | Held | TimeAsk | TimeTell
CLASSES: Final[dict[str, type[Message | LinkRecord]]] = {
    "hello": Hello,
    "held": Held,
    "time_ask": TimeAsk,
    "time_tell": TimeTell,
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
    "update_ask": UpdateAsk,
    "update_status": UpdateStatus,
}
