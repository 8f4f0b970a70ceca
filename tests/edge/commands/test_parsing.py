"""Parsing commands: an invalid one is refused with a reason, never an exception."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.commands.parsing import (
    DAY_NS,
    SIGNED,
    CommandParser,
    ParsedCommand,
    Refusal,
    parse_command,
)
from edge.commands.requests import COMMANDS
from edge.config.commands import VERBS, CommandSettings
from edge.signing.keys import public_text

NOW = 2_000_000_000 * 10**9
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
OPEN = CommandParser(CommandSettings(enabled=VERBS), "gw1")
LOCKED = CommandParser(CommandSettings(enabled=VERBS, keys={"ann": public_text(KEY)}), "gw1")
GOOD: dict[str, dict[str, Any]] = {
    "label": {"observation_id": "s:1", "label": "a"},
    "relabel": {"select": {"domain": "d"}, "label": "b"},
    "forget": {"select": {"ids": ["a", "b"]}, "refit_geometry": False},
    "confirm": {"alarm_id": "s:1", "harmless": True},
    "grow": {"domain": "d"},
    "rollback": {"domain": "d"},
    "undo-merge": {"merge_id": "m"},
    "bundle-import": {"name": "b"},
}


def body(verb: str = "label", **more: Any) -> dict[str, Any]:
    """A command as an object."""
    return {"verb": verb, "id": "c1", **GOOD.get(verb, {}), **more}


def sent(verb: str = "label", **more: Any) -> bytes:
    """A command as bytes."""
    return json.dumps(body(verb, **more)).encode()


def signed(command: bytes, key: Ed25519PrivateKey = KEY, name: str = "ann") -> bytes:
    """A command in an envelope."""
    signature = base64.b64encode(key.sign(SIGNED + command)).decode()
    return json.dumps({"payload": command.decode(), "key": name, "signature": signature}).encode()


def reason(reading: CommandParser, payload: bytes, verb: str = "label") -> str:
    """The reason why a command is refused."""
    found = reading.read(verb, payload, NOW)
    assert isinstance(found, Refusal), found
    return found.reason


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_read(verb: str):
    """Each verb of the settings has its struct."""
    found = OPEN.read(verb, sent(verb), NOW)
    assert isinstance(found, ParsedCommand)
    assert (found.request.verb, found.request.id, found.signer) == (verb, "c1", "")
    assert set(VERBS) == set(COMMANDS)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[]", "must be a JSON object"),
        (sent("lable"), "verb must be the name of a command, found 'lable'"),
        (sent(lable="x"), "unknown field `lable`"),
        (sent(label=""), "length >= 1"),
        (sent(label="x" * 201), "length <= 200"),
        (sent(id=""), "length >= 1"),
        (sent(id="a\nb"), "printable"),
        (sent("grow"), "its topic says label, its verb is grow"),
        (sent(device="gw2"), "for 'gw2', this is 'gw1'"),
        (sent(expires_at_ns=NOW - 10**10), "it expired 10 s ago"),
        (sent(expires_at_ns=NOW + 8 * DAY_NS), "more than 7 days ahead"),
        (b" " * 70_000, "too large: 70000 bytes"),
        (b"[" * 50_000, "it is not JSON"),
    ],
)
def test_the_first_error_is_named(payload: bytes, expected: str):
    """The reason names the first error."""
    assert expected in reason(OPEN, payload)


def test_the_nearest_name_is_offered():
    """The hint names the nearest command or field, including those of a selector."""
    for payload, hint in (
        (sent("lable"), "did you mean label?"),
        (sent(observaton_id="x"), "did you mean observation_id?"),
    ):
        found = parse_command(payload)
        assert isinstance(found, Refusal)
        assert found.hint == hint
    found = parse_command(sent("forget", select={"subjekt": "x"}))
    assert isinstance(found, Refusal)
    assert found.hint == "did you mean subject?"
    assert found.id == "c1"


def test_nothing_is_enabled_by_default():
    """A command that is not enabled is refused before it is parsed."""
    closed = CommandParser(CommandSettings(), "gw1")
    for verb in VERBS:
        assert "not enabled" in reason(closed, b"{", verb)
    assert "there is no command 'reboot'" in reason(closed, b"{", "reboot")


def test_where_keys_are_configured_only_signed_commands_are_taken():
    """The signature must be of the right key over these bytes, for this device, with an expiry."""
    command = sent(device="gw1", expires_at_ns=NOW + DAY_NS)
    found = LOCKED.read("label", signed(command), NOW)
    assert isinstance(found, ParsedCommand)
    assert (found.signer, found.payload) == ("ann", command)
    assert "not signed" in reason(LOCKED, command)
    assert "the signature of ann does not match" in reason(LOCKED, signed(command, OTHER))
    assert "no key 'bob'" in reason(LOCKED, signed(command, KEY, "bob"))
    tampered = signed(command).replace(b'\\"a\\"', b'\\"b\\"')
    assert tampered != signed(command)
    assert "the signature of ann does not match" in reason(LOCKED, tampered)
    assert "no device by name" in reason(LOCKED, signed(sent(expires_at_ns=NOW + 1)))
    assert "no expires_at_ns" in reason(LOCKED, signed(sent(device="gw1")))
    assert "envelope" in reason(LOCKED, b'{"signature": 1}')


def test_an_open_device_takes_signed_commands_too():
    """The envelope is opened; a label called signature is no envelope."""
    assert isinstance(OPEN.read("label", signed(sent()), NOW), ParsedCommand)
    assert isinstance(OPEN.read("label", sent(label="signature"), NOW), ParsedCommand)


def test_settings_refuse_unknown_commands_and_bad_keys():
    """The error lists the known commands."""
    for table, expected in (
        ({"enabled": ["reboot"]}, "no command 'reboot'"),
        ({"keys": {"ann": "ed25519:AAAA"}}, "commands.keys.ann must be ed25519:"),
        ({"per_minute": 0}, "per_minute"),
    ):
        with pytest.raises(msgspec.ValidationError, match=expected):
            msgspec.convert(table, CommandSettings)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
FIELDS = ("verb", "id", "label", "select", "domain", "expires_at_ns", "payload", "key", "signature")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid command with changed or added fields, or with bytes removed and flipped."""
    verb = draw(st.sampled_from(VERBS))
    made: Any = body(verb)
    for _ in range(draw(st.integers(0, 3))):
        made[draw(st.sampled_from(FIELDS) | st.text(max_size=8))] = draw(JSON)
    if draw(st.booleans()):
        made = {"payload": json.dumps(made), "key": "ann", "signature": draw(st.text(max_size=90))}
    raw = bytearray(json.dumps(made).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(raw)


@settings(max_examples=400, deadline=None)
@given(
    verb=st.sampled_from(VERBS),
    payload=mutated() | st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()),
)
def test_no_bytes_raise(verb: str, payload: bytes):
    """Every payload is a command or a refusal with a reason that can be sent."""
    for reading in (OPEN, LOCKED):
        found = reading.read(verb, payload, NOW)
        if isinstance(found, Refusal):
            assert found.reason
            msgspec.json.encode([found.reason, found.hint, found.id])
