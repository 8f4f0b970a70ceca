"""Signed files and messages: a head line, a JSON manifest, a signature, and a body.

    head line LF | length of the manifest (u32 little-endian) | manifest | signature (64) | body

The signature (Ed25519) covers everything before it.  The manifest holds the length and SHA-256 of
the body, so that the body is covered too.  Without a key the signature is 64 zeros.
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
"""Largest manifest that is parsed, before its signature is verified.  Chosen by hand."""

LENGTH_BYTES: Final = 4
"""Bytes of the manifest's length in the file format above: a u32."""

UNSIGNED: Final = bytes(SIGNATURE_BYTES)

Count = Annotated[int, msgspec.Meta(ge=0, le=limits.COUNT_MAX)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
Columns = tuple[Text, ...]
"""Names of the encoder's input columns; empty if the sender has none."""


class SignedManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The common fields of manifests: length and SHA-256 of the body."""

    body_bytes: Count = 0
    body_sha256: str = ""


M = TypeVar("M", bound=SignedManifest)


def sign_file(head: bytes, manifest: M, body: bytes, key: "Ed25519PrivateKey | None") -> bytes:
    """Return the signed file of a body; fills in the body's length and SHA-256."""
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
    """Verify a signed file and return its manifest and body; raises EdgeError with the reason.

    signer: returns the name of a manifest's key.  keys: by that name; if empty, no signature is
    required.  Before the signature is verified only the manifest is parsed, with a size limit.
    """
    at = len(head) + LENGTH_BYTES
    size = int.from_bytes(raw[len(head) : at], "little")
    if not raw.startswith(head) or not 0 < size <= min(MANIFEST_BYTES_MAX, len(raw)):
        raise _refused(
            f"it does not begin with {head.decode().strip()}", "check that it is the right file"
        )
    signed = raw[: at + size]
    signature, body = raw[at + size :][:SIGNATURE_BYTES], raw[at + size + SIGNATURE_BYTES :]
    try:
        manifest = msgspec.json.decode(raw[at : at + size], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(f"its manifest: {str(error)[:200]}", "create it again") from error
    if keys:
        _verify(signer(manifest), signature, signed, keys)
    found = (len(body), hashlib.sha256(body).hexdigest())
    if found != (manifest.body_bytes, manifest.body_sha256):
        raise _refused("its body does not match its manifest", "transfer it again")
    return manifest, body


def _verify(
    name: str, signature: bytes, signed: bytes, keys: "Mapping[str, Ed25519PublicKey]"
) -> None:
    key = keys.get(name)
    if key is None:
        raise _refused(f"there is no key of {name!r}", f"known keys: {', '.join(keys)}")
    if signature == UNSIGNED:
        raise _refused("it is not signed", f"sign it with the key of {name}")
    if not verifies(key, signature, signed):
        raise _refused(f"its signature is not that of {name}", "transfer it again")


def _refused(reason: str, hint: str) -> EdgeError:
    return EdgeError(f"verifying a signed file: {reason}", hint)
