"""End-to-end domain-incremental learning on a stream, with a tenth of the labels, delayed.

PACS, all taps, official split.  A device is enrolled in the first domain (70 % of it, labelled);
then it observes the rest of that domain, the three others in sequence, and each of the four again,
without boundaries.  One in ten observations is labelled, 50 to 200 observations later, without its
domain.  After an alarm that ends in a new domain, the device fits its geometry again: the previous
one covers the first domains only.  At the end of each visit adaptors grow for all domains that are
due.  Baselines: heads alone, the same labels with their true domains, and all labels with their
true domains.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, permutations
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core import (
    Config,
    Decision,
    DriftAlarm,
    Enrol,
    Event,
    Fact,
    FitGeometry,
    GrowthFinished,
    GrowthJob,
    Label,
    MemoryLedger,
    Message,
    Observation,
    Publish,
    Runtime,
    StartGrowth,
    StoreGeometry,
    Tick,
)
from edge.sim import Backend, run_parallel

from .data import ContinualSamples

FILES = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")
DOMAINS = 4
"""Of PACS: photo, art painting, cartoon, sketch."""
ENROLLED = 0.7
"""Of the first domain's rows; its others are streamed."""
REVISIT = 100
"""Rows of each domain kept for the second visit: a standard error of 5 points at most."""
LABELLED = 0.1
"""A tenth of the observations get labels, as a person would find time for.  Chosen by hand."""
DELAY_MIN, ROUND = 50, 150
"""In observations: labels come late and in rounds, as a person gives them.  Chosen by hand."""
FIRST = "domain-1"

Ints = NDArray[np.int64]
Order = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PacsStream:
    """Levels uint8 [n, width] of all taps, label and domain [n], the held-out rows, and the
    card."""

    levels: NDArray[np.uint8] = field(repr=False)
    label: Ints
    domain: Ints
    held: NDArray[np.bool_]
    card: encoder.Card

    def encode(self, payload: object) -> encoder.Features:
        """Return the features of the row that a payload names."""
        return encoder.Features(self.levels[int(str(payload))])

    def fact(self, row: int, domain: str) -> Fact:
        """Return a row as a fact of a domain."""
        label, raw = str(self.label[row]), self.levels[row].tobytes()
        return Fact(
            id=_id(row),
            stream="camera",
            domain=domain,
            label=label,
            captured_at_ns=row,
            features=raw,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRun:
    """The result of one run.  matrix: accuracy after each first visit (rows) on each domain
    (columns, in visiting order).  with_domain: with true domains.  heads: without adaptors.  grown:
    adaptors that serve at the end.  names: facts by true domain and by the device's domain."""

    order: Order
    matrix: tuple[tuple[float, ...], ...]
    with_domain: float
    heads: float
    grown: int
    names: Mapping[tuple[int, str], int]
    alarms: int
    delays: tuple[int, ...]
    served: float


def run_streams(
    pacs: PacsStream,
    seeds: Sequence[int] = (0, 1, 2),
    orders: Sequence[Order] = (),
    *,
    backend: Backend = "loky",
) -> dict[str, float]:
    """Run all 24 orders (or the given ones) with each seed and return the mean figures.

    About half an hour on one core.  domains_found_error: mean absolute difference between the
    number of domains and 4; opened_twice: true domains found under more than one name.
    """
    chosen = tuple(orders) or tuple(permutations(range(DOMAINS)))
    calls = [(pacs, order, seed) for order in chosen for seed in seeds]
    done = dict(run_parallel(run_stream, calls, 1, backend))
    stays = [done[place] for place in range(len(calls))]
    return summarise(stays) | {"told_all_labels_accuracy": labelled_accuracy(pacs)}


def summarise(stays: Sequence[StreamRun]) -> dict[str, float]:
    """Return mean figures of runs; accuracies and shares are fractions of 1."""
    found = [len({name for _, name in run.names}) for run in stays]
    delays = [delay for run in stays for delay in run.delays]
    return {
        "end_to_end_accuracy": fmean(fmean(run.matrix[-1]) for run in stays),
        "end_to_end_forgetting": fmean(_forgetting(run.matrix) for run in stays),
        "domains_found_error": fmean(abs(count - DOMAINS) for count in found),
        "told_boundaries_accuracy": fmean(run.with_domain for run in stays),
        "heads_alone_accuracy": fmean(run.heads for run in stays),
        "adaptors_serving": fmean(run.grown for run in stays),
        "told_boundaries_gap_max": max(run.with_domain - fmean(run.matrix[-1]) for run in stays),
        "misfiled_labels": fmean(_misplaced_share(run.names) for run in stays),
        "opened_twice": fmean(_count_split(run.names) for run in stays),
        "runs_with_four": fmean(count == DOMAINS for count in found),
        "alarm_delay_observations": fmean(delays) if delays else float("nan"),
        "alarms_raised": fmean(run.alarms for run in stays),
        "served_accuracy": fmean(run.served for run in stays),
    }


def stream_of(samples: ContinualSamples, card: encoder.Card) -> PacsStream:
    """Return samples as a stream.  card: of the encoder that made their features."""
    held = np.isin(np.arange(len(samples.label)), samples.held)
    names = {tap.name: tap.width for tap in card.taps}
    made = encoder.vector_card(card.width, "pacs", samples.quantiser, names)
    return PacsStream(samples.features, samples.label, samples.domain, held, made)


def load_pacs(data: Path) -> PacsStream:
    """Load the features of PACS and fit a quantiser to a tenth of the training part."""
    final, stages = (np.load(data / name) for name in FILES)
    taps = [final["features"], *(stages[f"stage{number}"] for number in range(1, 8))]
    edges = np.cumsum([0, *(tap.shape[1] for tap in taps)]).tolist()
    values = np.concatenate(taps, axis=1).astype(np.float32)
    held = final["split"] == 1
    spans = tuple(slice(a, b) for a, b in pairwise(edges))
    quantiser = encoder.freeze_quantiser(values[~held][::10], spans)
    names = {f"tap{at}": span.stop - span.start for at, span in enumerate(spans)}
    card = encoder.vector_card(values.shape[1], "pacs", quantiser, names)
    label, domain = final["label"].astype(np.int64), final["domain"].astype(np.int64)
    return PacsStream(quantiser.quantise(values), label, domain, held, card)


class _Device:
    """A runtime and its ledger, with cached features instead of an encoder."""

    def __init__(self, pacs: PacsStream, ledger: MemoryLedger | None = None) -> None:
        self._pacs = pacs
        self.ledger = ledger or MemoryLedger()
        self._runtime = Runtime(Config(), pacs, self.ledger)
        self._job: GrowthJob | None = None

    def feed(self, event: Event) -> Iterator[Message]:
        for effect in self._runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, Publish):
                yield effect.message
            elif isinstance(effect, StartGrowth):
                self._job = effect.job

    def grow(self) -> None:
        """Grow an adaptor for every domain that is due, one after the other."""
        from edge.growth import grow_adaptor

        list(self.feed(Tick()))
        while self._job is not None:
            job, self._job = self._job, None
            for event in (GrowthFinished(grow_adaptor(job)), Tick()):
                list(self.feed(event))

    def enrol(self, rows: Ints) -> None:
        facts = tuple(self._pacs.fact(int(row), FIRST) for row in rows)
        for event in (Enrol(facts), FitGeometry()):
            list(self.feed(event))


