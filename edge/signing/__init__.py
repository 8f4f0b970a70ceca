"""Ed25519 keys and signed files."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .keys import SIGNATURE_BYTES, load_key, make_key, public_key, verifies
    from .signed_file import Columns, Count, SignedManifest, Text, read_signed, sign_file
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "keys": ("SIGNATURE_BYTES", "load_key", "make_key", "public_key", "verifies"),
            "signed_file": (
                "Columns",
                "Count",
                "SignedManifest",
                "Text",
                "read_signed",
                "sign_file",
            ),
        },
    )

__all__ = [
    "SIGNATURE_BYTES",
    "Columns",
    "Count",
    "SignedManifest",
    "Text",
    "load_key",
    "make_key",
    "public_key",
    "read_signed",
    "sign_file",
    "verifies",
]
