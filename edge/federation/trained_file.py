"""The result of a training over devices as a folder: `fleet.json`, and `model.safetensors` with all
arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ..core import EdgeError
from ..storage import BundleVersion, pack_arrays, unpack_arrays, write_bytes
from .adaptor_task import AdaptorCourse
from .arrays import Arrays
from .devices import ForecasterCourse
from .fleet_training import TrainedFleet, TrainingOrder, model_digest

MANIFEST: Final = "fleet.json"
MODEL: Final = "model.safetensors"
RECEIPT: Final = "receipt.json"
"""Of the member that left, in the folder of the training without it."""
STANDARD: Final = "standard/"
"""Prefix of the standardisation among the arrays."""


class TrainedManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a training, beside its arrays.

    members: facts by device.  paths: home or recording by device, where it ran on this machine.
    concepts, spans: that the devices agreed on.  digest: of the model.  bundles: exported from it.
    """

    order: TrainingOrder
    members: dict[str, int]
    digest: str
    concepts: tuple[tuple[str, str], ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    paths: dict[str, str] = {}
    bundles: tuple[BundleVersion, ...] = ()


class LeaveReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What leaving changed: of a member's influence nothing is left where the text says so.

    digest_before, digest_after: of the model.  bundles: of the training before; devices that hold
    one keep the member's influence until they remove it.
    """

    member: str
    left_at_ns: int
    facts: int
    digest_before: str
    digest_after: str
    sums: str
    trained: str
    bundles: tuple[BundleVersion, ...]


def write_trained(
    folder: Path, trained: TrainedFleet, paths: Mapping[str, Path] | None = None
) -> TrainedManifest:
    """Write a new folder.  paths: of the devices, for `leave`.  Raises EdgeError if it exists."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise EdgeError(
            f"writing the training to {folder}: {error.strerror}", "choose a new folder"
        ) from error
    course, arrays = trained.course, dict(trained.model)
    adaptor = course if isinstance(course, AdaptorCourse) else None
    if adaptor is not None:
        arrays |= {f"{STANDARD}centre": adaptor.centre, f"{STANDARD}factor": adaptor.factor}
    manifest = TrainedManifest(
        order=trained.order,
        members=trained.members,
        digest=trained.digest,
        concepts=adaptor.concepts if adaptor else (),
        spans=adaptor.spans if adaptor else (),
        paths={name: str(path) for name, path in (paths or {}).items()},
    )
    write_bytes(folder / MODEL, pack_arrays(arrays))
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: TrainedManifest) -> None:
    """Write the manifest of a folder, in place of an earlier one."""
    write_bytes(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))


def read_trained(folder: Path) -> tuple[TrainedManifest, Arrays]:
    """Read a folder: its manifest, and all arrays.  Raises EdgeError if it is damaged."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=TrainedManifest)
        arrays = unpack_arrays((folder / MODEL).read_bytes())
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise EdgeError(
            f"reading the training in {folder}: {error}", "name the folder of `auricle fleet train`"
        ) from error
    model = {name: value for name, value in arrays.items() if not name.startswith(STANDARD)}
    if model_digest(model) != manifest.digest or not all(
        value.dtype == np.float32 for value in arrays.values()
    ):
        raise EdgeError(
            f"reading the training in {folder}: the arrays are not those of its manifest",
            "train again",
        )
    return manifest, arrays


def course_of(manifest: TrainedManifest, arrays: Arrays) -> AdaptorCourse | ForecasterCourse:
    """Return what the devices of a training agreed on."""
    subject = manifest.order.subject
    if subject.forecaster:
        return ForecasterCourse(subject.forecaster)
    return AdaptorCourse(
        blueprint=subject.blueprint,
        spans=manifest.spans,
        concepts=manifest.concepts,
        centre=arrays[f"{STANDARD}centre"],
        factor=arrays[f"{STANDARD}factor"],
    )