def run_stream(pacs: PacsStream, order: Order, seed: int) -> StreamRun:
    """Run one device through one order of domains."""
    random = np.random.default_rng([seed, *order])
    device = _Device(pacs)
    enrolled, visits = _visits(pacs, order, random)
    device.enrol(enrolled)
    show = _LabelledCamera(pacs, device, random)
    matrix = []
    for number, rows in enumerate(visits):
        show.visit(rows)
        device.grow()
        if number < len(order):
            matrix.append(_held_out_accuracy(pacs, device.ledger, order))
    show.hand_in(everything=True)
    device.grow()
    matrix.append(_held_out_accuracy(pacs, device.ledger, order))
    filed = Counter(
        (int(pacs.domain[_row(fact.id)]), fact.domain) for fact in device.ledger.facts()
    )
    relabelled = _Device(pacs, _with_true_domains(pacs, device.ledger))
    relabelled.grow()
    return StreamRun(
        order=order,
        matrix=tuple(matrix),
        with_domain=fmean(_held_out_accuracy(pacs, relabelled.ledger, order)),
        heads=fmean(_held_out_accuracy(pacs, _without_adaptors(device.ledger), order)),
        grown=len(device.ledger.adaptors()),
        names=dict(filed),
        alarms=show.alarms,
        delays=tuple(show.delays),
        served=fmean(show.right),
    )


def labelled_accuracy(pacs: PacsStream) -> float:
    """Return the accuracy with every training label and its true domain."""
    device = _Device(pacs)
    rows = np.flatnonzero(~pacs.held).tolist()
    facts = tuple(pacs.fact(row, f"true-{pacs.domain[row]}") for row in rows)
    for event in (Enrol(facts), FitGeometry()):
        list(device.feed(event))
    device.grow()
    return fmean(_held_out_accuracy(pacs, device.ledger, tuple(range(DOMAINS))))


