"""What a fleet trained, as a bundle of its own: an adaptor or a forecaster, without sums, and
without facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

import nas

from ..core import StateError, digest_content
from ..core.adaptors import AdaptorRecord
from ..home import Home
from ..storage import BundleVersion, ExportedPart, ExportRecord, is_liquid
from .bundle_file import BundleHead, manifest_entry, write_bundle, write_forecaster_bundle
from .exported_parts import geometry_part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FleetAdaptor:
    """A trained adaptor.  arrays: of its transform, float32.  own: facts of all members."""

    domain: str
    blueprint: nas.Blueprint
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    own: int
    seed: int


def export_fleet_adaptor(
    home: Home, made: FleetAdaptor, key: "Ed25519PrivateKey", version: BundleVersion, now_ns: int
) -> bytes:
    """Return a signed bundle with a fleet's adaptor and a home's geometry; record it in that home.

    Raises EdgeError if the geometry would give single facts away.
    """
    known, store = home.runtime.knowledge, home.store
    part = geometry_part(home, store.publications.published().key)
    record = AdaptorRecord(
        domain=made.domain,
        version=0,
        blueprint=made.blueprint,
        arrays=made.arrays,
        facts=(),
        own=made.own,
        seed=made.seed,
        accuracy=float("nan"),
        incumbent=float("nan"),
    )
    head = BundleHead(
        publisher=version.publisher,
        counter=version.counter,
        made_at_ns=now_ns,
        card=home.model.card.fingerprint,
        geometry=known.geometry.fingerprint,
        seed=home.runtime.config.seed,
        device=home.settings.device.known_as,
        revision=version.counter,
        samples=0,
        adaptors=(manifest_entry(record),),
        columns=store.columns(),
    )
    body = write_bundle(head, known.geometry, {}, (record,), key)
    _record(home, version, [] if part is None else [part])
    return body


def export_fleet_forecaster(
    home: Home,
    network: Mapping[str, NDArray[Any]],
    key: "Ed25519PrivateKey",
    version: BundleVersion,
    now_ns: int,
) -> bytes:
    """Return a signed bundle with a forecasting network, and nothing of the home but its name."""
    head = BundleHead(
        publisher=version.publisher,
        counter=version.counter,
        made_at_ns=now_ns,
        card=home.model.card.fingerprint,
        geometry=home.runtime.knowledge.geometry.fingerprint,
        seed=home.runtime.config.seed,
        device=home.settings.device.known_as,
        revision=version.counter,
        samples=0,
        forecaster="cfc" if is_liquid(network) else "gru",
    )
    return write_forecaster_bundle(head, network, key)


def record_fleet_bundle(
    home: Home, version: BundleVersion, digest: str, contents: Iterable[bytes]
) -> None:
    """Record in a member's home that facts of it, by their features, shaped an adaptor in a bundle:
    its receipts name the bundle from now on.  digest: of the trained model."""
    key = home.store.publications.published().key
    members = tuple(sorted(digest_content(one, key) for one in set(contents)))
    _record(home, version, [ExportedPart("adaptor", digest_content(digest.encode(), key), members)])


def _record(home: Home, version: BundleVersion, parts: list[ExportedPart]) -> None:
    publications = home.store.publications
    record = ExportRecord(
        version=version,
        newest=max(publications.published().cohorts, default=0),
        forgets=publications.forgets(),
        kept=(),
        added=(),
        dropped=(),
        parts=tuple(parts),
    )
    if not publications.record_export(record):
        raise StateError(
            "exporting a bundle: facts were forgotten or sums were published while it was made",
            "export it again",
        )
