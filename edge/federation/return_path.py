"""A training's result as a signed bundle for devices, on trial; and how a member leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ..bundles import (
    FleetAdaptor,
    export_fleet_adaptor,
    export_fleet_forecaster,
    record_fleet_bundle,
)
from ..core import EdgeError
from ..storage import BundleVersion, write_bytes
from .adaptor_task import AdaptorCourse
from .arrays import Arrays
from .devices import open_home_device
from .engine import simulate_fleet
from .fleet_training import TrainedFleet, TrainingOrder
from .trained_file import (
    RECEIPT,
    LeaveReceipt,
    TrainedManifest,
    course_of,
    read_trained,
    write_manifest,
    write_trained,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SUMS: Final = (
    "exact: sums follow from published facts alone; a contribution of this member is removed from "
    "every device by the empty one that follows `auricle forget`, or by removing its name from"
    " [fleet] devices"
)
TRAINED: Final = (
    "trained again without this member, from the same seed: the model is bit for bit that of a"
    " fleet that never had it"
)


@dataclass(frozen=True, slots=True)
class FleetBundle:
    """A bundle with a fleet's adaptor, as a file, and its version."""

    body: bytes
    version: BundleVersion


def export_trained(
    folder: Path, home: Path, key: "Ed25519PrivateKey", version: BundleVersion, now_ns: int
) -> FleetBundle:
    """Return a signed bundle with a training's adaptor and the geometry of a home, or with its
    forecaster alone.

    The bundle holds no sums.  An adaptor's is recorded first in every member's home that is named
    in the training, so that a forget request there names the bundle; either in the training's
    manifest, for `leave`.  Raises EdgeError where the geometry may not leave the home.
    """
    from ..home import Home

    manifest, arrays = read_trained(folder)
    course = course_of(manifest, arrays)
    model = {name: value for name, value in arrays.items() if "/" not in name}
    if isinstance(course, AdaptorCourse):
        body = _export_adaptor(manifest, course.transform(model), home, (key, version, now_ns))
    else:
        with Home(home, writable=False) as opened:
            body = export_fleet_forecaster(opened, model, key, version, now_ns)
    write_manifest(folder, msgspec.structs.replace(manifest, bundles=(*manifest.bundles, version)))
    return FleetBundle(body, version)


def _export_adaptor(
    manifest: TrainedManifest,
    arrays: Arrays,
    home: Path,
    signing: "tuple[Ed25519PrivateKey, BundleVersion, int]",
) -> bytes:
    """Return the bundle of an adaptor, recorded in the home and in those of the members."""
    from ..home import Home

    subject, order, (key, version, now_ns) = manifest.order.subject, manifest.order, signing
    made = FleetAdaptor(
        domain=subject.domain,
        blueprint=subject.blueprint,
        arrays=arrays,
        own=sum(manifest.members.values()),
        seed=order.settings.seed,
    )
    with Home(home) as opened:
        body = export_fleet_adaptor(opened, made, key, version, now_ns)
    for path in manifest.paths.values():
        device = open_home_device(Path(path), subject)
        with Home(Path(path)) as opened:
            contents = {row.tobytes() for row in device.facts.features}
            record_fleet_bundle(opened, version, manifest.digest, contents)
    return body


def leave_fleet(
    folder: Path,
    member: str,
    out: Path,
    now_ns: int,
    train: "Callable[[Sequence[Path], TrainingOrder], TrainedFleet]" = simulate_fleet,
) -> LeaveReceipt:
    """Train again without a member, from the same seed, into a new folder; write the receipt.

    The other members' facts are used as they are now.  Raises EdgeError for an unknown member, if
    it was the last one, and if the folder exists.
    """
    manifest, _ = read_trained(folder)
    paths = _without(manifest, member)
    if out.exists():
        # Before the training, which takes minutes.
        raise EdgeError(f"leaving the fleet: {out} exists already", "choose a new folder")
    trained = train(list(paths.values()), manifest.order)
    fresh = write_trained(out, trained, paths)
    receipt = LeaveReceipt(
        member=member,
        left_at_ns=now_ns,
        facts=manifest.members[member],
        digest_before=manifest.digest,
        digest_after=fresh.digest,
        sums=SUMS,
        trained=TRAINED,
        bundles=manifest.bundles,
    )
    write_bytes(out / RECEIPT, msgspec.json.format(msgspec.json.encode(receipt)))
    return receipt


def _without(manifest: TrainedManifest, member: str) -> dict[str, Path]:
    if member not in manifest.paths:
        raise EdgeError(
            f"leaving the fleet: expected one of {', '.join(manifest.paths) or 'no member'}, found"
            f" {member!r}",
            "name a member; a training on other machines is started again there without it",
        )
    left = {name: Path(path) for name, path in manifest.paths.items() if name != member}
    if not left:
        raise EdgeError(
            "leaving the fleet: no other member is left to train", "delete the training's folder"
        )
    return left
