"""The timeline of a scenario: enrolments, observations, labels, forget requests and evaluations.

`build_world` depends on scenario and seed alone; measurements are read when they are needed.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

import msgspec
import numpy as np

from ..core import ConfigError, Selector
from .corruptions import IMAGES_ONLY, VECTORS_ONLY, corrupt_values
from .samples import decode_image, read_samples
from .scenarios import VECTOR, DomainSpec, ForgetSpec, PhaseSpec, Scenario

START_NS: Final = 1_767_225_600_000_000_000
"""1 January 2026, the start of the simulated time; one observation follows each second."""

SECOND_NS: Final = 1_000_000_000
"""Nanoseconds in a second."""

AFTERWARDS: Final = 2**62
"""Later than every observation: actions still due at the end of the stream happen then."""


@dataclass(frozen=True, slots=True)
class WorldSample:
    """A measurement with its true domain and label.  `read()` returns the same payload each
    time."""

    domain: str
    label: str
    read: Callable[[], Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """A phase begins."""

    phase: int
    domain: str


@dataclass(frozen=True, slots=True)
class EnrolSamples:
    """Labelled examples to enrol.  fit_geometry: fit the geometry to the ledger afterwards."""

    samples: tuple[WorldSample, ...]
    phase: int
    fit_geometry: bool


@dataclass(frozen=True, slots=True)
class ObserveSample:
    """A measurement arrives.  id: unique in a run; a doubled observation repeats it."""

    sample: WorldSample
    stream: str
    sequence: int
    captured_at_ns: int
    id: str


@dataclass(frozen=True, slots=True)
class DelayedLabel:
    """A label arrives for an observation, with its domain unless `domain` is empty.  wrong: the
    label is not the true one."""

    id: str
    label: str
    domain: str = ""
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class ForgetAction:
    """A forget request arrives."""

    request_id: str
    selector: Selector
    refit_geometry: bool


@dataclass(frozen=True, slots=True)
class EvaluateNow:
    """A checkpoint: the held-out sets are evaluated.  last: no action follows."""

    name: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault of the world that the device does not observe, for the recording."""

    kind: str
    text: str


Action = (
    PhaseStart
    | EnrolSamples
    | ObserveSample
    | DelayedLabel
    | ForgetAction
    | EvaluateNow
    | InjectedFault
)


@dataclass(frozen=True, slots=True)
class World:
    """Actions in order, and the held-out samples of each domain.

    domains: in order of first visit, then those never visited.  taught: for each domain the
    checkpoint after the first phase that enrols or labels it, or None.  taps: (name, width) of
    vector payloads, empty for images.
    """

    actions: tuple[Action, ...] = field(repr=False)
    tests: Mapping[str, tuple[WorldSample, ...]] = field(repr=False)
    domains: tuple[str, ...]
    taught: tuple[int | None, ...]
    taps: tuple[tuple[str, int], ...]

    @property
    def samples(self) -> Iterator[WorldSample]:
        """Every sample that a run may encode; some repeat."""
        for action in self.actions:
            if isinstance(action, EnrolSamples):
                yield from action.samples
            elif isinstance(action, ObserveSample):
                yield action.sample
        for held_out in self.tests.values():
            yield from held_out

    @property
    def labels(self) -> frozenset[str]:
        """The set of true labels."""
        return frozenset(sample.label for sample in self.samples)


class _Pool:
    """The rows of a source in seeded order: held-out rows, and the rest, drawn without replacement.

    Domains that differ only in their corruptions share a pool, so that no corrupted copy of a
    held-out row is ever learned.
    """

    def __init__(self, domain: DomainSpec, seed: int, *, flat: bool) -> None:
        self.samples = read_samples(domain, flat=flat)
        self.spread = self.samples.spread()
        # The split depends on the source's name, not on the folder it lies in on this machine.
        named = msgspec.structs.replace(domain, source=PurePath(domain.source).name)
        random = np.random.default_rng([seed, zlib.crc32(_identity(named))])
        rows = random.permutation(len(self.samples)).tolist()
        self.test, self._left = rows[: domain.test], rows[domain.test :]

    def draw(self, count: int, classes: tuple[str, ...], what: str) -> list[int]:
        """Draw `count` unused rows, of some classes if any are named."""
        labels = self.samples.labels
        fitting = [row for row in self._left if not classes or labels[row] in classes]
        if len(fitting) < count:
            raise ConfigError(
                f"{what}: expected {count} samples, {len(fitting)} are left",
                "draw fewer, or hold fewer out with `test`",
            )
        gone = set(fitting[:count])
        self._left = [row for row in self._left if row not in gone]
        return fitting[:count]


