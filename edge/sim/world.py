"""The world of a scenario, laid out in time: what is enrolled, shown, labelled, forgotten, tested.

`build_world` is a function of scenario and seed alone; measurements are read when they are needed.
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
"""The simulated world begins on 1 January 2026 and shows one observation a second."""

SECOND_NS: Final = 1_000_000_000
"""Nanoseconds in a second."""

AFTERWARDS: Final = 2**62
"""Later than every observation: what is still due when the stream ends comes then."""


@dataclass(frozen=True, slots=True)
class WorldSample:
    """A measurement with its truth.  `read()` gives the payload, the same one each time."""

    domain: str
    label: str
    read: Callable[[], Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """The world moves on to a phase."""

    phase: int
    domain: str


@dataclass(frozen=True, slots=True)
class EnrolSamples:
    """Labelled examples to enrol; `survey`: freeze a geometry from the ledger afterwards."""

    samples: tuple[WorldSample, ...]
    phase: int
    survey: bool


@dataclass(frozen=True, slots=True)
class ShowSample:
    """A measurement arrives.  `id` is unique for ever; a doubled observation has it twice."""

    sample: WorldSample
    stream: str
    sequence: int
    captured_at_ns: int
    id: str


@dataclass(frozen=True, slots=True)
class LateLabel:
    """Somebody says what an observation was, and where `domain` is given, which domain.
    `wrong`: that is not what it was."""

    id: str
    label: str
    domain: str = ""
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class ForgetOrder:
    """Somebody asks to forget."""

    request_id: str
    selector: Selector
    resurvey: bool


@dataclass(frozen=True, slots=True)
class EvaluateNow:
    """A checkpoint: the held-out sets are evaluated.  `last`: nothing comes after it."""

    name: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class WorldNote:
    """A fault of the world that the device cannot see, for the recording."""

    kind: str
    text: str


Action = PhaseStart | EnrolSamples | ShowSample | LateLabel | ForgetOrder | EvaluateNow | WorldNote


@dataclass(frozen=True, slots=True)
class World:
    """Actions in order, and the held-out samples of each domain.

    `domains`: in order of first visit, then those never visited.  `taught`: for each domain the
    checkpoint after the first phase that teaches it, or None.
    """

    actions: tuple[Action, ...] = field(repr=False)
    tests: Mapping[str, tuple[WorldSample, ...]] = field(repr=False)
    domains: tuple[str, ...]
    taught: tuple[int | None, ...]
    taps: tuple[tuple[str, int], ...]

    @property
    def samples(self) -> Iterator[WorldSample]:
        """Every sample that a run may encode; some more than once."""
        for action in self.actions:
            if isinstance(action, EnrolSamples):
                yield from action.samples
            elif isinstance(action, ShowSample):
                yield action.sample
        for held_out in self.tests.values():
            yield from held_out

    @property
    def labels(self) -> frozenset[str]:
        """The classes there are."""
        return frozenset(sample.label for sample in self.samples)


class _Pool:
    """The rows of a source in seeded order, held-out ones set aside, the others given out once.

    Domains that differ in their corruptions alone share a pool, so that no corrupted copy of a
    held-out row is ever taught.
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
        """Give out `count` rows not given before, of some classes where any are named."""
        labels = self.samples.labels
        fitting = [row for row in self._left if not classes or labels[row] in classes]
        if len(fitting) < count:
            raise ConfigError(
                f"{what}: {count} samples are wanted, {len(fitting)} are left",
                "ask for fewer, or keep fewer for `test`",
            )
        gone = set(fitting[:count])
        self._left = [row for row in self._left if row not in gone]
        return fitting[:count]


