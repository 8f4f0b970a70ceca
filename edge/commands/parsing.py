"""Parsing commands: bytes in, a request or a refusal out; never an exception."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..config import CommandSettings
from ..core import nearest_name
from ..signing import SIGNATURE_BYTES, public_key, verifies
from .requests import COMMANDS, Envelope, Request, fields_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNED: Final = b"auricle-command-1\n"
"""Prefix of the signed bytes, before the command: no other signed message can pass for one."""

AHEAD_DAYS_MAX: Final = 7
"""How far ahead a signed command may expire: the journal keeps its id for so long."""

DAY_NS: Final = 86_400 * 10**9
"""Nanoseconds in a day."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a command is refused.  id: of the command, if it could be read."""

    reason: str
    hint: str = ""
    id: str = ""


class ParsedCommand(msgspec.Struct, frozen=True):
    """A command that may be executed.  payload: its bytes without the envelope.  signer: name of
    the key, empty for an unsigned command."""

    request: Request
    payload: bytes
    signer: str = ""


class CommandParser:
    """Parses and checks the commands of one device.  settings: of [commands]."""

    def __init__(self, settings: CommandSettings, device: str) -> None:
        self._settings, self._device = settings, device
        self._keys = {name: public_key(text, name) for name, text in sorted(settings.keys.items())}

    def read(self, verb: str, payload: bytes, now_ns: int) -> ParsedCommand | Refusal:
        """Parse a command from the network.  verb: from its topic."""
        if verb not in COMMANDS:
            return Refusal(f"there is no command {verb!r}", nearest_verb(verb, COMMANDS))
        if verb not in self._settings.enabled:
            hint = f'add "{verb}" to commands.enabled in auricle.toml'
            return Refusal(f"{verb} is not enabled on this device", hint)
        if len(payload) > self._settings.payload_bytes_max:
            most = self._settings.payload_bytes_max
            return Refusal(
                f"it is too large: {len(payload)} bytes, {most} are accepted",
                "send less at once, or raise commands.payload_bytes_max",
            )
        found = self._unwrap(payload)
        if isinstance(found, Refusal):
            return found
        inner, signer = found
        # A signed command must contain its verb: the signature does not cover the topic.
        request = parse_command(inner, "" if signer else verb)
        if isinstance(request, Refusal):
            return request
        wrong = self._check(request, verb, signer, now_ns)
        return wrong or ParsedCommand(request, inner, signer)

    def _unwrap(self, payload: bytes) -> tuple[bytes, str] | Refusal:
        """Return a command's bytes and its signer, which is '' if no keys are configured."""
        opened = open_envelope(payload)
        if isinstance(opened, Refusal):
            return opened
        if not self._keys:
            return (payload if opened is None else opened.payload.encode()), ""
        if opened is None:
            hint = "sign it: `auricle command VERB --key FILE`"
            return Refusal("it is not signed, and this device has commands.keys", hint)
        key = self._keys.get(opened.key)
        if key is None:
            return Refusal(f"no key {opened.key!r} is known", "see commands.keys in auricle.toml")
        inner = opened.payload.encode()
        if not signed_by(key, opened.signature, inner):
            return Refusal(
                f"the signature of {opened.key} does not match this command", "sign it again"
            )
        return inner, opened.key

    def _check(self, request: Request, verb: str, signer: str, now_ns: int) -> Refusal | None:
        """Return a refusal for a command that does not fit its topic, device or time, else None."""

        def refuse(reason: str, hint: str = "") -> Refusal:
            return Refusal(reason, hint, request.id)

        if not request.id.isprintable():
            return refuse("its id must be printable")
        if request.verb != verb:
            return refuse(f"its topic says {verb}, its verb is {request.verb}")
        if request.device not in {self._device} | (set() if signer else {""}):
            named = f"for {request.device!r}" if request.device else "for no device by name"
            return refuse(f"it is {named}, this is {self._device!r}", "name the device and sign it")
        if signer and not request.expires_at_ns:
            return refuse("it is signed and has no expires_at_ns", "give it one")
        if request.expires_at_ns and request.expires_at_ns <= now_ns:
            seconds = (now_ns - request.expires_at_ns) / 1e9
            return refuse(f"it expired {seconds:.0f} s ago", "send it again with a new id")
        if request.expires_at_ns > now_ns + AHEAD_DAYS_MAX * DAY_NS:
            return refuse(
                f"it expires more than {AHEAD_DAYS_MAX} days ahead",
                "give it an earlier expires_at_ns; check both clocks",
            )
        return None


def parse_command(
    payload: bytes, default: str = "", commands: Mapping[str, type[Request]] = COMMANDS
) -> Request | Refusal:
    """Parse a command's JSON strictly; the hint for an unknown field names the nearest known one.

    default: the verb if the command has none.  commands: those that are accepted.
    """
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refusal(f"it is not JSON: {error}", "see docs/reference/commands.md")
    if not isinstance(found, dict):
        return Refusal("it must be a JSON object", "see docs/reference/commands.md")
    given = found.get("id")
    name = given if isinstance(given, str) and len(given) <= 200 and given.isprintable() else ""
    verb = found.setdefault("verb", default) if default else found.get("verb")
    kind = commands.get(verb) if isinstance(verb, str) else None
    if kind is None:
        shown = repr(verb)[:80]
        return Refusal(
            f"verb must be the name of a command, found {shown}",
            nearest_verb(str(verb)[:80], commands),
            name,
        )
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        complaint = str(error)
        unknown = re.search(r"unknown field `([^`]*)`", complaint)
        fields = dict.fromkeys(fields_of(kind))
        page = "see docs/reference/commands.md"
        hint = nearest_verb(unknown.group(1), fields) if unknown else page
        return Refusal(complaint[:300], hint, name)


def open_envelope(payload: bytes) -> Envelope | Refusal | None:
    """Return the envelope of a signed command, None for an unsigned one."""
    try:
        found = msgspec.json.decode(payload) if b'"signature"' in payload else None
        if not (isinstance(found, dict) and "signature" in found):
            return None
        return msgspec.convert(found, Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refusal(
            f"its envelope cannot be read: {str(error)[:200]}",
            "a signed command is an object of payload, key and signature",
        )


def signed_by(key: "Ed25519PublicKey", signature: str, payload: bytes) -> bool:
    """Return whether a base64 signature of a command is valid for a key."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    return len(raw) == SIGNATURE_BYTES and verifies(key, raw, SIGNED + payload)


def no_home(name: str, homes: Mapping[str, Any]) -> tuple[str, str]:
    """Return reason and hint for an unknown home; the hint names the nearest known one."""
    named = {one: None for one in homes if one}
    hint = nearest_verb(name, named) if named else "leave it out: there is one home"
    return f"there is no home {name!r}", hint


def nearest_verb(text: str, known: Mapping[str, Any]) -> str:
    """Return a hint that names the nearest known name."""
    close = nearest_name(text, known)
    return f"did you mean {close}?" if close else f"known: {', '.join(known)}"
