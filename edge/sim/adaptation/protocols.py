"""Seeded streams without labels for every protocol of the comparison.

To add a protocol: one function from a world, a home and a seed to streams, and one line in
PROTOCOLS.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...core.adaptors import Spans
from .source_model import Bytes, Ints, LabelledRows, seeded

Rows = NDArray[np.int64]

LENGTH: Final = 1_000
"""Samples of a stream, where there are so many."""
SLOTS: Final = 20
"""Slots over which a class is dealt in correlated order."""
CONCENTRATION: Final = 0.1
"""Of the Dirichlet distribution of a class over the slots: the value of the literature on
correlated streams (Gong et al. 2022, NOTE)."""
RUN_LENGTH: Final = 25
"""Mean length of a run of one class: a second of video."""
SHIFT_RATIO: Final = 20
"""How much more frequent the commonest class is than the rarest."""
CLASS_MIN: Final = 3
"""Fewest samples of a class under shifted shares."""
FOREIGN_SHARE: Final = 0.2
"""Share of samples of a class that the source does not know."""
FOREIGN: Final = -1
"""The target of such a sample."""
VISIT: Final = 250
"""Samples of a domain before the stream goes to the next, where it has twice as many."""
MIXED_EACH: Final = 300
"""Samples of each domain in a mixed stream."""
TURN: Final = 150
"""Samples of a corruption before the stream goes to the next."""
ONE_CLASS: Final = 300
"""Samples of a stream of one class, where there are so many: adaptation judges such a stream from
128 on, so that its last third lies behind that."""
ONE_CLASS_STREAMS: Final = 10
"""Most streams of one class for a domain: as many as the digits."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a domain's measurements before the encoder: its kind, and the severity, 0 where
    it has no scale."""

    kind: str
    severity: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptationWorld:
    """Labelled domains in one encoder's features.

    changed: the features of a domain's rows after a change, in their order.  development: the
    (home, place) pairs on which choices may be made; a place is another domain, a kind of change or
    the home itself.
    """

    name: str
    domains: Mapping[str, LabelledRows] = field(repr=False)
    spans: Spans
    changed: Mapping[str, Mapping[Change, Bytes]] = field(default_factory=dict, repr=False)
    development: frozenset[tuple[str, str]] = frozenset()

    @property
    def classes(self) -> Ints:
        """The numbers of the labels that every domain has."""
        found = [set(rows.targets.tolist()) for rows in self.domains.values()]
        return np.array(sorted(set.intersection(*found)), np.int64)

    def halves(self, home: str, seed: int) -> tuple[Rows, Rows]:
        """Return the rows of a domain that are learned, and those that are held out."""
        count = len(self.domains[home])
        order = seeded("half", self.name, home, seed).permutation(count)
        return np.sort(order[: count // 2]), np.sort(order[count // 2 :])

    def unlabelled(self, place: str, home: str, seed: int) -> Rows:
        """Return the rows of a domain that a stream may show: all, or those held out at home."""
        if place == home:
            return self.halves(home, seed)[1]
        return np.arange(len(self.domains[place]))


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptationStream:
    """Samples in order.  homes: the domains that the source knows; foreign: a class that it does
    not know, or FOREIGN for none."""

    world: str
    name: str
    protocol: str
    development: bool
    homes: tuple[str, ...]
    seed: int
    foreign: int = FOREIGN
    rows: LabelledRows = field(repr=False)


Protocol = Callable[[AdaptationWorld, str, int], Iterator[AdaptationStream]]


def order_iid(targets: Ints, random: np.random.Generator, count: int = LENGTH) -> Rows:
    """Draw without replacement."""
    return random.permutation(len(targets))[:count]


def order_correlated(targets: Ints, random: np.random.Generator, count: int = LENGTH) -> Rows:
    """Deal each class over twenty slots by a Dirichlet distribution; shuffle within a slot."""
    drawn = order_iid(targets, random, count)
    slots: list[list[int]] = [[] for _ in range(SLOTS)]
    for target in np.unique(targets):
        members = drawn[targets[drawn] == target]
        shares = random.dirichlet(np.full(SLOTS, CONCENTRATION))
        cuts = (np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
        for slot, part in zip(slots, np.split(members, cuts), strict=True):
            slot.extend(part.tolist())
    shuffled = [random.permutation(np.array(slot, np.int64)) for slot in slots]
    return np.concatenate(shuffled)


def order_runs(targets: Ints, random: np.random.Generator, count: int = LENGTH) -> Rows:
    """Show runs of one class, as a video does; the next class is any other."""
    left = {
        int(target): random.permutation(np.flatnonzero(targets == target)).tolist()
        for target in np.unique(targets)
    }
    shown: list[int] = []
    last = None
    while len(shown) < count:
        others = [target for target, rows in left.items() if rows and target != last]
        if not others:
            break
        last = others[int(random.integers(len(others)))]
        length = int(random.geometric(1 / RUN_LENGTH))
        shown += left[last][:length]
        left[last] = left[last][length:]
    return np.array(shown[:count], np.int64)


def order_shifted(targets: Ints, random: np.random.Generator, count: int = LENGTH) -> Rows:
    """Draw classes with shares that fall to a twentieth, in a random order of the classes."""
    classes = random.permutation(np.unique(targets))
    weights = SHIFT_RATIO ** (-np.arange(len(classes)) / max(1, len(classes) - 1))
    weights = weights / weights.sum()
    parts = [
        random.permutation(np.flatnonzero(targets == target))[: max(CLASS_MIN, int(count * weight))]
        for target, weight in zip(classes, weights, strict=True)
    ]
    return random.permutation(np.concatenate(parts))


ORDERS: Final = {
    "iid": order_iid,
    "correlated": order_correlated,
    "runs": order_runs,
    "shifted": order_shifted,
}
"""Orders of labels by name."""


def _other_domains(order: str) -> Protocol:
    """Return the protocol of streams from each other domain in an order of labels."""

    def streams(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
        for place in world.domains:
            if place != home:
                yield _visit(world, home, place, order, seed)

    return streams


def _visit(
    world: AdaptationWorld, home: str, place: str, order: str, seed: int
) -> AdaptationStream:
    rows = world.domains[place].select(world.unlabelled(place, home, seed))
    known = np.flatnonzero(np.isin(rows.targets, world.domains[home].targets))
    random = seeded("visit", world.name, (home, place), order, seed)
    at = known[ORDERS[order](rows.targets[known], random)]
    protocol = f"same {order}" if place == home else order
    return _stream(world, (home, place), protocol, seed, rows.select(at))


def open_set(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
    """Yield streams of which a fifth belongs to a class that the source was not shown."""
    classes = world.classes
    if len(classes) <= 2:
        return
    for turn, place in enumerate(world.domains):
        if place == home:
            continue
        foreign = int(classes[(3 * seed + 2 * turn) % len(classes)])
        rows = world.domains[place].select(world.unlabelled(place, home, seed))
        random = seeded("open", world.name, home, place, seed)
        at = random.permutation(len(rows))
        fewer = int(LENGTH * FOREIGN_SHARE)
        known = at[rows.targets[at] != foreign][: LENGTH - fewer]
        unknown = at[rows.targets[at] == foreign][: len(known) * fewer // (LENGTH - fewer)]
        shown = rows.select(random.permutation(np.concatenate([known, unknown])))
        targets = np.where(shown.targets == foreign, FOREIGN, shown.targets)
        made = LabelledRows(shown.features, targets)
        yield _stream(world, (home, place), "open set", seed, made, foreign=foreign)


def one_class(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
    """Yield a stream of each class of each other domain, as a camera sees that watches one thing;
    with more than ten classes, of ten of them."""
    for place in world.domains:
        if place == home:
            continue
        rows = world.domains[place].select(world.unlabelled(place, home, seed))
        random = seeded("one class", world.name, home, place, seed)
        shared = np.intersect1d(rows.targets, world.domains[home].targets)
        for target in sorted(random.permutation(shared)[:ONE_CLASS_STREAMS].tolist()):
            at = random.permutation(np.flatnonzero(rows.targets == target))[:ONE_CLASS]
            way = home, f"{place}, class {target}"
            made = _stream(world, way, "one class", seed, rows.select(at))
            yield replace(made, development=(home, place) in world.development)


def recurring(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
    """Yield a stream that visits all other domains and the home, twice round."""
    random = seeded("recurring", world.name, home, seed)
    others = [place for place in world.domains if place != home]
    if not others:
        return
    places = [others[at] for at in random.permutation(len(others))] + [home]
    left = {place: random.permutation(world.unlabelled(place, home, seed)) for place in places}
    length = {place: min(VISIT, len(rows) // 2) for place, rows in left.items()}
    visits = []
    for place in places * 2:
        visits.append(world.domains[place].select(left[place][: length[place]]))
        left[place] = left[place][length[place] :]
    yield _stream(world, (home, "all in turn"), "recurring", seed, *visits)


def _mixed(order: str) -> Protocol:
    """Return the protocol of all domains shuffled into one stream, in an order of labels."""

    def streams(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
        if len(world.domains) == 1:
            return
        random = seeded("mixed", world.name, home, order, seed)
        parts = [
            world.domains[place].select(
                random.permutation(world.unlabelled(place, home, seed))[:MIXED_EACH]
            )
            for place in world.domains
        ]
        rows = _concatenate(parts)
        at = ORDERS[order](rows.targets, random, len(rows))
        yield _stream(world, (home, "all mixed"), f"mixed {order}", seed, rows.select(at))

    return streams


def _changes(severity: int, order: str) -> Protocol:
    """Return the protocol of the home's held-out rows after each change of a severity."""

    def streams(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
        held = world.halves(home, seed)[1]
        targets = world.domains[home].targets[held]
        for change, features in world.changed.get(home, {}).items():
            if change.severity != severity:
                continue
            random = seeded("change", world.name, (home, change), order, seed)
            at = held[ORDERS[order](targets, random)]
            rows = LabelledRows(features[at], world.domains[home].targets[at])
            where = f"changes {order}" if severity == 0 else f"severity {severity} {order}"
            yield _stream(world, (home, change.kind), where, seed, rows)

    return streams


def turning(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
    """Yield a stream in which the worst corruptions take turns, twice round."""
    changes = [one for one in world.changed.get(home, {}) if one.severity == WORST]
    if not changes:
        return
    random = seeded("turning", world.name, home, seed)
    held = world.halves(home, seed)[1]
    parts = []
    for place in random.permutation(len(changes)).tolist() * 2:
        at = random.permutation(held)[:TURN]
        features = world.changed[home][changes[place]][at]
        parts.append(LabelledRows(features, world.domains[home].targets[at]))
    yield _stream(world, (home, "corruptions in turn"), "turning", seed, *parts)


def _left_out(order: str) -> Protocol:
    """Return the protocol of a domain that is new to a source that knows all others."""

    def streams(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
        homes = tuple(place for place in world.domains if place != home)
        if len(homes) < 2:
            return
        rows = world.domains[home]
        random = seeded("left out", world.name, home, order, seed)
        at = ORDERS[order](rows.targets, random)
        yield AdaptationStream(
            world=world.name,
            name=f"all others > {home}",
            protocol=f"left out {order}",
            development=False,
            homes=homes,
            seed=seed,
            rows=rows.select(at),
        )

    return streams


def _same(order: str) -> Protocol:
    """Return the protocol of the home's own held-out rows."""

    def streams(world: AdaptationWorld, home: str, seed: int) -> Iterator[AdaptationStream]:
        yield _visit(world, home, home, order, seed)

    return streams


WORST: Final = 5
"""The severity of turning corruptions."""

PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "iid": _other_domains("iid"),
    "correlated": _other_domains("correlated"),
    "runs": _other_domains("runs"),
    "shifted": _other_domains("shifted"),
    "open set": open_set,
    "one class": one_class,
    "recurring": recurring,
    "mixed iid": _mixed("iid"),
    "mixed correlated": _mixed("correlated"),
    "severity 3 iid": _changes(3, "iid"),
    "severity 5 iid": _changes(5, "iid"),
    "severity 3 correlated": _changes(3, "correlated"),
    "severity 5 correlated": _changes(5, "correlated"),
    "turning": turning,
    "left out iid": _left_out("iid"),
    "left out correlated": _left_out("correlated"),
    "left out shifted": _left_out("shifted"),
    "changes iid": _changes(0, "iid"),
    "changes correlated": _changes(0, "correlated"),
    "same iid": _same("iid"),
    "same correlated": _same("correlated"),
    "same shifted": _same("shifted"),
}
"""The protocols: for the left-out ones, the home is the domain that is new."""


def _stream(
    world: AdaptationWorld,
    way: tuple[str, str],
    protocol: str,
    seed: int,
    *parts: LabelledRows,
    foreign: int = FOREIGN,
) -> AdaptationStream:
    """Return the stream of some parts in order; way: home and place."""
    return AdaptationStream(
        world=world.name,
        name=" > ".join(way),
        protocol=protocol,
        development=way in world.development,
        homes=way[:1],
        seed=seed,
        foreign=foreign,
        rows=_concatenate(parts),
    )


def _concatenate(parts: Sequence[LabelledRows]) -> LabelledRows:
    return LabelledRows(
        np.concatenate([one.features for one in parts]),
        np.concatenate([one.targets for one in parts]),
    )
