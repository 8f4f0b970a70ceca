"""Frames on the wire: header, checksum, byte stuffing.

A frame is COBS(header, payload, CRC-32) and a zero byte.  COBS: Cheshire and Baker, "Consistent
Overhead Byte Stuffing" (1999), section 3.  The checksum starts from a key made of both sides'
sessions, so that a frame of an earlier session, or an echo of a side's own frame, never passes.
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
OVERHEAD_BYTES: Final = HEADER.size + 4  # header and CRC-32

FRAME_BYTES_MIN: Final = 64
"""Room for a hello with an extension and for a useful fragment.  Chosen by hand; effect not
measured."""

CREDIT_MAX: Final = 63  # the six bits of the header's credit
VERSIONS: Final = (1, 1)  # oldest and newest version of the protocol that this code supports


class FrameKind(IntEnum):
    """The kind of a frame: the low four bits of its first byte."""

    HELLO = 0
    DATA = 1
    ACK = 2
    TIME_REQUEST = 3
    TIME_REPLY = 4


class FaultKind(StrEnum):
    """The reason why received bytes were discarded."""

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
    """One frame.

    sequence: number of a data frame.  acknowledged: the next data frame expected from the peer.
    credit: data frames that the peer may send from there on, 0 to 63.  first, last: a data frame
    begins or ends a message; in an ack, first: a duplicate frame arrived.
    """

    kind: FrameKind
    version: int
    sequence: int = 0
    acknowledged: int = 0
    credit: int = 0
    first: bool = False
    last: bool = False
    payload: bytes = b""


def session_key(sender: int, receiver: int) -> int:
    """Return the initial checksum of frames from session `sender` to session `receiver`."""
    return crc32(struct.pack("<II", sender, receiver))


def next_session(session: int) -> int:
    """Return a session that differs from this one."""
    return crc32(struct.pack("<I", session)) or 1


def encode_frame(frame: Frame, key: int) -> bytes:
    """Encode a frame with its closing zero.  The checksum of a hello has key 0."""
    first = frame.kind | frame.version << 4
    flags = frame.first | frame.last << 1 | frame.credit << 2
    body = HEADER.pack(first, flags, frame.sequence, frame.acknowledged) + frame.payload
    check = crc32(body, 0 if frame.kind is FrameKind.HELLO else key)
    return stuff(body + check.to_bytes(4, "little"))


def decode_frame(block: bytes, key: int | None) -> Frame | FaultKind:
    """Decode an unstuffed block to a frame, or return the fault.  Without a key only hellos
    pass."""
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
    """Stuff a block so that it contains no zero, and close it with one."""
    encoded: bytes = _cobs().encode(body)
    return encoded + b"\0"


def stuffed_bytes_max(body_bytes: int) -> int:
    """Return the maximum stuffed length of a body, without the closing zero."""
    return body_bytes + body_bytes // 254 + 1


class Deframer:
    """Splits a stream of bytes at its zeros and unstuffs the blocks; buffers at most one block.
    After damage it resynchronises at the next zero."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._stuffed_bytes_max = stuffed_bytes_max(frame_bytes_max)
        self._begun = bytearray()

    def push(self, data: bytes) -> Iterator[bytes | FaultKind]:
        """Yield each block that these bytes complete, or FRAMING if it cannot be a frame.  Empty
        blocks are skipped."""
        pieces = bytes(data).split(b"\0")
        for piece in pieces[:-1]:
            self._append(piece)
            block, self._begun = bytes(self._begun), bytearray()
            if block:
                yield self._unstuff(block)
        self._append(pieces[-1])

    def _append(self, piece: bytes) -> None:
        # One byte beyond the limit is kept, to mark the block as too long.
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
    """Import the package cobs on first use: exports to C do not need it."""
    try:
        return import_module("cobs.cobs")
    except ImportError as error:
        message = "opening a link needs the package cobs, which is not installed"
        raise BridgeError(message, "install auricle[bridge]") from error
