"""The devices of a simulated fleet: real runtimes over small ledgers, with a history each.

A device learns handwritten digits of two labels in the domain of its site (non-iid by label and by
domain).  Some learn more later, forget a fact, leave, or come back after months; some are outdated,
and some are hostile.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from ...core import (
    AdvanceForget,
    Config,
    Contribution,
    EdgeError,
    Enrol,
    Fact,
    FitGeometry,
    ForgetRequest,
    MemoryLedger,
    Publish,
    Published,
    Rejected,
    Runtime,
    Selector,
    StoreGeometry,
)
from ...fleet import write_contribution
from .. import DIGITS, Digits, load_optdigits

MemberKind = Literal[
    "steady",
    "learns",
    "forgets",
    "leaves",
    "other card",
    "other geometry",
    "other version",
    "impossible",
    "greedy",
    "impostor",
    "poisoner",
]

SHARES: Final[dict[MemberKind, float]] = {
    "learns": 0.25,
    "forgets": 0.08,
    "leaves": 0.03,
    "other card": 0.01,
    "other geometry": 0.01,
    "other version": 0.005,
    "impossible": 0.005,
    "greedy": 0.005,
    "impostor": 0.005,
    "poisoner": 0.02,
}
"""Share of each kind; the others are steady.  Chosen by hand, so that every path is taken some
dozens of times among ten thousand devices."""

HONEST: Final[frozenset[MemberKind]] = frozenset({"steady", "learns", "forgets", "leaves"})
REFUSED: Final[frozenset[MemberKind]] = frozenset(
    {"other card", "other geometry", "other version", "impossible", "greedy", "impostor"}
)

FACTS: Final = (8, 13)
"""Facts of each label that a device learns at first, at least and below: small ledgers, of one
cohort a label."""

MORE_FACTS: Final = 8
"""Facts that a device learns later: one more cohort."""

GEOMETRY_FACTS: Final = 600
"""Facts of the device whose geometry the fleet shares."""

NOISE: Final = 9
"""Largest change of a pixel of 0 to 255 that makes each device's pictures its own."""

DOMAINS: Final = 3
"""Scanners, each with a brightness and a contrast of its own."""

LATER: Final = 10**6
"""Steps between two revisions of a device that comes back after months, in seconds."""

FIRST_REVISION: Final = 1_700_000_000
"""Revision of a first contribution: seconds since 1970, as on a device whose clock is set."""

GREEDY_TIMES: Final = 40_000
"""How often a greedy member counts each of its facts."""


@dataclass(frozen=True, slots=True, eq=False)
class FleetWorld:
    """What all devices share.  geometry: packed, so that it travels to other processes.  other: a
    geometry that some devices still use.  digits: what they see."""

    geometry: dict[str, NDArray[Any]]
    other: dict[str, NDArray[Any]]
    digits: Digits


@dataclass(frozen=True, slots=True, eq=False)
class MemberHistory:
    """A device's messages, oldest first, and the facts that its last one is of.

    labels: of the facts.  features: uint8 [n, 64].  The facts of members that are refused or
    dropped count nowhere.
    """

    device: str
    kind: MemberKind
    messages: tuple[bytes, ...]
    labels: tuple[str, ...]
    features: NDArray[np.uint8]


Packed = Mapping[str, NDArray[Any]]

SHARED: list[tuple[Packed, hdc.Geometry]] = []
"""Geometries unpacked in this process, the newest last."""

SHARED_MAX: Final = 4
"""Most of them: those of two worlds."""


class SimulatedRuntime(Runtime):
    """The runtime of one of many devices in a process.  Those of one geometry share one object:
    each would else unpack and lay out the same arrays."""

    @staticmethod
    def _unpack_geometry(packed: Packed) -> hdc.Geometry:
        for held, geometry in SHARED:
            if held is packed:
                return geometry
        SHARED.append((packed, hdc.Geometry.unpack(dict(packed))))
        del SHARED[:-SHARED_MAX]
        return SHARED[-1][1]


