"""Contributions as signed messages, with their arrays as safetensors, compressed by zlib."""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

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
"""Largest decompressed size.  Bounds memory; chosen by hand, effect not measured."""

LEVEL: Final = 4
"""Level of zlib."""

STRATEGY: Final = zlib.Z_RLE
"""Sums repeat in runs of zeros, hardly otherwise: looking for runs alone takes a third of the time
of looking for any repetition, and sums of 20 facts take 5 % fewer bytes; those of all PACS, 1 %."""


class ContributionHeader(SignedManifest, frozen=True, kw_only=True, omit_defaults=True):
    """The manifest of a contribution.  arrays_bytes: decompressed size of its arrays.
    geometry_version: 1 from releases that did not send it.  devices: how many devices' facts are
    summed; a device does not send it."""

    device: Text
    card: Text
    geometry: Text
    seed: Count
    revision: Count
    samples: Count
    arrays_bytes: Count
    columns: Columns = ()
    geometry_version: Count = 1
    devices: Count = 1


def compress(one: Contribution) -> tuple[int, bytes]:
    """Return the size of a contribution's arrays, and the arrays compressed."""
    arrays = pack_arrays(one.arrays) if one.samples else b""
    packing = zlib.compressobj(LEVEL, strategy=STRATEGY)
    return len(arrays), packing.compress(arrays) + packing.flush()


def write_contribution(
    one: Contribution,
    key: "Ed25519PrivateKey | None",
    packed: tuple[int, bytes] | None = None,
) -> bytes:
    """Encode a contribution, signed if there is a key.  packed: result of `compress`."""
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
        geometry_version=one.geometry_version,
        devices=one.devices,
    )
    return sign_file(HEAD, head, body, key)


def read_contribution(raw: bytes, keys: "Mapping[str, Ed25519PublicKey]") -> Contribution:
    """Decode and verify a contribution; raises EdgeError with the reason.

    keys: by device; if empty, no signature is required.  The sums are validated on adoption.
    """
    made, packed = read_envelope(raw, keys)
    return replace(made, arrays=unpack_sums(made.device, packed))


def read_envelope(
    raw: bytes, keys: "Mapping[str, Ed25519PublicKey]"
) -> tuple[Contribution, tuple[int, bytes]]:
    """Verify a contribution; return it without its arrays, and these as they were compressed, with
    their size.  Cost: the signature and a digest; `unpack_sums` takes most of the time."""
    head, body = read_signed(HEAD, raw, ContributionHeader, lambda one: one.device, keys)
    made = Contribution(
        device=head.device,
        card=head.card,
        geometry=head.geometry,
        seed=head.seed,
        revision=head.revision,
        samples=head.samples,
        columns=head.columns,
        geometry_version=head.geometry_version,
        devices=head.devices,
    )
    return made, (head.arrays_bytes, body)


def unpack_sums(device: str, packed: tuple[int, bytes]) -> dict[str, Any]:
    """Return the arrays of a contribution; raises EdgeError for bytes of anything else."""
    arrays = _inflate(packed[1], packed[0])
    try:
        return unpack_arrays(arrays) if arrays else {}
    except ValueError as error:
        raise EdgeError(f"reading sums of {device}: {error}", "send them again") from error


def read_revision(raw: bytes, device: str, keys: "Mapping[str, Ed25519PublicKey]") -> int:
    """Return the revision of a device's contribution; -1 if it is of another device, unsigned or
    damaged.  Cost: verifies the signature, reads no sums."""
    try:
        head, _ = read_signed(HEAD, raw, ContributionHeader, lambda one: one.device, keys)
    except EdgeError:
        return -1
    return head.revision if head.device == device else -1


def _inflate(body: bytes, size: int) -> bytes:
    """Decompress to exactly `size` bytes, and never to more: a message may be a zip bomb."""
    if size > ARRAYS_BYTES_MAX:
        raise EdgeError(f"reading sums: {size} bytes, expected at most {ARRAYS_BYTES_MAX}", "")
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(body, size + 1)
    except zlib.error as error:
        raise EdgeError(f"reading sums: they cannot be decompressed: {error}", "") from error
    if len(found) != size or not unpacking.eof or unpacking.unused_data:
        raise EdgeError(f"reading sums: they do not have the {size} bytes of the manifest", "")
    return found
