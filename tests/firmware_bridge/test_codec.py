"""Messages and bytes, in Python and in C."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bridge.native import NativeLink
from firmware_bridge import (
    Ack,
    Log,
    Message,
    MessageError,
    Reading,
    UpdateBegin,
    decode_message,
    encode_message,
)
from firmware_bridge.codec import decode_record
from firmware_bridge.messages import LINK, TABLE
from tests.bridges import messages


@given(messages())
def test_a_message_comes_back(message: Message) -> None:
    """Decoding an encoded message gives the same message."""
    assert decode_message(encode_message(message)) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_none(data: bytes) -> None:
    """Arbitrary bytes decode to None, or to a message that encodes to them again."""
    message = decode_message(data)
    text_fields = isinstance(message, Ack | Log) or getattr(message, "name", None) is not None
    assert message is None or text_fields or encode_message(message) == data


@given(messages(), st.integers(0, 200))
def test_a_message_cut_short_keeps_to_its_table(message: Message, length: int) -> None:
    """A truncated message is refused or decodes to another valid one, and never fails."""
    found = decode_message(encode_message(message)[:length])
    assert found is None or type(found) is type(message)


@pytest.mark.parametrize(
    "message",
    [
        Reading(256, "uint8", 0, 0, b""),
        Reading(0, "float16", 0, 0, b""),
        Reading(0, "int16", 0, 0, b"abc"),
        Reading(0, "int16", -1, 0, b""),
        UpdateBegin(1, 2, b"short", bytes(64)),
        Log("info", 1, "\ud800"),
    ],
    ids=["range", "dtype", "length", "negative", "fixed", "surrogate"],
)
def test_a_value_outside_the_table_is_refused(message: Message) -> None:
    """A message that its table cannot carry is refused before anything is sent."""
    with pytest.raises(MessageError, match=r"docs/explanation/wire|multiple|UTF-8"):
        encode_message(message)


def test_ids_and_names_are_unique() -> None:
    """No two kinds of message share an id or a name, and only the last field is of any length."""
    assert len({kind.id for kind in TABLE}) == len(TABLE)
    assert len({kind.name for kind in (*LINK, *TABLE)}) == len(LINK) + len(TABLE)
    for kind in (*LINK, *TABLE):
        assert all(f.kind not in {"bytes", "text", "vector"} for f in kind.fields[:-1])


def test_a_record_of_wrong_length_is_refused() -> None:
    """A record of fixed length is refused one byte shorter or longer."""
    assert decode_record("selective_ack", bytes(4)) is not None
    assert decode_record("selective_ack", bytes(3)) is None
    assert decode_record("selective_ack", bytes(5)) is None


def variants(data: bytes, chosen: random.Random) -> bytes:
    """The bytes of a message as they are, damaged, cut or extended."""
    way = chosen.randrange(5)
    if way == 0 and data:
        place = chosen.randrange(len(data))
        return data[:place] + bytes((chosen.randrange(256),)) + data[place + 1 :]
    if way == 1:
        return data[: chosen.randrange(len(data) + 1)]
    return data + bytes((chosen.randrange(256),)) if way == 2 else data


def random_message(chosen: random.Random) -> bytes:
    """The bytes of a message of some kind with arbitrary fields."""
    kind = chosen.choice(TABLE)
    sizes = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4}
    fields = [
        chosen.randbytes(sizes.get(f.kind, f.size or chosen.randrange(40))) for f in kind.fields
    ]
    body = b"".join(fields)
    if kind.name in {"reading", "stream_info"} and chosen.random() < 0.9:
        body = body[:1] + bytes((chosen.choice((1, 2, 4, 17, 18, 20, 36, 40)),)) + body[2:]
    return bytes((kind.id,)) + body


def expected_echo(block: bytes) -> bytes:
    """The result of a correct codec for a block: the same bytes, or nothing. Text is not
    checked."""
    return block if decode_message(block) is not None else b""


def test_c_and_python_agree(native: NativeLink) -> None:
    """C accepts, and gives back bit for bit, exactly the messages that Python accepts."""
    chosen = random.Random(6)
    blocks = [variants(random_message(chosen), chosen) for _ in range(20_000)]
    echoed = [native.echo(blocks[at : at + 1000]) for at in range(0, len(blocks), 1000)]
    found = [one for part in echoed for one in part]
    assert found == [expected_echo(block) for block in blocks]
    assert 0.2 < sum(map(bool, found)) / len(found) < 0.95
