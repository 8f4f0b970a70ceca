"""Domain-incremental learning with unknown domains at test time: the runtime compared with the
usual peers.

The pictures of PACS through the default encoder, all taps as uint8, official split, all 24 orders,
three seeds, domain boundaries given during learning.  Each domain grows an adaptor once, after all
four are known; an accepted adaptor serves from then on; the heads alone have a row of their own.
Order-independent methods are fitted once per set of domains.  Every peer uses its best preparation
and strength, chosen on the training part.
The end-to-end half, without boundaries, is benchmarks/continual/domains_stream.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.continual import closed_form as cl_closed
from benchmarks.continual import gradient as cl_sgd
from edge.core.adaptors import AdaptorRecord
from edge.sim import Backend, require_backend, run_parallel
from encoder import DEFAULT_ENCODER, shipped_card

from ..adapt.pictures import PICTURES
from ..encoders.pictures import pacs_samples
from ..report import BenchmarkReport, BenchmarkRow
from .accuracy import Marks, Order, accuracies, marks, rows_of
from .data import ContinualSamples, ContinualView, Ints, Rows, missing, views
from .domains_stream import run_streams, stream_of
from .ours import RuntimeOutcome, answer_rows, derive, grow_all, routing_cost, window_accuracy

SEEDS = (0, 1, 2)
"""Three splits, for a mean and a range."""
STREAM_SEEDS = (0,)
"""One split: all orders of the domains run on it."""
OURS, ORACLE, JOINT = "auricle", "true domain (oracle)", "joint training"
HEADS = "auricle, heads alone"
MANY = (4, 100, 1_000)
"""Numbers of domains that routing is timed with.  Chosen by hand."""

PARTS = ("ours", "closed", "gradual", "streams")
"""What can be run alone: the runtime, peers in closed form, peers by gradient descent, and the
end-to-end half.  `ours` always runs."""

Sets = tuple[frozenset[int], ...]
Right = dict[frozenset[int], dict[int, float]]
PeerMeasurement = Callable[["DomainOrder", dict[str, ContinualView], str], Iterator[BenchmarkRow]]


@dataclass(frozen=True, slots=True, eq=False)
class DomainOrder:
    """The samples, with the rows of each domain, and every set and order of domains."""

    samples: ContinualSamples
    train: dict[int, Rows] = field(repr=False)
    held: dict[int, Rows] = field(repr=False)
    orders: tuple[Order, ...]
    sets: Sets

    @property
    def test_domain(self) -> Ints:
        """The domains of all held-out rows."""
        return self.samples.domain[self.samples.held]


def run(
    data: Path | None,
    *,
    quick: bool = False,
    sets: Sequence[str] | None = None,
    backend: Backend = "loky",
) -> BenchmarkReport:
    """Run everything.  The first run encodes the pictures, some ten minutes, and caches them.

    quick: the runtime's rows with given boundaries only.  sets: some of PARTS instead.  backend:
    "ray" spreads peers and end-to-end runs over a Ray cluster; here they run one after the other.
    """
    require_backend(backend)
    note = missing(data, PICTURES)
    if note or data is None:
        return BenchmarkReport("domains", (), {}, (note,))
    wanted = set(sets or (PARTS[:1] if quick else PARTS))
    if unknown := sorted(wanted - set(PARTS)):
        raise ValueError(f"expected parts among {', '.join(PARTS)}, found {', '.join(unknown)}")
    card = shipped_card(DEFAULT_ENCODER)
    course = plan(pacs_samples(card, data))
    rows, summary = ours(course)
    summary |= own_figures(rows)
    rows += _run_peers(course, wanted, backend)
    if {"closed", "gradual"} & wanted:
        summary |= peer_figures(rows)
    if "streams" in wanted:
        streams = run_streams(stream_of(course.samples, card), STREAM_SEEDS, backend=backend)
        rows += [BenchmarkRow(OURS, name, value) for name, value in streams.items()]
        named = ("end_to_end_accuracy", "end_to_end_forgetting", "domains_found_error")
        summary |= {name: streams[name] for name in named}
    left = [one for one in PARTS if one not in wanted]
    notes = (f"parts left out: {', '.join(left)}",) if left else ()
    return BenchmarkReport("domains", tuple(rows), summary, notes)


def _run_peers(course: DomainOrder, wanted: set[str], backend: Backend) -> list[BenchmarkRow]:
    """Run the peers of the wanted parts."""
    given = views(course.samples) if {"closed", "gradual"} & wanted else {}
    peers = [(closed, course, given, name) for name in cl_closed.PEERS if "closed" in wanted]
    peers += [(gradual, course, given, name) for name in cl_sgd.PEERS if "gradual" in wanted]
    found = dict(run_parallel(_peer_rows, peers, 1, backend))
    return [row for place in range(len(peers)) for row in found[place]]


def plan(samples: ContinualSamples) -> DomainOrder:
    """Split the samples into tasks: one domain each."""
    every = range(samples.domains)
    return DomainOrder(
        samples,
        {one: samples.train[samples.domain[samples.train] == one] for one in every},
        {one: samples.held[samples.domain[samples.held] == one] for one in every},
        tuple(permutations(every)),
        tuple(frozenset(c) for size in every for c in combinations(every, size + 1)),
    )


def ours(course: DomainOrder) -> tuple[list[BenchmarkRow], dict[str, float]]:
    """Measure the runtime's knowledge: with routing, and with the true domain given."""
    found: dict[str, list[Marks]] = {OURS: [], ORACLE: [], HEADS: [], f"{HEADS}, {ORACLE}": []}
    figures: dict[str, list[float]] = {}
    for seed in SEEDS:
        routed, with_domain, _ = _tables(course, seed, {})
        found[HEADS].append(marks(routed, course.orders, ordered=False))
        found[f"{HEADS}, {ORACLE}"].append(marks(with_domain, course.orders, ordered=False))
        grown = {name: result.record for name, result in grow_all(course.samples, seed).items()}
        records = {name: record for name, record in grown.items() if record is not None}
        figures.setdefault("adaptors_grown", []).append(len(records))
        routed, with_domain, last = _tables(course, seed, records)
        found[OURS].append(marks(routed, course.orders, ordered=False))
        found[ORACLE].append(marks(with_domain, course.orders, ordered=False))
        still, mixed, alone = window_accuracy(last, course.test_domain, seed)
        figures.setdefault("routing_accuracy", []).append(
            float((last.routed == course.test_domain).mean())
        )
        figures.setdefault("routing_accuracy_window16", []).append(still)
        figures.setdefault("routing_accuracy_mixed_window16", []).append(mixed)
        figures.setdefault("routing_accuracy_mixed_alone", []).append(alone)
        figures.setdefault("adaptor_bytes_mean", []).append(fmean(last.adaptor_bytes))
    means = {name: fmean(values) for name, values in figures.items()}
    rows = [row for name, several in found.items() for row in rows_of(name, several)]
    rows += [BenchmarkRow(OURS, name, value) for name, value in means.items()]
    for count in MANY:
        rows += [BenchmarkRow(OURS, *pair) for pair in routing_cost(course.samples, count).items()]
    kept = ("routing_accuracy", "routing_accuracy_window16", "adaptor_bytes_mean")
    return rows, {name: means[name] for name in kept}


