"""The bundle file: a signed manifest, and the arrays as one safetensors block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from numpy.typing import NDArray

import hdc

from ..core import Contribution, EdgeError
from ..core.adaptors import AdaptorRecord
from ..signing import Columns, Count, SignedManifest, Text, read_signed, sign_file
from ..storage import StoredBlueprint, pack_arrays, stored_form, unpack_arrays

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

HEAD: Final = b"auricle-bundle-1\n"
FILE_BYTES_MAX: Final = 256 << 20
"""Largest bundle that is read.  Bounds memory; chosen by hand, effect not measured."""

NETWORK: Final = "network"
"""Prefix of a forecaster's arrays."""

Arrays = Mapping[str, NDArray[Any]]


class BundleAdaptor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An adaptor in a bundle, without its arrays."""

    domain: Text
    blueprint: StoredBlueprint
    own: Count
    seed: Count
    accuracy: float | None
    incumbent: float | None


class BundleHead(SignedManifest, frozen=True, kw_only=True):
    """The manifest of a bundle.

    publisher: name of the signing key.  counter: rises with each bundle of a publisher.  device,
    revision, samples: of the contribution.  columns: names of the encoder's input columns; empty if
    the publisher has none.  forecaster: kind of the forecasting network in a bundle that holds
    nothing else; card and geometry then say nothing.
    """

    publisher: Text
    counter: Count
    made_at_ns: Count
    card: Text
    geometry: Text
    seed: Count
    device: Text
    revision: Count
    samples: Count
    adaptors: tuple[BundleAdaptor, ...] = ()
    columns: Columns = ()
    forecaster: Literal["", "cfc", "gru"] = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bundle:
    """A verified bundle.  geometry: None in a bundle with a forecaster.  records: adaptors, without
    the ids of the facts that trained them.  network: arrays of a forecaster, float32, not checked
    yet."""

    head: BundleHead
    geometry: hdc.Geometry | None
    contribution: Contribution
    records: tuple[AdaptorRecord, ...] = field(default=())
    network: Arrays = field(default_factory=dict, repr=False)


def write_forecaster_bundle(head: BundleHead, network: Arrays, key: "Ed25519PrivateKey") -> bytes:
    """Encode and sign a bundle with a forecasting network alone."""
    arrays = {f"{NETWORK}/{name}": array for name, array in network.items()}
    return sign_file(HEAD, head, pack_arrays(arrays), key)


def write_bundle(
    head: BundleHead,
    geometry: hdc.Geometry,
    sums: Arrays,
    records: tuple[AdaptorRecord, ...],
    key: "Ed25519PrivateKey",
) -> bytes:
    """Encode and sign a bundle."""
    arrays = {f"geometry/{name}": array for name, array in geometry.pack().items()}
    arrays |= {f"sums/{name}": array for name, array in sums.items()}
    for number, record in enumerate(records):
        arrays |= {f"adaptor {number}/{name}": array for name, array in record.arrays.items()}
    return sign_file(HEAD, head, pack_arrays(arrays), key)


def read_bundle(raw: bytes, keys: "Mapping[str, Ed25519PublicKey]") -> Bundle:
    """Decode and verify a bundle; raises EdgeError with the reason.  keys: of the publishers."""
    if not keys:
        raise EdgeError("reading the bundle: no publisher is trusted", "see [bundles.keys]")
    head, body = read_signed(HEAD, raw, BundleHead, lambda one: one.publisher, keys)
    try:
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for name, array in unpack_arrays(body).items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = array
        network = parts.pop(NETWORK, {})
        geometry = None if head.forecaster else hdc.Geometry.unpack(parts.pop("geometry", {}))
    except (ValueError, hdc.HdcError) as error:
        raise EdgeError(f"reading the bundle: {error}", "export it again") from error
    if bool(head.forecaster) != bool(network) or (network and (parts or head.adaptors)):
        raise EdgeError("reading the bundle: its arrays are not those of its manifest", "")
    sums = parts.pop("sums", {})
    contribution = Contribution(
        device=head.device,
        card=head.card,
        geometry=head.geometry,
        seed=head.seed,
        revision=head.revision,
        samples=head.samples,
        arrays=sums,
        columns=head.columns,
        geometry_version=geometry.version if geometry else 1,
    )
    records = tuple(
        _record(one, parts.get(f"adaptor {at}", {})) for at, one in enumerate(head.adaptors)
    )
    return Bundle(
        head=head,
        geometry=geometry,
        contribution=contribution,
        records=records,
        network=network,
    )


def manifest_entry(record: AdaptorRecord) -> BundleAdaptor:
    """Return the manifest entry of an adaptor."""
    known = record.accuracy == record.accuracy
    accuracy, incumbent = (record.accuracy, record.incumbent) if known else (None, None)
    return BundleAdaptor(
        domain=record.domain,
        blueprint=stored_form(record.blueprint),
        own=record.own,
        seed=record.seed,
        accuracy=accuracy,
        incumbent=incumbent,
    )


def _record(one: BundleAdaptor, arrays: Arrays) -> AdaptorRecord:
    accuracy, incumbent = (
        float("nan") if value is None else value for value in (one.accuracy, one.incumbent)
    )
    return AdaptorRecord(
        domain=one.domain,
        version=0,
        blueprint=one.blueprint.blueprint,
        arrays=arrays,
        facts=(),
        own=one.own,
        seed=one.seed,
        accuracy=accuracy,
        incumbent=incumbent,
    )
