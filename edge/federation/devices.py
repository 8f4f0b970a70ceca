"""Devices that train together, what they tell first, and what they then agree on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

import nas

from ..core import EdgeError, limits
from .adaptor_task import (
    AdaptorCourse,
    AdaptorTask,
    DeviceFacts,
    find_impossible_statistics,
    plan_adaptor,
)
from .arrays import Arrays
from .forecaster_task import ForecasterTask
from .local_training import FederatedTask
from .rounds import Exchange, InProcessExchange

if TYPE_CHECKING:
    from ..growth import ForecastTrainingSet

Concept = tuple[str, str]
NO_STATISTICS: Arrays = {}
"""The statistics of devices that need none."""


def lowrank_blueprint(rank: int) -> nas.Blueprint:
    """Return the adaptor that is trained by default: a low-rank layer on the final features."""
    return nas.Blueprint(kind="lowrank", taps=(0,), rank=rank)


class TrainingSubject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained: an adaptor of a domain, or, with a kind of forecaster ("cfc", "gru"), a
    forecasting network."""

    domain: str = ""
    blueprint: nas.Blueprint = lowrank_blueprint(8)
    forecaster: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Introduction:
    """What a device tells before a training: the columns of its encoder's taps, its concepts, and
    the sums that the standardisation follows from."""

    device: str
    card: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    concepts: tuple[Concept, ...] = ()
    statistics: Arrays = field(default_factory=lambda: NO_STATISTICS, repr=False)


@dataclass(frozen=True, slots=True)
class ForecasterCourse:
    """What devices agree on for a forecaster: its kind."""

    kind: str

    def start(self, seed: int) -> dict[str, NDArray[Any]]:
        """Return the initial network; loads torch."""
        from ..growth import initial_network

        return dict(initial_network(self.kind, seed))


Course = AdaptorCourse | ForecasterCourse


class FederatedDevice(Protocol):
    """A device that trains.  digest: of what it trains on, which never leaves it: a training ends
    if it changes meanwhile."""

    @property
    def name(self) -> str:
        """Its name in the fleet."""

    @property
    def digest(self) -> str:
        """Digest of what it trains on."""

    def introduce(self) -> Introduction:
        """Return what the others must know."""

    def task(self, course: Course) -> FederatedTask:
        """Return its part in a training."""


class Fleet(Protocol):
    """Devices that can be reached, in this process or through Flower."""

    def introduce(self, subject: TrainingSubject) -> list[Introduction]:
        """Ask all devices."""

    def exchange(self, course: Course) -> Exchange:
        """Return the exchange for a training that all devices agreed on."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptorDevice:
    """A device with labelled facts of a domain.  spans: columns of its encoder's taps."""

    name: str
    facts: DeviceFacts
    spans: tuple[tuple[int, int], ...]
    card: str = ""
    digest: str = ""

    def introduce(self) -> Introduction:
        """See `FederatedDevice`."""
        return Introduction(
            device=self.name,
            card=self.card,
            spans=self.spans,
            concepts=tuple(sorted(set(self.facts.concepts))),
            statistics=self.facts.statistics(),
        )

    def task(self, course: Course) -> FederatedTask:
        """See `FederatedDevice`."""
        assert isinstance(course, AdaptorCourse), course
        return AdaptorTask(self.facts, course)


@dataclass(frozen=True, slots=True, eq=False)
class ForecasterDevice:
    """A device with recorded streams."""

    name: str
    corpus: "Sequence[ForecastTrainingSet]"
    digest: str = ""

    def introduce(self) -> Introduction:
        """See `FederatedDevice`."""
        return Introduction(device=self.name)

    def task(self, course: Course) -> FederatedTask:
        """See `FederatedDevice`."""
        assert isinstance(course, ForecasterCourse), course
        return ForecasterTask(course.kind, self.corpus)


class InProcessFleet:
    """Devices of this process: for tests and comparisons."""

    def __init__(self, devices: Iterable[FederatedDevice]) -> None:
        self._devices = tuple(devices)

    def introduce(self, subject: TrainingSubject) -> list[Introduction]:
        """See `Fleet`."""
        del subject
        return [one.introduce() for one in self._devices]

    def exchange(self, course: Course) -> Exchange:
        """See `Fleet`."""
        return InProcessExchange({one.name: one.task(course) for one in self._devices})


