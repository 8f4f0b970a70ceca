"""Ed25519 keys and signatures (RFC 8032, by `cryptography`): operators sign, devices verify.

A private key is a PKCS #8 file that only its owner can read; a public key is a line of text.
`cryptography` is imported with the first key: a device without keys starts without it.
"""

import base64
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..config import PREFIX, KeyText, key_bytes
from ..core import ConfigError
from ..storage import sync_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_BYTES: Final = 64
"""Bytes of an Ed25519 signature (RFC 8032, section 5.1.6)."""

PRIVATE_MODE: Final = 0o600
"""File mode of a private key: only its owner reads and writes it, as ssh-keygen does."""


def make_key(path: Path) -> str:
    """Create a private key file (mode 0600) and return the public key as text.

    Raises ConfigError if the file exists or cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    body = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.absolute().parent)
    except FileExistsError as error:
        raise ConfigError(
            f"making the key {path}: the file exists already", "choose another name"
        ) from error
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise ConfigError(
            f"making the key {path}: {error.strerror}", "check the folder and its permissions"
        ) from error
    return public_text(key)


def load_key(path: Path) -> "Ed25519PrivateKey":
    """Load a private key; raises ConfigError for a file that others can read, or without a key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(
                f"loading the key {path}: others can read it (mode {mode:o})",
                f"chmod 600 {path}, or make a new key",
            )
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(
            f"loading the key {path}: {error.strerror}", "make one: `auricle keygen FILE`"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"loading the key {path}: it is not a private key in PEM", "`auricle keygen` makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"loading the key {path}: it is not an Ed25519 key", "`auricle keygen` makes one"
        )
    return key


def public_text(key: "Ed25519PrivateKey") -> str:
    """Return the public key of a private key, as text for auricle.toml."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PREFIX + base64.b64encode(raw).decode()


def public_key(text: KeyText, where: str) -> "Ed25519PublicKey":
    """Parse a public key; raises ValueError that names `where` if it is invalid."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(key_bytes(text, where))


def verifies(key: "Ed25519PublicKey", signature: bytes, message: bytes) -> bool:
    """Return whether the signature of a message is valid."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