def build_world(scenario: Scenario, seed: int) -> World:
    """Build the timeline of a scenario.  Raises ConfigError if a source has too few samples."""
    pools = _fill_pools(scenario, seed)
    actions = tuple(_Timeline(scenario, seed, pools).actions())
    visited = dict.fromkeys(phase.domain for phase in scenario.phases)
    domains = (*visited, *(name for name in scenario.domains if name not in visited))
    tests = {
        name: tuple(
            _Maker(name, scenario.domains[name], pools[name], seed).make(row, 1.0)
            for row in pools[name].test
        )
        for name in domains
    }
    return World(
        actions,
        tests,
        domains,
        tuple(_taught(scenario, name) for name in domains),
        pools[domains[0]].samples.taps,
    )


def _fill_pools(scenario: Scenario, seed: int) -> dict[str, _Pool]:
    shared: dict[bytes, _Pool] = {}
    for domain in scenario.domains.values():
        if _identity(domain) not in shared:
            flat = scenario.encoder.model == VECTOR
            shared[_identity(domain)] = _Pool(domain, seed, flat=flat)
    pools = {name: shared[_identity(domain)] for name, domain in scenario.domains.items()}
    for name, domain in scenario.domains.items():
        vectors = bool(pools[name].samples.taps)
        wrong = {c.kind for c in domain.corruptions} & (IMAGES_ONLY if vectors else VECTORS_ONLY)
        if wrong:
            found = "vectors" if vectors else "images"
            raise ConfigError(
                f"setting up domain {name!r}: {min(wrong)!r} does not apply to {found}",
                "blur is for images, drift for vectors; noise, brightness, contrast for both",
            )
    if len({pool.samples.taps for pool in pools.values()}) > 1:
        raise ConfigError(
            "setting up the domains: their samples differ in kind or width",
            "choose sources that one encoder can take",
        )
    return pools


def _identity(domain: DomainSpec) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(domain, corruptions=()))


def _taught(scenario: Scenario, name: str) -> int | None:
    phases = enumerate(scenario.phases)
    return next(
        (
            at
            for at, phase in phases
            if phase.domain == name and (phase.enrol or phase.label_fraction)
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the samples of a domain: a row of its pool, with the domain's corruptions."""

    name: str
    domain: DomainSpec
    pool: _Pool
    seed: int

    def make(self, row: int, progress: float | None = None, at: int = 0) -> WorldSample:
        """Make a sample.  at: earlier observations of the domain, for ramps; progress: of all
        ramps, overrides `at`."""
        samples = self.pool.samples
        strengths = [
            (c.kind, c.severity * (progress if progress is not None else _grown(at, c.ramp)))
            for c in self.domain.corruptions
        ]
        return WorldSample(
            self.name,
            samples.labels[row],
            lambda: self._read(row, [pair for pair in strengths if pair[1]]),
        )

    def _read(self, row: int, strengths: list[tuple[str, float]]) -> Any:
        payload = self.pool.samples.read(row)
        if not strengths:
            return payload
        values = payload if self.pool.samples.taps else decode_image(payload)
        random = np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), row])
        for kind, severity in strengths:
            values = corrupt_values(values, kind, severity, self.pool.spread, random)
        return values


def _grown(at: int, ramp: int) -> float:
    return min(1.0, at / ramp) if ramp else 1.0