class _LabelledCamera:
    """A camera that visits the domains, and a person who labels some observations late."""

    def __init__(self, pacs: PacsStream, device: _Device, random: np.random.Generator) -> None:
        self._pacs, self._device, self._random = pacs, device, random
        self._at = 0
        self._due: list[tuple[int, int]] = []
        self._surveyed = {FIRST}
        self.alarms = 0
        self.delays: list[int] = []
        self.right: list[bool] = []

    def visit(self, rows: Ints) -> None:
        began, noticed = self._at, False
        for row in rows.tolist():
            for message in self._device.feed(
                Observation(
                    stream="camera",
                    sequence=self._at,
                    captured_at_ns=self._at,
                    payload=row,
                    id=_id(row),
                )
            ):
                if isinstance(message, Decision):
                    self.right.append(message.guess == str(self._pacs.label[row]))
                elif isinstance(message, DriftAlarm) and message.raised:
                    self.alarms += 1
                    self.delays += [] if noticed else [self._at - began + 1]
                    noticed = True
                elif isinstance(message, DriftAlarm):
                    self._survey(message.domain)
            if self._random.random() < LABELLED:
                self._due.append((self._at, row))
            self._at += 1
            if self._at % ROUND == 0:
                self.hand_in()

    def _survey(self, domain: str) -> None:
        if domain not in self._surveyed:
            self._surveyed.add(domain)
            list(self._device.feed(FitGeometry()))

    def hand_in(self, *, everything: bool = False) -> None:
        ripe = [due for due in self._due if everything or due[0] + DELAY_MIN <= self._at]
        self._due = self._due[len(ripe) :]
        for _, row in ripe:
            list(self._device.feed(Label(_id(row), str(self._pacs.label[row]))))


def _visits(pacs: PacsStream, order: Order, random: np.random.Generator) -> tuple[Ints, list[Ints]]:
    """Return the enrolled rows, and the rows of each visit: every domain at length, then each
    briefly."""
    pools = [
        random.permutation(np.flatnonzero((pacs.domain == name) & ~pacs.held)) for name in order
    ]
    again = [pool[:REVISIT] for pool in pools]
    fresh = [pool[REVISIT:] for pool in pools]
    cut = round(ENROLLED * len(fresh[0]))
    return fresh[0][:cut], [fresh[0][cut:], *fresh[1:], *again]


def _held_out_accuracy(pacs: PacsStream, ledger: MemoryLedger, order: Order) -> tuple[float, ...]:
    """Return the accuracy on each domain's held-out part, shuffled together, of a newly opened
    runtime."""
    runtime = Runtime(Config(), pacs, ledger)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(pacs.held))
    right = np.zeros(len(rows), np.bool_)
    for at, row in enumerate(rows.tolist()):
        for effect in runtime.handle(
            Observation(stream="exam", sequence=at, captured_at_ns=at, payload=row, id=f"exam:{at}")
        ):
            if isinstance(effect, Publish) and isinstance(effect.message, Decision):
                right[at] = effect.message.guess == str(pacs.label[row])
    return tuple(float(right[pacs.domain[rows] == name].mean()) for name in order)


def _with_true_domains(pacs: PacsStream, ledger: MemoryLedger) -> MemoryLedger:
    """Return the same facts under their true domains, with the same geometry."""
    rows = [_row(fact.id) for fact in ledger.facts()]
    relabelled = MemoryLedger([pacs.fact(row, f"true-{pacs.domain[row]}") for row in rows])
    _take_geometry(ledger, relabelled)
    return relabelled


def _without_adaptors(ledger: MemoryLedger) -> MemoryLedger:
    """Return the same facts and geometry, without adaptors."""
    bare = MemoryLedger(ledger.facts())
    _take_geometry(ledger, bare)
    return bare


def _take_geometry(source: MemoryLedger, target: MemoryLedger) -> None:
    target.apply(StoreGeometry(dict(source.geometry() or {})))


def _forgetting(matrix: Sequence[Sequence[float]]) -> float:
    """Mean loss of each domain but the last since its best (Chaudhry et al. 2018)."""
    final = matrix[-1]
    losses = [max(row[at] for row in matrix[at:-1]) - final[at] for at in range(len(final) - 1)]
    return fmean(losses)


def _owners(names: Mapping[tuple[int, str], int]) -> dict[str, int]:
    """Return for each of the device's domains the true domain of most of its facts."""
    owners: dict[str, int] = {}
    for (domain, name), count in names.items():
        if count > names.get((owners.get(name, -1), name), 0):
            owners[name] = domain
    return owners


def _misplaced_share(names: Mapping[tuple[int, str], int]) -> float:
    """Return the share of facts in a device's domain that belongs to another true domain."""
    owners = _owners(names)
    wrong = sum(count for (domain, name), count in names.items() if owners[name] != domain)
    return wrong / sum(names.values())


def _count_split(names: Mapping[tuple[int, str], int]) -> int:
    """Count the true domains that own several of the device's domains."""
    return sum(count > 1 for count in Counter(_owners(names).values()).values())


def _id(row: int) -> str:
    return f"row-{row:05}"


def _row(observation_id: str) -> int:
    return int(observation_id.removeprefix("row-"))
