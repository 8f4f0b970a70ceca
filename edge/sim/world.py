"""The world of a scenario, laid out in time: what is enrolled, shown, labelled, forgotten, tested.

`build_world` is a function of scenario and seed alone; measurements are read when they are needed.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, Selector
from .corruptions import IMAGES_ONLY, VECTORS_ONLY, corrupt_values
from .samples import Samples, decode_image, read_samples, take
from .scenarios import Domain, Forget, Phase, Scenario

START_NS: Final = 1_767_225_600_000_000_000
"""The simulated world begins on 1 January 2026 and shows one observation a second."""

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A measurement with its truth.  `read()` gives the payload, the same one each time."""

    domain: str
    label: str
    read: Callable[[], Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Enter:
    """The world moves on to a phase."""

    phase: int
    domain: str


@dataclass(frozen=True, slots=True)
class Teach:
    """Labelled examples to enrol; `survey`: freeze a geometry from the ledger afterwards."""

    samples: tuple[Sample, ...]
    phase: int
    survey: bool


@dataclass(frozen=True, slots=True)
class Show:
    """A measurement arrives.  `id` is unique for ever; a doubled observation has it twice."""

    sample: Sample
    stream: str
    sequence: int
    captured_at_ns: int
    id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Somebody says what an observation was, and where `domain` is given, which domain."""

    id: str
    label: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody asks to forget."""

    request_id: str
    selector: Selector
    resurvey: bool


@dataclass(frozen=True, slots=True)
class Examine:
    """A checkpoint: the held-out sets are evaluated."""

    name: str


@dataclass(frozen=True, slots=True)
class Note:
    """A fault of the world that the device cannot see, for the recording."""

    kind: str
    text: str


Action = Enter | Teach | Show | Tell | Ask | Examine | Note


@dataclass(frozen=True, slots=True)
class World:
    """Actions in order, and the held-out samples of each domain.

    `domains`: in order of first visit, then those never visited.  `taught`: for each domain the
    checkpoint after the first phase that teaches it, or None.
    """

    actions: tuple[Action, ...] = field(repr=False)
    tests: Mapping[str, tuple[Sample, ...]] = field(repr=False)
    domains: tuple[str, ...]
    taught: tuple[int | None, ...]
    taps: tuple[tuple[str, int], ...]

    @property
    def samples(self) -> Iterator[Sample]:
        """Every sample that a run may encode; some more than once."""
        for action in self.actions:
            if isinstance(action, Teach):
                yield from action.samples
            elif isinstance(action, Show):
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

    def __init__(self, domain: Domain, seed: int) -> None:
        self.samples = read_samples(domain)
        self.spread = self.samples.spread() if domain.corruptions else np.array(1.0)
        order = np.random.default_rng([seed, zlib.crc32(repr(domain).encode())])
        rows = order.permutation(len(self.samples)).tolist()
        self.test, self._left = rows[: domain.test], rows[domain.test :]

    def draw(self, count: int, classes: tuple[str, ...], what: str) -> list[int]:
        """Give out `count` rows not given before, of some classes where any are named."""
        fitting = [row for row in self._left
                   if not classes or self.samples.labels[row] in classes]
        if len(fitting) < count:
            raise ConfigError(f"{what}: {count} samples are wanted, {len(fitting)} are left",
                              "ask for fewer, or keep fewer for `test`")
        drawn = fitting[:count]
        gone = set(drawn)
        self._left = [row for row in self._left if row not in gone]
        return drawn


def build_world(scenario: Scenario, seed: int) -> World:
    """Lay out a scenario.  Raises ConfigError where sources hold less than phases ask for."""
    builder = _Builder(scenario, seed)
    actions = tuple(builder.actions())
    visited = dict.fromkeys(phase.domain for phase in scenario.phases)
    domains = (*visited, *(name for name in scenario.domains if name not in visited))
    tests = {name: builder.held_out(name) for name in domains}
    taught = tuple(next((at for at, phase in enumerate(scenario.phases)
                         if phase.domain == name and (phase.enrol or phase.label_fraction)), None)
                   for name in domains)
    return World(actions, tests, domains, taught, builder.pools[domains[0]].samples.taps)


class _Builder:
    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        shared: dict[Domain, _Pool] = {}
        self.pools: dict[str, _Pool] = {}
        for name, domain in sorted(scenario.domains.items()):
            key = msgspec.structs.replace(domain, corruptions=())
            identity = msgspec.json.encode(key)
            del identity
            self.pools[name] = shared.setdefault(key, _Pool(domain, seed))