def plan_course(subject: TrainingSubject, introductions: Sequence[Introduction]) -> Course:
    """Return what devices agree on; raises EdgeError where they do not fit together."""
    names = [one.device for one in introductions]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice or not names:
        raise _not_different(names)
    if subject.forecaster:
        return ForecasterCourse(subject.forecaster)
    first = introductions[0]
    for one in introductions:
        if (one.card, one.spans) != (first.card, first.spans):
            raise EdgeError(
                f"training over devices: {one.device} uses the encoder card {one.card[:12]}, "
                f"{first.device} {first.card[:12]}",
                "let all devices use one encoder card",
            )
        sizes = {name: value.shape for name, value in one.statistics.items()}
        if sizes != {name: value.shape for name, value in first.statistics.items()}:
            raise EdgeError(
                f"training over devices: the sums of {one.device} have the shapes {sizes}, which "
                f"are not those of {first.device}",
                "let all devices run the same release",
            )
        wrong = find_impossible_statistics(one.statistics)
        if wrong:
            raise EdgeError(
                f"training over devices: the sums of {one.device} are those of no facts: {wrong}",
                "leave the device out",
            )
    concepts = {concept for one in introductions for concept in one.concepts}
    statistics = {one.device: one.statistics for one in introductions}
    return plan_adaptor(subject.blueprint, first.spans, concepts, statistics)


def open_home_device(folder: Path, subject: TrainingSubject) -> AdaptorDevice:
    """Return a home as a device, with its facts of the subject's domain as they are now.

    Labels with fewer than 8 different facts take no part (`COHORT_FRESH_MIN`).  Raises EdgeError
    if none is left.  Cost: opens the knowledge file, a daemon may be running.
    """
    import hashlib

    from ..home import Home

    with Home(folder, writable=False) as opened:
        card, name = opened.model.card, opened.settings.device.known_as
        features, labels = [], list[str]()
        for batch in opened.store.batches(subject.domain):
            features.append(batch.features)
            labels.extend(batch.labels)
    width = max(part.stop for part in card.slices)
    rows = np.concatenate([np.zeros((0, width), np.uint8), *features])
    kept = _frequent(rows, labels)
    if not len(kept):
        raise EdgeError(
            f"training over devices: {name} has no label with {limits.COHORT_FRESH_MIN} different "
            f"facts or more in the domain {subject.domain!r}",
            "let it learn more, or leave it out",
        )
    chosen = tuple(labels[at] for at in kept)
    digest = hashlib.sha256("\n".join(chosen).encode() + rows[kept].tobytes()).hexdigest()
    return AdaptorDevice(
        name,
        DeviceFacts(features=rows[kept], labels=chosen, domains=(subject.domain,) * len(chosen)),
        tuple((part.start, part.stop) for part in card.slices),
        card.fingerprint,
        digest,
    )


def device_names(paths: Sequence[Path], subject: TrainingSubject) -> dict[str, Path]:
    """Return the names of the devices at these paths, as they train; raises EdgeError if two are
    equal."""
    made: dict[str, Path] = {}
    for path in paths:
        name = path.stem if subject.forecaster else open_home_device(path, subject).name
        if name in made:
            raise _not_different([*made, name])
        made[name] = path
    return made


def open_recording_device(path: Path) -> ForecasterDevice:
    """Return a recording, a CSV, as a device named after the file; loads torch."""
    import hashlib

    from ..datasets import read_recording
    from ..growth import make_training_set

    recording = read_recording(path)
    made = make_training_set(recording.values, recording.elapsed_s)
    digest = hashlib.sha256(recording.values.tobytes()).hexdigest()
    return ForecasterDevice(path.stem, [made], digest)


def _not_different(names: Sequence[str]) -> EdgeError:
    return EdgeError(
        f"training over devices: expected devices of different names, found {', '.join(names)}",
        "give each device a name of its own: [device] name in auricle.toml, or the file's name",
    )


def _frequent(rows: NDArray[np.uint8], labels: Sequence[str]) -> NDArray[np.intp]:
    """Return the places of facts whose label has enough different contents, ordered by content, so
    that ids and the order of learning change nothing."""
    contents: Mapping[str, set[bytes]] = {label: set() for label in labels}
    keys = [(label, row.tobytes()) for label, row in zip(labels, rows, strict=True)]
    for label, content in keys:
        contents[label].add(content)
    kept = [at for at, key in enumerate(keys) if len(contents[key[0]]) >= limits.COHORT_FRESH_MIN]
    return np.array(sorted(kept, key=lambda at: keys[at]), np.intp)
