"""Frames on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.frames import (
    Deframer,
    FaultKind,
    Frame,
    FrameKind,
    decode_frame,
    encode_frame,
    session_key,
    stuff,
    stuffed_bytes_max,
)

KEY = session_key(1, 2)
FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(FrameKind),
    version=st.integers(0, 15),
    sequence=st.integers(0, 0xFFFF),
    acknowledged=st.integers(0, 0xFFFF),
    credit=st.integers(0, 63),
    first=st.booleans(),
    last=st.booleans(),
    payload=st.binary(max_size=300),
)


def blocks(data: bytes, frame_bytes_max: int = 400) -> list[bytes | FaultKind]:
    """The results of a deframer for some bytes."""
    return list(Deframer(frame_bytes_max).push(data))


@given(FRAMES)
def test_a_frame_comes_back(frame: Frame) -> None:
    """A frame on the wire holds one zero, its last byte, and decodes to itself."""
    wire = encode_frame(frame, KEY)
    (block,) = blocks(wire)
    assert wire.index(0) == len(wire) - 1
    assert isinstance(block, bytes)
    assert decode_frame(block, KEY) == frame


@given(FRAMES, st.data())
def test_a_damaged_frame_is_no_frame(frame: Frame, data: st.DataObject) -> None:
    """A frame with one bit turned over is never taken for a frame."""
    wire = bytearray(encode_frame(frame, KEY))
    place = data.draw(st.integers(0, len(wire) - 2))
    wire[place] ^= 1 << data.draw(st.integers(0, 7))
    found = [decode_frame(b, KEY) if isinstance(b, bytes) else b for b in blocks(bytes(wire))]
    assert not any(isinstance(one, Frame) for one in found)


@given(FRAMES)
def test_a_frame_of_another_session_is_no_frame(frame: Frame) -> None:
    """Frames but hellos pass only with the key of both sessions in the right order."""
    (block,) = blocks(encode_frame(frame, KEY))
    assert isinstance(block, bytes)
    for key in (session_key(2, 1), session_key(1, 3), None):
        passed = decode_frame(block, key) == frame
        assert passed == (frame.kind is FrameKind.HELLO)


@given(st.binary(max_size=600), st.lists(st.integers(1, 40)))
def test_blocks_do_not_depend_on_the_pieces(data: bytes, sizes: list[int]) -> None:
    """Whatever pieces bytes come in, the same blocks come out."""
    deframer, rest = Deframer(100), data
    found: list[bytes | FaultKind] = []
    for size in sizes:
        found += deframer.push(rest[:size])
        rest = rest[size:]
    assert found + list(deframer.push(rest)) == blocks(data, 100)


def test_the_limit_is_exact() -> None:
    """A block of the longest length passes, one byte more is a framing fault, and the block after
    it passes again.
    """
    for body in (b"\xff" * 100, bytes(100)):
        assert blocks(stuff(body), 100) == [body]
    long = blocks(stuff(b"\xff" * 101) + stuff(b"next"), 100)
    assert long == [FaultKind.FRAMING, b"next"]


@pytest.mark.parametrize("data", [b"\x05ab\0", b"\xff\xff\0", b"\x02\0"])
def test_a_cut_block_is_a_framing_fault(data: bytes) -> None:
    """A block that ends before its code says so is a framing fault."""
    assert blocks(data) == [FaultKind.FRAMING]


@given(st.integers(0, 3000))
def test_memory_is_bounded(count: int) -> None:
    """Bytes without an end are not kept beyond the longest block."""
    deframer = Deframer(100)
    assert list(deframer.push(b"\x01" * count)) == []
    assert len(deframer._begun) <= stuffed_bytes_max(100) + 1  # noqa: SLF001  (its bound)


def test_empty_blocks_are_left_out() -> None:
    """Zeros in a row are no blocks and no faults."""
    assert blocks(bytes(20)) == []


def test_a_short_or_unknown_block_is_a_fault() -> None:
    """A block shorter than a header is a framing fault; an unknown kind with a valid checksum is
    reported as such.
    """
    assert decode_frame(bytes(9), KEY) is FaultKind.FRAMING
    frame = encode_frame(Frame(kind=FrameKind.ACK, version=1), KEY)
    (block,) = blocks(frame)
    assert isinstance(block, bytes)
    assert decode_frame(b"\x17" + block[1:], KEY) is FaultKind.CHECKSUM
    from zlib import crc32

    body = b"\x17" + block[1:-4]
    assert decode_frame(body + crc32(body, KEY).to_bytes(4, "little"), KEY) is FaultKind.KIND
