"""A contribution as a message: sealed, its arrays as safetensors under zlib."""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ..core import Contribution, EdgeError
from ..signing import Columns, Count, SignedManifest, Text, read_signed, sign_file
from ..storage import pack_arrays, unpack_arrays

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

HEAD: Final = b"auricle-contribution-1\n"
ARRAYS_BYTES_MAX: Final = 256 << 20
"""What a message may unpack to."""


class ContributionHeader(SignedManifest, frozen=True, kw_only=True):
    """The manifest of a contribution: its fields, and how large its arrays are."""

    device: Text
    card: Text
    geometry: Text
    seed: Count
    revision: Count
    samples: Count
    arrays_bytes: Count
    columns: Columns = ()


def compress(one: Contribution) -> tuple[int, bytes]:
    """Pack the arrays of a contribution: how large they are, and what is sent of them."""
    arrays = pack_arrays(one.arrays) if one.samples else b""
    return len(arrays), zlib.compress(arrays)


def write_contribution(
    one: Contribution,
    key: "Ed25519PrivateKey | None",
    packed: tuple[int, bytes] | None = None,
) -> bytes:
    """Write a contribution, signed where there is a key.  packed: its arrays, compressed before."""
    size, body = packed or compress(one)
    head = ContributionHeader(
        device=one.device,
        card=one.card,
        geometry=one.geometry,
        seed=one.seed,
        revision=one.revision,
        samples=one.samples,
        arrays_bytes=size,
        columns=one.columns,
    )
    return sign_file(HEAD, head, body, key)


def read_contribution(raw: bytes, keys: "Mapping[str, Ed25519PublicKey]") -> Contribution:
    """Read a contribution; raises EdgeError saying what is wrong with it.  keys: by device; without
    any it need not be signed.  Its sums are checked where they are adopted."""
    head, body = read_signed(HEAD, raw, ContributionHeader, lambda one: one.device, keys)
    arrays = _inflate(body, head.arrays_bytes)
    try:
        found = unpack_arrays(arrays) if arrays else {}
    except ValueError as error:
        raise EdgeError(f"reading sums of {head.device}: {error}", "send them again") from error
    return Contribution(
        device=head.device,
        card=head.card,
        geometry=head.geometry,
        seed=head.seed,
        revision=head.revision,
        samples=head.samples,
        arrays=found,
        columns=head.columns,
    )


def _inflate(body: bytes, size: int) -> bytes:
    """Decompress to exactly `size` bytes, and never to more."""
    if size > ARRAYS_BYTES_MAX:
        raise EdgeError(f"reading sums: {size} bytes, {ARRAYS_BYTES_MAX} are taken", "")
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(body, size + 1)
    except zlib.error as error:
        raise EdgeError(f"reading sums: they cannot be decompressed: {error}", "") from error
    if len(found) != size or not unpacking.eof or unpacking.unused_data:
        raise EdgeError(f"reading sums: they are not the {size} bytes that were announced", "")
    return found