class _Timeline:
    """Expands the phases into actions; labels wait until they are due."""

    def __init__(self, scenario: Scenario, seed: int, pools: Mapping[str, _Pool]) -> None:
        self._scenario = scenario
        self._seed = seed
        self._pools = pools
        self._index = 0
        self._shown: Counter[str] = Counter()
        self._due: list[tuple[int, DelayedLabel]] = []
        self._requests: list[ForgetSpec] = sorted(scenario.forget, key=lambda request: request.at)
        self._random = np.random.default_rng([seed, 1])
        # Errors have their own generator: label noise does not change which observations are
        # labelled.
        self._errors = np.random.default_rng([seed, 4])

    def actions(self) -> Iterator[Action]:
        """Yield all actions in order."""
        last = len(self._scenario.phases)
        for number, phase in enumerate(self._scenario.phases, 1):
            yield PhaseStart(number, phase.domain)
            yield from self._phase(number, phase)
            if number == last:
                yield from self._due_actions(AFTERWARDS)
            yield EvaluateNow(f"{number} {phase.domain}", number == last)

    def _phase(self, number: int, phase: PhaseSpec) -> Iterator[Action]:
        what = f"building phase {number} ({phase.domain})"
        pool = self._pools[phase.domain]
        maker = _Maker(phase.domain, self._scenario.domains[phase.domain], pool, self._seed)
        if phase.enrol:
            rows = pool.draw(phase.enrol, phase.classes, what)
            shown = self._shown[phase.domain]
            yield EnrolSamples(
                tuple(maker.make(row, at=shown) for row in rows), number, phase.fit_geometry
            )
        rows = pool.draw(phase.observations, phase.classes, what)
        classes = phase.classes or tuple(sorted(set(pool.samples.labels)))
        if phase.order == "by_class":
            rows.sort(key=lambda row: classes.index(pool.samples.labels[row]))
        labelled: Counter[str] = Counter()
        for row in rows:
            yield from self._due_actions(self._index)
            observed = self._observe(maker.make(row, at=self._shown[phase.domain]), phase)
            self._shown[phase.domain] += 1
            yield observed
            label = observed.sample.label
            enough = (
                phase.labels_per_class is not None and labelled[label] >= phase.labels_per_class
            )
            if self._random.random() < phase.label_fraction and not enough:
                labelled[label] += 1
                delayed = self._label(observed, phase, classes)
                self._due.append((observed.sequence + phase.label_delay, delayed))

    def _label(
        self, observed: ObserveSample, phase: PhaseSpec, classes: tuple[str, ...]
    ) -> DelayedLabel:
        """Return the label of an observation: the true one, or a wrong one with label noise."""
        truth = observed.sample.label
        given = phase.label_domain
        domain = given if isinstance(given, str) else phase.domain if given else ""
        mistaken, pick = self._errors.random(2)
        others = [name for name in classes if name != truth]
        if mistaken >= phase.label_noise or not others:
            return DelayedLabel(observed.id, truth, domain)
        return DelayedLabel(observed.id, others[int(pick * len(others))], domain, wrong=True)

    def _observe(self, sample: WorldSample, phase: PhaseSpec) -> ObserveSample:
        index = self._index
        self._index += 1
        # All ids of a stream have one length, so that none is a substring of another.
        key = f"{phase.stream}-{index:07}"
        return ObserveSample(sample, phase.stream, index, START_NS + index * SECOND_NS, key)

    def _due_actions(self, index: int) -> Iterator[DelayedLabel | ForgetAction]:
        """Yield the labels and forget requests that are due before the observation `index`."""
        due = sorted((pair for pair in self._due if pair[0] < index), key=lambda pair: pair[0])
        self._due = [pair for pair in self._due if pair[0] >= index]
        yield from (delayed for _, delayed in due)
        while self._requests and self._requests[0].at <= index:
            request = self._requests.pop(0)
            # Each request has its own id, also several at the same observation.
            after = sum(other.at == request.at for other in self._requests)
            name = f"forget-{request.at}" + (f"-{after}" if after else "")
            yield ForgetAction(name, _selector(request), request.refit_geometry)


def _selector(request: ForgetSpec) -> Selector:
    return Selector(
        subject=request.subject, stream=request.stream, domain=request.domain, label=request.label
    )
