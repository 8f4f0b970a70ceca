"""The secret key of a home, in a file of its own that no backup, export or merge copies.

A digest of facts is a test of a guess at their content: whoever learns the guess gets the same
digest.  So digests that outlive facts, in receipts and stamps, are keyed with it, and so are the
texts that a receipt's request named.
"""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from ..core import StateCorruptError
from .database import guard_errors
from .durable_files import write_bytes

KEY_BYTES: Final = 32
"""As long as the hash (RFC 2104, section 3)."""

SUFFIX: Final = ".key"
"""Of the key's file, after the name of the knowledge file."""


class DigestKey:
    """The key of a knowledge file; made at its first use if the file is open for writing."""

    def __init__(self, knowledge: Path, *, writable: bool) -> None:
        self.path = knowledge.with_name(knowledge.name + SUFFIX)
        self._writable = writable
        self._key = b""

    def of(self, purpose: str, text: str) -> str:
        """Return the HMAC-SHA256 of a text, in hex; of another purpose it differs.  Empty where
        there is no key and the file is open for reading only.  Raises StateError."""
        key = self._read()
        body = f"{purpose}\n{text}".encode()
        return hmac.new(key, body, hashlib.sha256).hexdigest() if key else ""

    def _read(self) -> bytes:
        if self._key:
            return self._key
        with guard_errors(self.path, "reading"):
            if self.path.exists():
                found = self.path.read_bytes()
                if len(found) != KEY_BYTES:
                    raise StateCorruptError(
                        f"reading {self.path}: expected {KEY_BYTES} bytes, found {len(found)}",
                        "restore it, or remove it: digests of earlier receipts cannot be checked"
                        " then",
                    )
                self._key = found
            elif self._writable:
                fresh = secrets.token_bytes(KEY_BYTES)
                write_bytes(self.path, fresh, private=True)
                self._key = fresh
        return self._key