def build_world(scenario: Scenario, seed: int) -> World:
    """Lay out a scenario.  Raises ConfigError where sources hold less than phases ask for."""
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
                f"setting up domain {name!r}: {min(wrong)!r} cannot be done to {found}",
                "blur is for images, drift for vectors; noise, brightness, contrast for both",
            )
    if len({pool.samples.taps for pool in pools.values()}) > 1:
        raise ConfigError(
            "setting up the domains: their samples are not of one kind and width",
            "one encoder serves them all: choose sources that it can take",
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
        """Make a sample.  at: observations of the domain before it, for ramps; progress: of all
        ramps, where it is not `at` that decides."""
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
    """Walks through the phases, counting observations; labels wait until they are due."""

    def __init__(self, scenario: Scenario, seed: int, pools: Mapping[str, _Pool]) -> None:
        self._scenario = scenario
        self._seed = seed
        self._pools = pools
        self._index = 0
        self._shown: Counter[str] = Counter()
        self._due: list[tuple[int, LateLabel]] = []
        self._requests: list[ForgetSpec] = sorted(scenario.forget, key=lambda request: request.at)
        self._random = np.random.default_rng([seed, 1])
        # Errors are drawn apart, so that the same observations are labelled with and without them.
        self._errors = np.random.default_rng([seed, 4])

    def actions(self) -> Iterator[Action]:
        """Yield everything that happens, in order."""
        last = len(self._scenario.phases)
        for number, phase in enumerate(self._scenario.phases, 1):
            yield PhaseStart(number, phase.domain)
            yield from self._phase(number, phase)
            if number == last:
                yield from self._happenings(AFTERWARDS)
            yield EvaluateNow(f"{number} {phase.domain}", number == last)

    def _phase(self, number: int, phase: PhaseSpec) -> Iterator[Action]:
        what = f"laying out phase {number} ({phase.domain})"
        pool = self._pools[phase.domain]
        maker = _Maker(phase.domain, self._scenario.domains[phase.domain], pool, self._seed)
        if phase.enrol:
            rows = pool.draw(phase.enrol, phase.classes, what)
            shown = self._shown[phase.domain]
            yield EnrolSamples(
                tuple(maker.make(row, at=shown) for row in rows), number, phase.survey
            )
        rows = pool.draw(phase.observations, phase.classes, what)
        classes = phase.classes or tuple(sorted(set(pool.samples.labels)))
        if phase.order == "by_class":
            rows.sort(key=lambda row: classes.index(pool.samples.labels[row]))
        told: Counter[str] = Counter()
        for row in rows:
            yield from self._happenings(self._index)
            show = self._show(maker.make(row, at=self._shown[phase.domain]), phase)
            self._shown[phase.domain] += 1
            yield show
            label = show.sample.label
            enough = phase.labels_per_class is not None and told[label] >= phase.labels_per_class
            if self._random.random() < phase.label_fraction and not enough:
                told[label] += 1
                tell = self._label(show, phase, classes)
                self._due.append((show.sequence + phase.label_delay, tell))

    def _label(self, show: ShowSample, phase: PhaseSpec, classes: tuple[str, ...]) -> LateLabel:
        """What somebody will say of an observation: the truth, or by mistake another class."""
        truth = show.sample.label
        given = phase.label_domain
        domain = given if isinstance(given, str) else phase.domain if given else ""
        mistaken, pick = self._errors.random(2)
        others = [name for name in classes if name != truth]
        if mistaken >= phase.label_noise or not others:
            return LateLabel(show.id, truth, domain)
        return LateLabel(show.id, others[int(pick * len(others))], domain, wrong=True)

    def _show(self, sample: WorldSample, phase: PhaseSpec) -> ShowSample:
        index = self._index
        self._index += 1
        # All ids are of one length for a stream, so that none is part of another.
        key = f"{phase.stream}-{index:07}"
        return ShowSample(sample, phase.stream, index, START_NS + index * SECOND_NS, key)

    def _happenings(self, index: int) -> Iterator[LateLabel | ForgetOrder]:
        """Yield the labels and requests that are due before the observation `index`."""
        due = sorted((pair for pair in self._due if pair[0] < index), key=lambda pair: pair[0])
        self._due = [pair for pair in self._due if pair[0] >= index]
        yield from (tell for _, tell in due)
        while self._requests and self._requests[0].at <= index:
            request = self._requests.pop(0)
            # Each request has an id of its own, those of one moment too.
            after = sum(other.at == request.at for other in self._requests)
            name = f"forget-{request.at}" + (f"-{after}" if after else "")
            yield ForgetOrder(name, _selector(request), request.resurvey)


def _selector(request: ForgetSpec) -> Selector:
    return Selector(
        subject=request.subject, stream=request.stream, domain=request.domain, label=request.label
    )