class ContributingDevice:
    """A runtime over a ledger in memory, with the record of what it has published."""

    def __init__(
        self, name: str, model: encoder.Model, geometry: dict[str, NDArray[Any]] | None
    ) -> None:
        self.name, self.ledger = name, MemoryLedger()
        if geometry is not None:
            self.ledger.apply(StoreGeometry(geometry))
        self.runtime = SimulatedRuntime(Config(facts_per_concept=10**9), model, self.ledger)
        self._published = Published(key=name.encode(), cohorts={})

    def learn(self, facts: Iterable[Fact]) -> None:
        """Learn facts."""
        self._handle(Enrol(tuple(facts)))

    def forget(self, fact_id: str) -> None:
        """Forget one fact."""
        selector = Selector(ids=frozenset({fact_id}))
        self._handle(ForgetRequest(request_id="forget", selector=selector, refit_geometry=False))

    def contribute(self, revision: int) -> tuple[Contribution, frozenset[str]]:
        """Return the next contribution, and the ids of the facts that it sums."""
        made = self.runtime.contribute(self.name, revision, self._published)
        newest = max(self._published.cohorts, default=0)
        cohorts = {
            **{n: c for n, c in self._published.cohorts.items() if n not in made.plan.dropped},
            **{newest + 1 + place: one for place, one in enumerate(made.plan.added)},
        }
        self._published = msgspec.structs.replace(self._published, cohorts=cohorts)
        ids = frozenset(one for cohort in made.plan.current for one in cohort.ids)
        return made.contribution, ids

    def fit_geometry(self) -> None:
        """Fit the geometry to the facts."""
        self._handle(FitGeometry())

    def _handle(self, event: Enrol | FitGeometry | ForgetRequest) -> None:
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, Publish) and isinstance(effect.message, Rejected):
                raise EdgeError(effect.message.reason, "the simulated device sent a wrong event")
        while self.runtime.advances:
            for effect in self.runtime.handle(AdvanceForget(1)):
                self.ledger.apply(effect)


@lru_cache(maxsize=1)
def digit_model() -> encoder.Model:
    """Return a model whose features are the 64 pixels of a digit, one in each process."""
    scale, zero = np.ones(64, np.float32), np.zeros(64, np.int32)
    quantiser = encoder.Quantiser(scale, zero)
    return encoder.open_model(encoder.vector_card(64, "pixels", quantiser))


def make_world(seed: int) -> FleetWorld:
    """Fit the geometry that the fleet shares, and another one."""
    model, digits = digit_model(), load_optdigits()
    made = []
    for which in (0, 1):
        random = np.random.default_rng([seed, which])
        founder = ContributingDevice("founder", model, None)
        rows = random.choice(len(digits), GEOMETRY_FACTS, replace=False)
        founder.learn(_facts(f"founder{which}", digits, rows, which, random))
        founder.fit_geometry()
        made.append(dict(founder.runtime.knowledge.geometry.pack()))
    shared, other = made
    return FleetWorld(shared, other, digits)