def heads_marks(course: DomainOrder, seed: int) -> Marks:
    """Return accuracy and forgetting of the heads alone, with unknown domains at test time."""
    return marks(_tables(course, seed, {})[0], course.orders, ordered=False)


def grown_marks(course: DomainOrder, seed: int) -> Marks:
    """Return accuracy and forgetting with adaptors that are grown once, after all domains."""
    grown = {name: result.record for name, result in grow_all(course.samples, seed).items()}
    records = {name: record for name, record in grown.items() if record is not None}
    return marks(_tables(course, seed, records)[0], course.orders, ordered=False)


def _tables(
    course: DomainOrder, seed: int, records: dict[str, AdaptorRecord]
) -> tuple[Right, Right, RuntimeOutcome]:
    """Return accuracies after each set of domains, routed and with the true domain, and the
    outcomes after the last set.

    records: adaptors by domain; the head alone answers for the others.
    """
    routed: Right = {}
    with_domain: Right = {}
    made = []
    for known in course.sets:
        rows = np.concatenate([course.train[one] for one in sorted(known)])
        test = np.concatenate([course.held[one] for one in sorted(known)])
        serving = [record for name, record in records.items() if int(name[-1]) in known]
        state = derive(course.samples, np.sort(rows), seed, records=serving)
        made.append(answer_rows(state, course.samples, np.sort(test)))
        domain, label = course.samples.domain[np.sort(test)], course.samples.label[np.sort(test)]
        for table, answered in ((routed, made[-1].answered), (with_domain, made[-1].with_domain)):
            table[known] = accuracies(domain, answered == label, sorted(known))
    return routed, with_domain, made[-1]


