"""Domains found on streams with unknown boundaries, a tenth of the labels, late: end to end.

A device is enrolled in one domain.  Then it observes the rest of it, all other domains and each
domain again, without boundaries.  One in ten observations is labelled, 50 to 200 observations
later, without its domain.  The same labels with their true domains are the reference.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np
from msgspec.structs import replace

from edge.core import (
    Config,
    Decision,
    DriftAlarm,
    Enrol,
    Event,
    FitGeometry,
    Label,
    MemoryLedger,
    Message,
    Observation,
    Publish,
    Runtime,
    StoreGeometry,
)

from ..report import BenchmarkRow
from .domain_sets import DomainSet, Ints, load_domain_sets

ENROLLED = 0.7
"""Of the first domain's rows; its others are streamed."""
REVISIT = 100
"""Rows of each domain kept for its second visit, or a fifth of them if that is fewer."""
LABELLED = 0.1
"""A tenth of the observations get labels, as a person would find time for.  Chosen by hand."""
DELAY_MIN, ROUND = 50, 150
"""In observations: labels come late and in rounds, as a person gives them.  Chosen by hand."""
RAMP = 100
"""Observations over which a gradual change replaces one domain by the next.  Chosen by hand."""
EXAM_MAX = 1_000
"""Held-out rows that the final accuracy is measured on: a standard error of a point."""
EXAM_NS = 1_000_000
"""Later than every observation of a stream."""
FIRST = "domain-1"
WAYS = ("in turn", "random", "gradual")
"""Each domain and then each again; revisits in random order between and after the first visits;
each boundary a mixture that shifts over `RAMP` observations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRun:
    """The result of one run.

    found: domains with facts at the end.  true: domains that the device visited.  misfiled: share
    of streamed labels in a domain that holds mostly another's.  alarms: raised.  boundaries:
    switches of domain.  entries: of these, to a domain not seen before.  split: true domains that
    own several of the device's.  accuracy, told: on held-out rows, with the device's and with the
    true domains.
    """

    found: int
    true: int
    misfiled: float
    alarms: int
    boundaries: int
    entries: int
    split: int
    accuracy: float
    told: float


def run_part(
    data: Path | None, *, quick: bool = False
) -> tuple[list[BenchmarkRow], dict[str, float], list[str]]:
    """Run every set, way and seed; about half an hour on one core.

    quick: digits and one seed; two minutes.
    """
    sets, notes = load_domain_sets(data, ("digits6",) if quick else ())
    rows: list[BenchmarkRow] = []
    runs = []
    for one in sets:
        for way in WAYS[:1] if quick else WAYS:
            for seed in range(1 if quick else 2):
                run = run_domains(one, way, seed)
                runs.append(run)
                rows += _rows(f"{one.name} {way} {seed}", run)
    return rows, summarise(runs), notes


def summarise(runs: Sequence[DomainRun]) -> dict[str, float]:
    """Return mean figures of runs; shares are fractions of 1."""
    boundaries = sum(run.boundaries for run in runs)
    return {
        "domains_error": fmean(abs(run.found - run.true) for run in runs),
        "misfiled": fmean(run.misfiled for run in runs),
        "alarms_per_boundary": sum(run.alarms for run in runs) / boundaries,
        "alarms_per_new_domain": sum(run.alarms for run in runs) / sum(run.entries for run in runs),
        "told_gap_max": max(run.told - run.accuracy for run in runs),
    }


def _rows(method: str, run: DomainRun) -> Iterator[BenchmarkRow]:
    yield BenchmarkRow(method, "domains_found", run.found)
    yield BenchmarkRow(method, "domains_true", run.true)
    yield BenchmarkRow(method, "domains_split", run.split)
    yield BenchmarkRow(method, "misfiled", run.misfiled)
    yield BenchmarkRow(method, "alarms", run.alarms)
    yield BenchmarkRow(method, "boundaries", run.boundaries)
    yield BenchmarkRow(method, "new_domains_entered", run.entries)
    yield BenchmarkRow(method, "accuracy", run.accuracy)
    yield BenchmarkRow(method, "told_accuracy", run.told)


def run_domains(world: DomainSet, way: str, seed: int) -> DomainRun:
    """Run one device through one order of a set's domains."""
    random = np.random.default_rng([seed, WAYS.index(way)])
    order = random.permutation(world.domains).tolist()
    device = _TrialDevice(world)
    enrolled, visits = plan_visits(world, order, way, random)
    device.enrol(enrolled)
    person = _Labeller(world, device, random)
    for row in np.concatenate(visits).tolist():
        person.show(row)
    person.hand_in(everything=True)
    shown = np.concatenate(visits)
    switches = [b for a, b in pairwise(domains_of(world, visits)) if a != b]
    streamed = set(shown.tolist())
    filed = Counter(
        (int(world.domain[_row(fact.id)]), fact.domain)
        for fact in device.ledger.facts()
        if _row(fact.id) in streamed
    )
    names = {name for _, name in filed} | {FIRST}
    told = MemoryLedger(
        [
            replace(fact, domain=f"true-{world.domain[_row(fact.id)]}")
            for fact in device.ledger.facts()
        ]
    )
    told.apply(StoreGeometry(dict(device.ledger.geometry() or {})))
    return DomainRun(
        found=len(names),
        true=len(order),
        misfiled=misfiled_share(filed, order[0]),
        alarms=person.alarms,
        boundaries=len(switches),
        entries=len(set(switches) - {order[0]}),
        split=sum(count > 1 for count in Counter(_owners(filed, order[0]).values()).values()),
        accuracy=_accuracy(world, device.ledger),
        told=_accuracy(world, told),
    )


