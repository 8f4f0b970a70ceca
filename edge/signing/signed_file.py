"""Sealed files and messages: a head line, a JSON manifest, a signature, and a body.

    head line LF | length of the manifest (u32 little-endian) | manifest | signature (64) | body

The signature (Ed25519) is over everything before it; the manifest holds the body's length and
SHA-256, so that nothing is unsigned.  Without a key the signature is 64 zeros.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec

from ..core import EdgeError, limits
from .keys import SIGNATURE_BYTES, verifies

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

MANIFEST_BYTES_MAX: Final = 1 << 20
LENGTH_BYTES: Final = 4
UNSIGNED: Final = bytes(SIGNATURE_BYTES)

Count = Annotated[int, msgspec.Meta(ge=0, le=limits.COUNT_MAX)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
Columns = tuple[Text, ...]
"""Names of the encoder's input columns, none where the sender has none."""


class SignedManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every manifest has: the body as it lies there."""

    body_bytes: Count = 0
    body_sha256: str = ""


M = TypeVar("M", bound=SignedManifest)


def sign_file(head: bytes, manifest: M, body: bytes, key: "Ed25519PrivateKey | None") -> bytes:
    """Seal a body; its length and checksum in the manifest are filled in."""
    checked = msgspec.structs.replace(
        manifest, body_bytes=len(body), body_sha256=hashlib.sha256(body).hexdigest()
    )
    text = msgspec.json.encode(checked)
    signed = head + len(text).to_bytes(LENGTH_BYTES, "little") + text
    return signed + (key.sign(signed) if key else UNSIGNED) + body


def read_signed(
    head: bytes,
    raw: bytes,
    kind: type[M],
    signer: Callable[[M], str],
    keys: "Mapping[str, Ed25519PublicKey]",
) -> tuple[M, bytes]:
    """Return manifest and body; raises EdgeError saying what is wrong with it.

    signer: names the key of a manifest.  keys: by that name; without any, nothing need be signed.
    Only the manifest is parsed before the signature is verified, strictly and bounded.
    """
    at = len(head) + LENGTH_BYTES
    size = int.from_bytes(raw[len(head) : at], "little")
    if not raw.startswith(head) or not 0 < size <= min(MANIFEST_BYTES_MAX, len(raw)):
        raise _refused(f"it does not begin as {head.decode().strip()} does", "look what it is")
    signed = raw[: at + size]
    signature, body = raw[at + size :][:SIGNATURE_BYTES], raw[at + size + SIGNATURE_BYTES :]
    try:
        manifest = msgspec.json.decode(raw[at : at + size], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(f"its manifest: {str(error)[:200]}", "make it again") from error
    if keys:
        _verify(signer(manifest), signature, signed, keys)
    found = (len(body), hashlib.sha256(body).hexdigest())
    if found != (manifest.body_bytes, manifest.body_sha256):
        raise _refused("its body is not the one in its manifest", "get it again")
    return manifest, body


def _verify(
    name: str, signature: bytes, signed: bytes, keys: "Mapping[str, Ed25519PublicKey]"
) -> None:
    key = keys.get(name)
    if key is None:
        raise _refused(f"no key of {name!r} is known", f"known: {', '.join(keys)}")
    if signature == UNSIGNED:
        raise _refused("it is not signed, and there are keys", f"sign it with the key of {name}")
    if not verifies(key, signature, signed):
        raise _refused(f"its signature is not that of {name}", "get it again")


def _refused(why: str, hint: str) -> EdgeError:
    return EdgeError(f"opening what was sealed: {why}", hint)