def closed(
    course: DomainOrder, given: dict[str, ContinualView], name: str
) -> Iterator[BenchmarkRow]:
    """Measure an order-independent peer."""
    samples = course.samples
    peer = cl_closed.choose(name, given, *cl_closed.folds(samples.train), SEEDS)
    sets = course.sets[-1:] if name == JOINT else course.sets
    orders = () if name == JOINT else course.orders
    found: list[Marks] = []
    for learner in peer.learners:
        table: Right = {}
        for known in sets:
            rows = np.concatenate([course.train[one] for one in sorted(known)])
            scores = learner(given[peer.way], rows, samples.held)
            right = scores.argmax(axis=1) == samples.label[samples.held]
            table[known] = accuracies(course.test_domain, right, sorted(known))
        found.append(
            marks(table, orders, ordered=False) if orders else (fmean(table[sets[-1]].values()), 0)
        )
    yield from rows_of(f"{name} ({peer.way})", found)[: 2 if orders else 1]


def gradual(
    course: DomainOrder, given: dict[str, ContinualView], name: str
) -> Iterator[BenchmarkRow]:
    """Measure a peer that learns by gradient descent, in every order."""
    way, rate = cl_sgd.choose(given, course.orders[0], course.train, name)
    view, peer = given[way], cl_sgd.PEERS[name]
    found = []
    for seed in SEEDS:
        table = {
            prefix: state.accuracies_by_task(view, {one: course.held[one] for one in prefix})
            for prefix, state in cl_sgd.states(
                course.orders, course.train, view=view, peer=peer, rate=rate, seed=seed
            )
        }
        found.append(marks(table, course.orders, ordered=True))
    yield from rows_of(f"{name} ({way})", found)


def _peer_rows(
    measure: PeerMeasurement, course: DomainOrder, given: dict[str, ContinualView], name: str
) -> list[BenchmarkRow]:
    return list(measure(course, given, name))


def own_figures(rows: list[BenchmarkRow]) -> dict[str, float]:
    """Return the summary's figures of the runtime."""
    found = {(row.method, row.metric): row.value for row in rows}
    return {
        "average_accuracy": found[OURS, "average_accuracy"],
        "forgetting": found[OURS, "forgetting"],
        "oracle_accuracy": found[ORACLE, "average_accuracy"],
    }


def peer_figures(rows: list[BenchmarkRow]) -> dict[str, float]:
    """Return the summary's figures of the other methods, of those that ran."""
    accuracy = {row.method: row.value for row in rows if row.metric == "average_accuracy"}
    joint = [value for name, value in accuracy.items() if name.startswith(JOINT)]
    mine = {OURS, ORACLE, HEADS, f"{HEADS}, {ORACLE}"}
    peers = [v for name, v in accuracy.items() if name not in mine and not name.startswith(JOINT)]
    found = {"best_peer_accuracy": max(peers)} if peers else {}
    return found | ({"joint_accuracy": max(joint)} if joint else {})