def make_member(
    number: int, domain: int, seed: int, world: FleetWorld, tools: "MemberTools"
) -> MemberHistory:
    """Build one device and its history.  Cost: about 10 ms."""
    random = np.random.default_rng([seed, 7, number])
    kinds, shares = list(SHARES), np.array(list(SHARES.values()))
    draw = float(random.random())
    place = int(np.searchsorted(np.cumsum(shares), draw, side="right"))
    kind: MemberKind = kinds[place] if place < len(kinds) else "steady"
    name = f"device-{number:05d}"
    geometry = world.other if kind == "other geometry" else world.geometry
    device = ContributingDevice(name, tools.model, geometry)
    facts = _draw_facts(name, domain, random, tools, swapped=kind == "poisoner")
    device.learn(facts)
    revision = FIRST_REVISION + int(random.integers(1_000))
    first, ids = device.contribute(revision)
    made = [_spoil(kind, first)]
    if kind == "learns":
        more = _more_facts(name, domain, facts, random, tools)
        device.learn(more)
        facts += more
        later, ids = device.contribute(revision + LATER)
        made.append(later)
    elif kind == "forgets":
        gone = facts[int(random.integers(len(facts)))].id
        device.forget(gone)
        made.append(msgspec.structs.replace(first.without_sums, revision=revision + 1))
        rest, ids = device.contribute(revision + 2)
        made.append(rest)
    elif kind == "leaves":
        made.append(msgspec.structs.replace(first.without_sums, revision=revision + LATER))
        ids = frozenset()
    kept = [fact for fact in facts if fact.id in ids] if kind in HONEST else []
    return MemberHistory(
        name,
        kind,
        tuple(write_contribution(one, None) for one in made),
        tuple(fact.label for fact in kept),
        np.frombuffer(b"".join(fact.features for fact in kept), np.uint8).reshape(-1, 64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class MemberTools:
    """What a process opens once: the model and the pictures."""

    model: encoder.Model
    digits: Digits

    @staticmethod
    @lru_cache(maxsize=1)
    def open() -> "MemberTools":
        """Open them, once in a process."""
        return MemberTools(digit_model(), load_optdigits())


def _draw_facts(
    name: str, domain: int, random: np.random.Generator, tools: MemberTools, *, swapped: bool
) -> list[Fact]:
    """Return the first facts of a device; swapped: each label is given to the other's pictures."""
    labels = random.choice(len(DIGITS), 2, replace=False)
    rows = [
        random.choice(np.flatnonzero(tools.digits.labels == label), int(random.integers(*FACTS)))
        for label in labels
    ]
    facts = list(_facts(name, tools.digits, np.concatenate(rows), domain, random))
    if swapped:
        other = {DIGITS[labels[0]]: DIGITS[labels[1]], DIGITS[labels[1]]: DIGITS[labels[0]]}
        facts = [msgspec.structs.replace(fact, label=other[fact.label]) for fact in facts]
    return facts


def _more_facts(
    name: str,
    domain: int,
    before: list[Fact],
    random: np.random.Generator,
    tools: MemberTools,
) -> list[Fact]:
    label = int(before[0].label)
    rows = random.choice(np.flatnonzero(tools.digits.labels == label), MORE_FACTS)
    return list(_facts(f"{name}-more", tools.digits, rows, domain, random))


def _facts(
    name: str, digits: Digits, rows: NDArray[np.int64], domain: int, random: np.random.Generator
) -> Iterator[Fact]:
    pictures = digits.images[rows].reshape(len(rows), -1).astype(np.int64)
    seen = pictures * (DOMAINS + domain) // (2 * DOMAINS) + 20 * domain
    noisy = seen + random.integers(-NOISE, NOISE + 1, seen.shape)
    features = np.clip(noisy, 0, 255).astype(np.uint8)
    for place, (row, one) in enumerate(zip(rows.tolist(), features, strict=True)):
        yield Fact(
            id=f"{name}-{place}",
            stream="scanner",
            domain=f"scanner-{domain}",
            label=DIGITS[int(digits.labels[row])],
            captured_at_ns=place,
            features=one.tobytes(),
        )


def _spoil(kind: MemberKind, one: Contribution) -> Contribution:
    """Return the contribution of a member of a kind that is outdated or hostile."""
    arrays = dict(one.arrays)
    match kind:
        case "other card":
            return msgspec.structs.replace(one, card="0" * 64)
        case "other version":
            return msgspec.structs.replace(one, geometry="0" * 64, geometry_version=1)
        case "impossible":
            arrays["ones"] = arrays["ones"].astype(np.int64) + arrays["counts"].max() + 1
            return msgspec.structs.replace(one, arrays=arrays)
        case "greedy":
            for name in ("counts", "ones", "sums", "features", "gram"):
                arrays[name] = arrays[name].astype(np.int64) * GREEDY_TIMES
            return msgspec.structs.replace(one, arrays=arrays, samples=one.samples * GREEDY_TIMES)
        case "impostor":
            return msgspec.structs.replace(one, device="device-00000")
        case _:
            return one


def unpacked(geometry: dict[str, NDArray[Any]]) -> hdc.Geometry:
    """Return a geometry of a world."""
    return hdc.Geometry.unpack(geometry)
