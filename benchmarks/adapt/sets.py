"""The worlds of the comparison: pictures, digits, spoken prompts and a water circuit."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.sim.adaptation import (
    PROTOCOLS,
    AdaptationWorld,
    Change,
    LabelledRows,
    StreamPlan,
    digits_world,
)

from ..continual.data import missing
from ..ood.sets import FeatureSet, MissingError
from ..ood.sounds import PROMPTS, prompts
from .pictures import ALL_CORRUPTED, LEVELS, PICTURES, EncodedPictures, encode_pictures

PHOTO, ART, CARTOON = "photo", "art_painting", "cartoon"
"""Names of domains in PACS."""
BY_CLASS: Final = "one class"
"""The protocol of streams of one class."""
DEVELOPMENT: Final = frozenset(
    {(PHOTO, place) for place in (ART, CARTOON, PHOTO, "noise", "brightness")}
)
"""The streams on which choices are made: home and place."""
PICTURE_HOMES: Final[Mapping[str, Sequence[str]]] = {
    protocol: () if protocol.startswith("left out") else (PHOTO, ART)
    for protocol in PROTOCOLS
    if not protocol.startswith(("changes", BY_CLASS))
} | dict.fromkeys(("severity 3 correlated", "severity 5 correlated", "mixed correlated"), (PHOTO,))
"""Homes by protocol: 74 test streams with those of digits, as in the prototype."""
ONE_CLASS_HOMES: Final[Mapping[str, Sequence[str]]] = {BY_CLASS: (PHOTO, ART, CARTOON)}
"""Homes of the streams of one class, which are reported apart."""
QUICK_HOMES: Final[Mapping[str, Sequence[str]]] = {
    protocol: (PHOTO, ART) if protocol.startswith("same") else (PHOTO,)
    for protocol in PICTURE_HOMES
    if not protocol.startswith(("left out", "severity 3", "turning"))
}
"""Homes of a quick run: few corruptions, which must be encoded, and no fit of several domains."""
QUICK_CORRUPTED: Final = ((0, "blur", 5), (0, "contrast", 5))
"""Corruptions of a quick run: of photos, none of them a stream of development."""
DIGIT_HOMES: Final[Mapping[str, Sequence[str]]] = {"changes iid": (), "changes correlated": ()}
"""Homes of digits."""
OTHER: Final = ("iid", "correlated", "runs", "shifted", "recurring", "mixed iid", "same iid")
"""Protocols of the other sets."""
SKAB: Final = "skab.npz"
"""Eight sensors of a water circuit with induced faults."""
CIRCUITS: Final = ("valve1", "valve2", "other")
"""Groups of experiments: a domain each, the first one the home."""
WINDOW_S: Final = 20
"""Seconds of a window of the circuit: long enough for a standard deviation.  Chosen by hand.
Windows do not overlap, so that no second is both learned and shown."""


class PlanStreams(Protocol):
    """Loads a set and says which streams of it run."""

    def __call__(self, data: Path | None, /, *, quick: bool) -> StreamPlan:
        """Return the streams; quick: fewer, where the set is large."""


def plan_pictures(data: Path | None, *, quick: bool) -> StreamPlan:
    """Return the streams of PACS; encodes its pictures where they are not cached."""
    wanted = QUICK_CORRUPTED if quick else ALL_CORRUPTED
    world = picture_world(encode_pictures(_folder(data, PICTURES), wanted))
    homes = QUICK_HOMES if quick else PICTURE_HOMES
    return StreamPlan(lambda _: world, {**homes, **ONE_CLASS_HOMES})


def plan_digits(_data: Path | None, *, quick: bool) -> StreamPlan:
    """Return the streams of digits, the same for a quick run."""
    del quick
    return StreamPlan(digits_world, DIGIT_HOMES)


def picture_world(pictures: EncodedPictures) -> AdaptationWorld:
    """Return encoded pictures as a world."""
    domains = {
        name: LabelledRows(pictures.features[rows], pictures.label[rows])
        for place, name in enumerate(pictures.domains)
        for rows in [np.flatnonzero(pictures.domain == place)]
    }
    changed: dict[str, dict[Change, NDArray[np.uint8]]] = {}
    for (place, kind, level), features in pictures.corrupted.items():
        assert level in LEVELS
        changed.setdefault(pictures.domains[place], {})[Change(kind, level)] = features
    return AdaptationWorld(
        name="pacs",
        domains=domains,
        spans=pictures.spans,
        changed=changed,
        development=DEVELOPMENT,
    )


def plan_prompts(_data: Path | None, *, quick: bool) -> StreamPlan:
    """Return the streams of spoken prompts, the same for a quick run."""
    del quick
    found = prompts()
    assert found.group is not None
    # Every second window of a recording, since neighbours overlap by half.
    apart = np.arange(len(found.group)) - np.searchsorted(found.group, found.group)
    world = _feature_world("prompts", found, PROMPTS, np.flatnonzero(apart % 2 == 0))
    return StreamPlan(lambda _: world, dict.fromkeys(OTHER, ()))


def plan_circuit(data: Path | None, *, quick: bool) -> StreamPlan:
    """Return the streams of the water circuit, the same for a quick run."""
    del quick
    folder = _folder(data, SKAB)
    rows, labels, domains = [], [], []
    with np.load(folder / SKAB, allow_pickle=False) as held:
        for key in sorted(held.files):
            group = key.partition("__")[0]
            if group not in CIRCUITS or not key.endswith("__v"):
                continue
            values = held[key].astype(np.float32)
            faulty = held[f"{key[:-3]}__anomaly"]
            for start in range(0, len(values) - WINDOW_S + 1, WINDOW_S):
                window = slice(start, start + WINDOW_S)
                rows.append(np.concatenate([values[window].mean(0), values[window].std(0)]))
                labels.append(int(faulty[window].mean() > 0.5))
                domains.append(CIRCUITS.index(group))
    features = np.stack(rows)
    card = encoder.vector_card(features.shape[1])
    home = features[np.equal(domains, 0)]
    quantiser = encoder.freeze_quantiser(home, card.slices, "channel")
    world = _world("circuit", quantiser.quantise(features), labels, domains, CIRCUITS)
    return StreamPlan(lambda _: world, dict.fromkeys(OTHER, CIRCUITS[:1]))


def _feature_world(
    name: str, found: FeatureSet, names: Sequence[str], rows: NDArray[np.intp]
) -> AdaptationWorld:
    """Return some rows of a feature set as a world."""
    scale, zero = found.quantiser(found.values)
    levels = np.clip(np.rint(found.values[rows] / scale + zero), 0, 255).astype(np.uint8)
    made = _world(name, levels, found.label[rows], found.domain[rows], names)
    return AdaptationWorld(name=name, domains=made.domains, spans=found.slices)


def _world(
    name: str,
    features: NDArray[np.uint8],
    labels: Sequence[int] | NDArray[np.int64],
    domains: Sequence[int] | NDArray[np.int64],
    names: Sequence[str],
) -> AdaptationWorld:
    targets, places = np.asarray(labels, np.int64), np.asarray(domains)
    return AdaptationWorld(
        name=name,
        domains={
            each: LabelledRows(features[places == at], targets[places == at])
            for at, each in enumerate(names)
        },
        spans=((0, features.shape[1]),),
    )


def _folder(data: Path | None, name: str) -> Path:
    """Return the folder of an archive; raises MissingError without it, or where it is cut off."""
    absent = missing(data, name)
    if absent or data is None:
        raise MissingError(absent)
    if not zipfile.is_zipfile(data / name):
        raise MissingError(f"skipped: {data / name} is no whole archive; copy it again")
    return data


SETS: Final[Mapping[str, PlanStreams]] = {
    "pacs": plan_pictures,
    "digits": plan_digits,
    "prompts": plan_prompts,
    "circuit": plan_circuit,
}
"""The sets by name; each raises MissingError where its data are missing."""
