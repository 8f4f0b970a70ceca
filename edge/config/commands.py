"""The section [commands] of auricle.toml: which commands are accepted, from whom, and how many."""

import base64
import binascii
from typing import Annotated, Final

import msgspec

PREFIX: Final = "ed25519:"
KEY_BYTES: Final = 32
"""Bytes of an Ed25519 public key (RFC 8032, section 5.1.5)."""

KeyText = str
"""A public key as `auricle keygen` prints it: PREFIX and base64."""

VERBS: Final = (
    "label",
    "relabel",
    "undo-merge",
    "forget",
    "confirm",
    "grow",
    "rollback",
    "adaptors",
    "candidates",
    "status",
    "health",
    "rebirth",
    "reload",
    "pause",
    "resume",
    "bundle-import",
    "bundle-confirm",
    "bundle-revert",
)
"""Every command, in the order of docs/reference/commands.md."""

Rate = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Size = Annotated[int, msgspec.Meta(ge=256, le=1 << 20)]


class CommandSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[commands]: enabled: the accepted commands, none by default.  keys: operators' public keys;
    if any is given, unsigned commands are refused."""

    enabled: tuple[str, ...] = ()
    keys: dict[str, KeyText] = {}
    per_minute: Rate = 60
    payload_bytes_max: Size = 65_536

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown command or an invalid key."""
        unknown = [name for name in self.enabled if name not in VERBS]
        if unknown:
            raise ValueError(f"enabled: no command {unknown[0]!r}, there are {', '.join(VERBS)}")
        for name, text in self.keys.items():
            key_bytes(text, f"commands.keys.{name}")


def key_bytes(text: KeyText, where: str) -> bytes:
    """Return the bytes of a public key; raises ValueError that names `where` if it is invalid."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if not text.startswith(PREFIX) or len(raw) != KEY_BYTES:
        raise ValueError(
            f"{where} must be {PREFIX} and 44 characters, as `auricle keygen` prints it"
        )
    return raw
