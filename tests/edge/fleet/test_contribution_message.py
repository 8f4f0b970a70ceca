"""A contribution as a message: comes back as it was, or is refused with a reason."""

from __future__ import annotations

import zlib
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.errors import EdgeError
from edge.fleet import contribution_message as wire
from edge.fleet.contribution_message import HEAD, read_contribution, write_contribution
from edge.signing.signed_file import sign_file
from tests.worlds import World, fact

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYS = {"a": KEY.public_key()}
GIFT = (
    World([fact(f"f{n}", "ab"[n % 2], at=n) for n in range(18)])
    .runtime.contribute("a", 7)
    .contribution
)
SIGNED = write_contribution(GIFT, KEY)


def test_a_contribution_round_trips():
    """A contribution is the same after encoding and decoding, signed or not, full or empty."""
    for raw, keys in ((SIGNED, KEYS), (write_contribution(GIFT, None), {})):
        found = read_contribution(raw, keys)
        assert (found.device, found.revision, found.content) == ("a", 7, GIFT.content)
    assert read_contribution(write_contribution(GIFT.without_sums, KEY), KEYS).samples == 0


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "does not begin"),
        (SIGNED[:-1], "body does not match"),
        (SIGNED + b"x", "body does not match"),
        (write_contribution(GIFT, None), "not signed"),
        (write_contribution(GIFT, OTHER), "signature is not that of a"),
        (SIGNED.replace(b'"device":"a"', b'"device":"b"'), "no key of 'b'"),
        (SIGNED.replace(b'"revision":7', b'"revision":8'), "signature is not that of a"),
        (SIGNED.replace(b'"seed"', b'"sead"'), "unknown field"),
    ],
)
def test_an_invalid_message_gives_a_reason(raw: bytes, reason: str):
    """Truncated, extended, unsigned, forged and changed messages are refused with a reason."""
    with pytest.raises(EdgeError, match=reason):
        read_contribution(raw, KEYS)


def test_a_zip_bomb_is_not_decompressed(monkeypatch):
    """No more bytes are decompressed than the manifest and the limit allow."""
    head = wire.ContributionHeader(
        device="a", card="c", geometry="g", seed=1, revision=1, samples=1, arrays_bytes=10
    )
    bomb = zlib.compress(bytes(50_000_000))
    with pytest.raises(EdgeError, match="not have the 10 bytes"):
        read_contribution(sign_file(HEAD, head, bomb, None), {})
    monkeypatch.setattr(wire, "ARRAYS_BYTES_MAX", 9)
    with pytest.raises(EdgeError, match="10 bytes, expected at most 9"):
        read_contribution(sign_file(HEAD, head, bomb, None), {})


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_bytes_raise_anything_else(data: st.DataObject):
    """Flipped, truncated and random bytes raise EdgeError only, with and without keys."""
    raw = bytearray(data.draw(st.sampled_from([SIGNED, write_contribution(GIFT, None), HEAD])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        raw = raw or bytearray(b"x")
    for keys in (KEYS, {}):
        found = None
        with suppress(EdgeError):
            found = read_contribution(bytes(raw), keys)
        assert found is None or keys == {} or found.content == GIFT.content


def test_column_names_are_transferred():
    """Column names are the same after decoding; a message of an earlier version has none."""
    named = replace(GIFT, columns=("a", "b"))
    raw = write_contribution(named, None)
    assert read_contribution(raw, {}).columns == ("a", "b")
    size = int.from_bytes(raw[len(HEAD) : len(HEAD) + 4], "little")
    begin = len(HEAD) + 4
    older = raw[begin : begin + size].replace(b',"columns":["a","b"]', b"")
    assert len(older) < size
    message = HEAD + len(older).to_bytes(4, "little") + older + raw[begin + size :]
    assert read_contribution(message, {}).columns == ()
