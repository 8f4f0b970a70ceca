"""Exports a bundle of a home, and imports one on trial."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec.structs import replace

import hdc

from ..core import EdgeError, StateError, columns_differ, counted_twice, unnamed_side
from ..core.adaptors import AdaptorRecord
from ..core.knowledge import find_invalid_contribution
from ..home import BUNDLE_FOLDER, Home
from ..mqtt import BundleTrialReport
from ..signing import public_key
from ..storage import (
    BundleTrial,
    BundleVersion,
    ExportRecord,
    find_invalid_network,
    is_liquid,
    write_bytes,
)
from .bundle_file import (
    FILE_BYTES_MAX,
    Bundle,
    BundleHead,
    manifest_entry,
    read_bundle,
    write_bundle,
)
from .exported_parts import choose_adaptors, geometry_part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


@dataclass(frozen=True, slots=True)
class ExportedBundle:
    """A bundle as a file, and the record to write before it leaves the device.

    adaptors: domains whose adaptor is in it.  withheld: domains whose adaptor would tell too much
    about single facts, or came in a bundle itself.
    """

    body: bytes
    record: ExportRecord
    adaptors: tuple[str, ...]
    withheld: tuple[str, ...]


def export_bundle(
    home: Home, key: "Ed25519PrivateKey", publisher: str, counter: int, now_ns: int
) -> ExportedBundle:
    """Return a bundle of a home's geometry, contribution and serving adaptors; raises EdgeError if
    the geometry would give single facts away."""
    store, known, device = home.store, home.runtime.knowledge, home.settings.device.known_as
    before, forgets = store.publications.published(), store.publications.forgets()
    publication = home.runtime.contribute(device, counter, before)
    contribution = publication.contribution
    newest = (versions[0] for _, versions in sorted(store.adaptors().items()))
    serving = [one for one in newest if not one.provisional]
    parts = [part for part in (geometry_part(home, before.key),) if part is not None]
    chosen = choose_adaptors(store, serving, before.key)
    records = tuple(record for record, _ in chosen)
    head = BundleHead(
        publisher=publisher,
        counter=counter,
        made_at_ns=now_ns,
        card=contribution.card,
        geometry=contribution.geometry,
        seed=contribution.seed,
        device=device,
        revision=counter,
        samples=contribution.samples,
        adaptors=tuple(map(manifest_entry, records)),
        columns=contribution.columns,
    )
    body = write_bundle(head, known.geometry, contribution.arrays, records, key)
    taken = tuple(record.domain for record in records)
    withheld = tuple(one.domain for one in serving if one.domain not in taken)
    plan = publication.plan
    record = ExportRecord(
        version=BundleVersion(publisher, counter),
        newest=max(before.cohorts, default=0),
        forgets=forgets,
        kept=plan.kept,
        added=plan.added,
        dropped=plan.dropped,
        parts=(*parts, *(part for _, part in chosen)),
    )
    return ExportedBundle(body, record, taken, withheld)


def write_record(folder: Path, record: ExportRecord) -> str:
    """Write a record into the folder of bundles, for the daemon; return its name."""
    name = f"record-{secrets.token_hex(8)}"
    (folder / BUNDLE_FOLDER).mkdir(exist_ok=True)
    write_bytes(folder / BUNDLE_FOLDER / name, msgspec.msgpack.encode(record))
    return name


def read_record(folder: Path, name: str) -> ExportRecord:
    """Read a record, and delete its file; raises EdgeError with the reason."""
    raw = _file(folder, name)
    (folder / BUNDLE_FOLDER / name).unlink(missing_ok=True)
    try:
        return msgspec.msgpack.decode(raw, type=ExportRecord)
    except msgspec.DecodeError as error:
        raise EdgeError(f"recording {name}: {error}", "export the bundle again") from error


def record_bundle(home: Home, record: ExportRecord) -> None:
    """Record what a bundle holds; raises StateError if it may not leave the device any more."""
    if not home.store.publications.record_export(record):
        raise StateError(
            "exporting a bundle: facts were forgotten or sums were published while it was made",
            "export it again",
        )


def import_bundle(home: Home, name: str, now_ns: int) -> BundleTrialReport:
    """Import a bundle from the home's folder `bundles` on trial; raises EdgeError with the reason.

    Adaptors are imported for domains with facts in this home, from which their heads are solved.
    A forecaster serves at once; series start again, since their states belong to a network.
    """
    if home.trial is not None:
        raise StateError(
            f"importing {name}: {home.trial.trial.bundle} is on trial", "confirm or revert it first"
        )
    bundle = read_bundle(_file(home.folder, name), _keys(home))
    _check(home, bundle)
    if bundle.geometry is None:
        return _import_forecaster(home, name, bundle, now_ns)
    head, known = bundle.head, home.runtime.knowledge
    own = head.device == home.settings.device.known_as
    contribution = bundle.contribution if head.samples and not own else None
    twice = counted_twice(contribution, home.store.contributions()) if contribution else ""
    contribution = None if twice else contribution
    records = tuple(_numbered(home, one) for one in bundle.records if one.domain in known.learned)
    wrong = next(filter(None, map(known.find_invalid_adaptor, records)), "")
    if wrong:
        raise EdgeError(f"importing {name}: {wrong}", "export it again")
    trial = BundleTrial(
        bundle=name,
        publisher=head.publisher,
        counter=head.counter,
        started_at_ns=now_ns,
        device=contribution.device if contribution else "",
        revision=contribution.revision if contribution else 0,
        versions=tuple((one.domain, one.version) for one in records),
    )
    arrays = bundle.geometry.pack()
    home.store.trials.begin(trial, arrays, contribution, records, head.device)
    home.reopen()
    unused = twice and f"its sums are not used: {twice}"
    found = "; ".join(filter(None, (unused, unnamed_side(home.store.columns(), head.columns))))
    return replace(home.trial_state(), reason=found and f"(warning: {found})")


def _import_forecaster(home: Home, name: str, bundle: Bundle, now_ns: int) -> BundleTrialReport:
    """Import a forecasting network on trial."""
    if home.settings.forecast.weights:
        raise EdgeError(
            f"importing {name}: it is a forecaster, and [forecast] weights names another one",
            "remove weights from auricle.toml",
        )
    arrays = dict(bundle.network)
    wrong = find_invalid_network(arrays)
    if not wrong and is_liquid(arrays) != (bundle.head.forecaster == "cfc"):
        wrong = f"another network than the {bundle.head.forecaster} of its manifest"
    if wrong:
        raise EdgeError(f"importing {name}: expected a network, found {wrong}", "export it again")
    head = bundle.head
    trial = BundleTrial(
        bundle=name, publisher=head.publisher, counter=head.counter, started_at_ns=now_ns
    )
    home.store.trials.begin_network(trial, arrays, head.device)
    home.reopen()
    return home.trial_state()


def _file(folder: Path, name: str) -> bytes:
    """Read a file of the bundle folder, and no other."""
    path = folder / BUNDLE_FOLDER / name
    if Path(name).name != name or name.startswith("."):
        raise EdgeError(
            f"importing {name!r}: it is not a bare file name",
            f"name a file in the folder {BUNDLE_FOLDER}, without a path",
        )
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise EdgeError(f"importing {name}: it is larger than {FILE_BYTES_MAX} bytes", "")
        return path.read_bytes()
    except OSError as error:
        raise EdgeError(
            f"importing {name}: {error.strerror}", f"put it into {folder / BUNDLE_FOLDER}"
        ) from error


def _keys(home: Home) -> "dict[str, Ed25519PublicKey]":
    given = home.settings.bundles.keys
    return {name: public_key(text, name) for name, text in given.items()}


def _check(home: Home, bundle: Bundle) -> None:
    """Raise EdgeError for a bundle that does not fit this home, or is not newer."""
    head, geometry, card = bundle.head, bundle.geometry, home.model.card
    newest = home.store.trials.counter(head.publisher)
    if head.counter <= newest:
        raise EdgeError(
            f"importing the bundle: its counter {head.counter} is not above {newest}, the last one "
            f"imported from {head.publisher}",
            "export it again, with a higher --counter",
        )
    if geometry is None:
        return
    if head.card != card.fingerprint:
        raise EdgeError(
            f"importing the bundle: it was made with the encoder card {head.card[:12]}, this home "
            f"uses {card.fingerprint[:12]}",
            "import a bundle that was exported with this card",
        )
    wrong = columns_differ(home.store.columns(), head.columns)
    if wrong:
        raise EdgeError(
            f"importing the bundle: {wrong}",
            "import a bundle with the same columns, in the same order",
        )
    wrong = _find_mismatch(home, bundle, geometry)
    if wrong:
        raise EdgeError(f"importing the bundle: {wrong}", "export it again")


def _find_mismatch(home: Home, bundle: Bundle, geometry: hdc.Geometry) -> str:
    spans = tuple((part.start, part.stop) for part in home.model.card.slices)
    if geometry.fingerprint != bundle.head.geometry or geometry.slices != spans:
        return "its geometry does not match its manifest, or this card"
    try:
        geometry.project(np.zeros((1, geometry.width), np.uint8))
    except (ValueError, IndexError, TypeError, hdc.HdcError) as error:
        return f"its geometry cannot be used: {error}"
    return find_invalid_contribution(bundle.contribution, geometry) if bundle.head.samples else ""


def _numbered(home: Home, record: AdaptorRecord) -> AdaptorRecord:
    """Return an adaptor with the next version number of its domain in this home."""
    kept = home.store.adaptors().get(record.domain, ())
    pending = home.store.pending_adaptors().get(record.domain)
    versions = (*(one.version for one in kept), pending.version if pending else 0)
    return replace(record, version=1 + max(versions, default=0))
