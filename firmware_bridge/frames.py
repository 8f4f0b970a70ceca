"""Frames <-> bytes on the wire: header, checksum, byte stuffing.

A frame is COBS(header, payload, CRC-32) and a zero byte. COBS: Cheshire and Baker, "Consistent
Overhead Byte Stuffing" (1999), section 3. The checksum starts from a key made of both sides'
sessions, so that a frame of an earlier session, or one's own frame sent back, never passes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from importlib import import_module
from typing import Any, Final
from zlib import crc32

from .errors import BridgeError

HEADER: Final = struct.Struct("<BBHH")
OVERHEAD_BYTES: Final = HEADER.size + 4
FRAME_BYTES_MIN: Final = 64
CREDIT_MAX: Final = 63
VERSIONS: Final = (1, 1)


class FrameKind(IntEnum):
    """What a frame carries; the low four bits of its first byte."""

    HELLO = 0
    DATA = 1
    ACK = 2
    TIME_ASK = 3
    TIME_TELL = 4


class FaultKind(StrEnum):
    """Why received bytes were not used."""

    FRAMING = "framing"
    CHECKSUM = "checksum"
    VERSION = "version"
    KIND = "kind"
    WINDOW = "window"
    FRAGMENT = "fragment"
    MESSAGE = "message"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. `sequence` counts data frames; `acknowledged`: the next one that is expected from
    the peer; `credit`: how many frames from there on may be sent (0 to 63).
    first, last: whether a data frame begins or ends a message; in an ack, first: a frame has come
    for the second time."""

    kind: FrameKind
    version: int
    sequence: int = 0
    acknowledged: int = 0
    credit: int = 0
    first: bool = False
    last: bool = False
    payload: bytes = b""


def session_key(sender: int, receiver: int) -> int:
    """What the checksum of frames from `sender` to `receiver` starts from."""
    return crc32(struct.pack("<II", sender, receiver))


def next_session(session: int) -> int:
    """Another session than this one."""
    return crc32(struct.pack("<I", session)) or 1


def encode_frame(frame: Frame, key: int) -> bytes:
    """The frame on the wire, the closing zero included. A hello is checked with key 0."""
    first = frame.kind | frame.version << 4
    flags = frame.first | frame.last << 1 | frame.credit << 2
    body = HEADER.pack(first, flags, frame.sequence, frame.acknowledged) + frame.payload
    check = crc32(body, 0 if frame.kind is FrameKind.HELLO else key)
    return stuff(body + check.to_bytes(4, "little"))


def decode_frame(block: bytes, key: int | None) -> Frame | FaultKind:
    """The frame in an unstuffed block, or why it is none. Without a key only hellos pass."""
    if len(block) < OVERHEAD_BYTES:
        return FaultKind.FRAMING
    first, flags, sequence, acknowledged = HEADER.unpack_from(block)
    kind = first & 0x0F
    start = 0 if kind == FrameKind.HELLO else key
    if start is None or crc32(block[:-4], start).to_bytes(4, "little") != block[-4:]:
        return FaultKind.CHECKSUM
    if kind > max(FrameKind):
        return FaultKind.KIND
    return Frame(
        kind=FrameKind(kind),
        version=first >> 4,
        sequence=sequence,
        acknowledged=acknowledged,
        credit=flags >> 2,
        first=bool(flags & 1),
        last=bool(flags & 2),
        payload=block[HEADER.size : -4],
    )


def stuff(body: bytes) -> bytes:
    """A block without zeros, closed by one."""
    encoded: bytes = _cobs().encode(body)
    return encoded + b"\0"


def stuffed_bytes_max(body_bytes: int) -> int:
    """The longest that a body of so many bytes becomes on the wire, without the closing zero."""
    return body_bytes + body_bytes // 254 + 1


class Deframer:
    """Cuts a stream of bytes at its zeros and unstuffs what lies between; keeps at most one
    block. After damage the next zero is a fresh start."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._stuffed_bytes_max = stuffed_bytes_max(frame_bytes_max)
        self._begun = bytearray()

    def push(self, data: bytes) -> Iterator[bytes | FaultKind]:
        """Each block that these bytes complete, or FRAMING where it can be no frame. Blocks
        between two zeros without anything in between are left out."""
        pieces = bytes(data).split(b"\0")
        for piece in pieces[:-1]:
            self._keep(piece)
            block, self._begun = bytes(self._begun), bytearray()
            if block:
                yield self._unstuff(block)
        self._keep(pieces[-1])

    def _keep(self, piece: bytes) -> None:
        # One byte beyond the limit is kept, which says that the block was too long.
        room = self._stuffed_bytes_max + 1 - len(self._begun)
        self._begun += piece[:room]

    def _unstuff(self, block: bytes) -> bytes | FaultKind:
        if len(block) > self._stuffed_bytes_max:
            return FaultKind.FRAMING
        try:
            body: bytes = _cobs().decode(block)
        except _cobs().DecodeError:
            return FaultKind.FRAMING
        return body if len(body) <= self._frame_bytes_max else FaultKind.FRAMING


@cache
def _cobs() -> Any:
    """The package cobs: loaded when a link is used, since the export to C does without it."""
    try:
        return import_module("cobs.cobs")
    except ImportError as error:
        message = "a link needs the package cobs, which is not installed"
        raise BridgeError(message, "install auricle[bridge]") from error
