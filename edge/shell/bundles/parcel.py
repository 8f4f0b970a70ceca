"""The file of a bundle: a head line, a JSON manifest, its signature, and a safetensors body.

    auricle-bundle-1 LF | length of the manifest, u32 little-endian | manifest | signature (64) | body

The signature (Ed25519) is over everything before it; the manifest holds the body's length and
SHA-256, so that nothing in the file is unsigned.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

import nas

from ...core import Contribution, EdgeError, Record
from ..commands.keys import SIGNATURE_BYTES, verifies
from ..commands.requests import Instant, Name
from ..parcels import pack_arrays, unpack_arrays

HEAD: Final = b"auricle-bundle-1\n"
MANIFEST_BYTES_MAX: Final = 1 << 20
FILE_BYTES_MAX: Final = 256 << 20
LENGTH_BYTES: Final = 4

Arrays = Mapping[str, NDArray[Any]]


class Grown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An adaptor in a bundle, without its arrays."""

    domain: Name
    blueprint: nas.Blueprint
    own: Instant
    seed: Instant
    accuracy: float | None
    incumbent: float | None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle holds.  publisher: the name of its key.  counter: higher with each bundle of a
    publisher.  device, revision, samples: of the contribution in it."""

    publisher: Name
    counter: Annotated[int, msgspec.Meta(ge=1, lt=2**63)]
    made_at_ns: Instant
    card: Name
    geometry: Name
    seed: Instant
    device: Name
    revision: Instant
    samples: Instant
    adaptors: tuple[Grown, ...]
    body_bytes: Annotated[int, msgspec.Meta(ge=0, le=FILE_BYTES_MAX)]
    body_sha256: Name


class Bundle(msgspec.Struct, frozen=True):
    """A bundle, read and verified.  geometry: packed arrays; records: adaptors without facts."""

    manifest: Manifest
    geometry: Arrays
    contribution: Contribution
    records: tuple[Record, ...]


def write_bundle(manifest: Manifest, arrays: Arrays, key: Ed25519PrivateKey) -> bytes:
    """Write a bundle; the body's length and checksum in the manifest are filled in."""
    body = pack_arrays(arrays)
    filled = msgspec.structs.replace(
        manifest, body_bytes=len(body), body_sha256=hashlib.sha256(body).hexdigest()
    )
    head = msgspec.json.encode(filled)
    signed = HEAD + len(head).to_bytes(LENGTH_BYTES, "little") + head
    return signed + key.sign(signed) + body


def read_bundle(raw: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Bundle:
    """Read a bundle; raises EdgeError saying what is wrong with it.  keys: of publishers.

    Nothing but the manifest is looked at before its signature is verified.
    """
    at = len(HEAD) + LENGTH_BYTES
    size = int.from_bytes(raw[len(HEAD) : at], "little")
    if not raw.startswith(HEAD) or not 0 < size <= min(MANIFEST_BYTES_MAX, len(raw)):
        raise refused("it is not a bundle", "`auricle bundle export` makes one")
    signed, signature = raw[: at + size], raw[at + size : at + size + SIGNATURE_BYTES]
    body = raw[at + size + SIGNATURE_BYTES :]
    try:
        manifest = msgspec.json.decode(raw[at : at + size], type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused(f"its manifest cannot be read: {error}", "export it again") from error
    key = keys.get(manifest.publisher)
    if key is None:
        known = ", ".join(keys) or "none"
        raise refused(
            f"no key of {manifest.publisher!r} is known", f"keys in [bundles.keys]: {known}"
        )
    if not verifies(key, signature, signed):
        raise refused(f"its signature is not that of {manifest.publisher}", "get it again")
    if len(body) != manifest.body_bytes or hashlib.sha256(body).hexdigest() != manifest.body_sha256:
        raise refused("its body is not the one that was signed", "get it again")
    return _opened(manifest, body)


def parts_of(geometry: Arrays, sums: Arrays, adaptors: tuple[Record, ...]) -> dict[str, Any]:
    """Name all arrays of a body."""
    made = {f"geometry/{name}": array for name, array in geometry.items()}
    made |= {f"sums/{name}": array for name, array in sums.items()}
    for number, record in enumerate(adaptors):
        made |= {f"adaptor {number}/{name}": array for name, array in record.arrays.items()}
    return made


def refused(why: str, hint: str) -> EdgeError:
    """The error of a bundle that is not taken."""
    return EdgeError(f"reading the bundle: {why}", hint)


def _opened(manifest: Manifest, body: bytes) -> Bundle:
    try:
        arrays = unpack_arrays(body)
    except ValueError as error:
        raise refused(f"its body cannot be read: {error}", "export it again") from error
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = array
    contribution = Contribution(
        manifest.device,
        manifest.card,
        manifest.geometry,
        manifest.seed,
        manifest.revision,
        manifest.samples,
        parts.get("sums", {}),
    )
    records = tuple(
        Record(
            one.domain,
            0,
            one.blueprint,
            parts.get(f"adaptor {number}", {}),
            (),
            one.own,
            one.seed,
            float("nan") if one.accuracy is None else one.accuracy,
            float("nan") if one.incumbent is None else one.incumbent,
        )
        for number, one in enumerate(manifest.adaptors)
    )
    return Bundle(manifest, parts.get("geometry", {}), contribution, records)