def plan_visits(
    world: DomainSet, order: Sequence[int], way: str, random: np.random.Generator
) -> tuple[Ints, list[Ints]]:
    """Return the enrolled rows, and the rows of each visit."""
    pools = {name: _pool(world, name, random) for name in order}
    again = {name: min(REVISIT, len(pool) // 5) for name, pool in pools.items()}
    first = pools[order[0]]
    cut = again[order[0]] + round(ENROLLED * (len(first) - again[order[0]]))
    enrolled = first[again[order[0]] : cut]
    long = {name: pool[again[name] :] for name, pool in pools.items()} | {order[0]: first[cut:]}
    short = {name: pool[: again[name]] for name, pool in pools.items()}
    visits = [long[name] for name in order]
    if way == "random":
        # Revisits of domains seen so far come between the first visits, the rest at the end.
        visits = []
        for at, name in enumerate(order):
            visits.append(long[name])
            if at >= 2 and random.random() < 0.5:
                back = int(random.choice(order[:at]))
                half = len(short[back]) // 2
                visits.append(short[back][:half])
                short[back] = short[back][half:]
        order = random.permutation(np.asarray(order)).tolist()
    visits += [short[name] for name in order]
    return enrolled, _blend(visits, random) if way == "gradual" else visits


def domains_of(world: DomainSet, visits: Sequence[Ints]) -> list[int]:
    """Return the domain of most rows of each visit."""
    return [int(np.bincount(world.domain[visit]).argmax()) for visit in visits]


def _pool(world: DomainSet, name: int, random: np.random.Generator) -> Ints:
    """Return a domain's rows that are not held out, shuffled; rows of a recording stay together."""
    rows = np.flatnonzero((world.domain == name) & ~world.held)
    if world.group is None:
        return random.permutation(rows)
    groups = random.permutation(np.unique(world.group[rows]))
    return np.concatenate([rows[world.group[rows] == one] for one in groups])


def _blend(visits: list[Ints], random: np.random.Generator) -> list[Ints]:
    """Return the visits with each boundary a mixture whose share rises over `RAMP`
    observations."""
    stream = [list(visit) for visit in visits]
    for before, after in pairwise(stream):
        half = min(RAMP // 2, len(before) // 3, len(after) // 3)
        old, new = before[-half:], after[:half]
        mixed: list[int] = []
        while old or new:
            share = len(mixed) / (2 * half)
            take = (random.random() < share and new) or not old
            mixed.append((new if take else old).pop(0))
        before[-half:], after[:half] = mixed[:half], mixed[half:]
    return [np.asarray(visit, np.int64) for visit in stream]


class _TrialDevice:
    """A runtime and its ledger, with cached features instead of an encoder."""

    def __init__(self, world: DomainSet) -> None:
        self._world = world
        self.ledger = MemoryLedger()
        self.runtime = Runtime(Config(growth=False), world, self.ledger)

    def feed(self, event: Event) -> list[Message]:
        published = []
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, Publish):
                published.append(effect.message)
        return published

    def enrol(self, rows: Ints) -> None:
        facts = [self._world.fact(row, FIRST, at) for at, row in enumerate(rows.tolist())]
        self.feed(Enrol(tuple(facts)))
        self.feed(FitGeometry())


class _Labeller:
    """A sensor that visits the domains, and a person who labels some observations late."""

    def __init__(self, world: DomainSet, device: _TrialDevice, random: np.random.Generator) -> None:
        self._world, self._device, self._random = world, device, random
        self._at = 0
        # The enrolment came before.
        self._from = len(device.ledger.facts())
        self._due: list[tuple[int, int]] = []
        self._surveyed = {FIRST}
        self.alarms = 0
        self.log: list[tuple[int, int, bool, str]] = []

    def show(self, row: int) -> None:
        """Show one row; labels that are due are handed in."""
        event = Observation(
            stream="sensor",
            sequence=self._at,
            captured_at_ns=self._from + self._at,
            payload=row,
            id=f"row-{row:05}",
            recording=self._world.recording(row),
        )
        for message in self._device.feed(event):
            if isinstance(message, DriftAlarm):
                truth = int(self._world.domain[row])
                self.log.append((self._at, truth, message.raised, message.domain))
                self.alarms += message.raised
                if not message.raised and message.domain not in self._surveyed:
                    self._surveyed.add(message.domain)
                    self._device.feed(FitGeometry())
        if self._random.random() < LABELLED:
            self._due.append((self._at, row))
        self._at += 1
        if self._at % ROUND == 0:
            self.hand_in()

    def hand_in(self, *, everything: bool = False) -> None:
        """Hand in the labels that are due."""
        ripe = [due for due in self._due if everything or due[0] + DELAY_MIN <= self._at]
        self._due = self._due[len(ripe) :]
        for _, row in ripe:
            self._device.feed(Label(f"row-{row:05}", str(self._world.label[row])))


def _accuracy(world: DomainSet, ledger: MemoryLedger) -> float:
    """Return the accuracy on held-out rows, shuffled together, of a newly opened runtime."""
    runtime = Runtime(Config(growth=False), world, ledger)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(world.held))[:EXAM_MAX]
    right = []
    for at, row in enumerate(rows.tolist()):
        event = Observation(
            stream="exam", sequence=at, captured_at_ns=EXAM_NS + at, payload=row, id=f"exam:{at}"
        )
        right += [
            effect.message.guess == str(world.label[row])
            for effect in runtime.handle(event)
            if isinstance(effect, Publish) and isinstance(effect.message, Decision)
        ]
    return fmean(right)


def _owners(filed: Counter[tuple[int, str]], first: int) -> dict[str, int]:
    """Return the true domain that each of the device's domains holds most of; the enrolled domain
    owns its name."""
    found = {}
    for name in {name for _, name in filed}:
        counts = {true: count for (true, own), count in filed.items() if own == name}
        found[name] = max(counts, key=lambda true: (counts[true], -true))
    return found | {FIRST: first}


def misfiled_share(filed: Counter[tuple[int, str]], first: int) -> float:
    """Return the share of labels in a domain that belongs to another true domain."""
    owners = _owners(filed, first)
    wrong = sum(count for (true, name), count in filed.items() if owners[name] != true)
    return wrong / max(1, sum(filed.values()))


def _row(observation_id: str) -> int:
    return int(observation_id.removeprefix("row-"))
