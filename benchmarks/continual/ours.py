"""The runtime's knowledge on the rows of a benchmark: router, heads and adaptors."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import hdc
from edge.core import (
    Config,
    GrowthJob,
    GrowthResult,
    Knowledge,
    MemoryLedger,
    StoreAdaptor,
    fit_router,
    untimed_batch,
)
from edge.core.adaptors import AdaptorRecord
from edge.core.knowledge import derive_knowledge
from edge.core.session import posterior

from .data import ContinualSamples, Ints, Rows, facts_of

WINDOW = 16
"""The runtime's default window."""
WINDOWS = 500
"""Windows drawn for each domain: a standard error below 2.3 points."""
FACTS_LARGE = 8_192
"""Chosen by hand; effect not measured."""
DOMAINS_LARGE = 1_000
"""Chosen by hand; effect not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class RuntimeOutcome:
    """Answers for some rows.  routed, answered: domains and labels [n], -1 for none.  with_domain:
    labels with the true domain given.  scores: the router's, columns by domain."""

    answered: Ints = field(repr=False)
    routed: Ints = field(repr=False)
    with_domain: Ints = field(repr=False)
    scores: NDArray[np.float32] = field(repr=False)
    adaptor_bytes: tuple[int, ...]


def derive(
    samples: ContinualSamples,
    rows: Rows,
    seed: int,
    domain: str = "",
    records: Iterable[AdaptorRecord] = (),
) -> Knowledge:
    """Derive knowledge from these rows, enrolled in their own domains or in one, with the given
    adaptors."""
    ledger = MemoryLedger(facts_of(samples, rows, seed, domain))
    for record in records:
        ledger.apply(StoreAdaptor(record))
    geometry = hdc.identity_geometry(samples.features.shape[1], samples.spans, seed)
    return derive_knowledge(ledger, geometry)


def grow_all(samples: ContinualSamples, seed: int) -> dict[str, GrowthResult]:
    """Grow an adaptor for every domain once, against all others, with the default budget."""
    from edge.growth import grow_adaptor

    known = derive(samples, samples.train, seed)
    return {name: grow_adaptor(_job(known, samples, name, seed)) for name in known.domains}


def _job(known: Knowledge, samples: ContinualSamples, name: str, seed: int) -> GrowthJob:
    own, others = known.training_facts(name)
    return GrowthJob(
        id=f"{name}:{seed}",
        domain=name,
        version=1,
        seed=seed,
        budget=Config().budget,
        spans=samples.spans,
        own=own,
        others=others,
    )


def answer_rows(known: Knowledge, samples: ContinualSamples, rows: Rows) -> RuntimeOutcome:
    """Route and answer rows, with unknown domains and, if known, with given domains."""
    features = samples.features[rows]
    router = known.router()
    scores = router.scores(features)
    routed = np.asarray(router.domains)[scores.argmax(axis=1)]
    given = np.asarray([f"domain-{one}" for one in samples.domain[rows]])
    answered, with_domain = np.full(len(rows), -1), np.full(len(rows), -1)
    adaptors = {name: known.adaptor(name) for name in known.domains}
    for name, adaptor in adaptors.items():
        labels = np.asarray(adaptor.labels, np.int64)
        for named, made in ((routed, answered), (given, with_domain)):
            mine = np.flatnonzero(named == name)
            made[mine] = labels[adaptor.answer(features[mine]).argmax(axis=1)]
    numbers = np.asarray([int(name.rpartition("-")[2]) for name in routed], np.int64)
    sizes = tuple(adaptor.nbytes for adaptor in adaptors.values())
    return RuntimeOutcome(answered, numbers, with_domain, scores, sizes)


def window_accuracy(outcome: RuntimeOutcome, domain: Ints, seed: int) -> tuple[float, float, float]:
    """Return the routing accuracy with windows of 16: of one domain each, of mixed domains, and
    mixed without a window.

    Columns of the scores are domains in ascending order, all of them known.
    """
    random = np.random.default_rng(seed)
    still = [
        posterior(outcome.scores[random.choice(np.flatnonzero(domain == one), WINDOW)]).argmax()
        == one
        for one in np.unique(domain)
        for _ in range(WINDOWS)
    ]
    mixed, alone = [], []
    for _ in range(4 * WINDOWS):
        rows = random.integers(len(domain), size=WINDOW)
        mixed.append(posterior(outcome.scores[rows]).argmax() == domain[rows[-1]])
        alone.append(outcome.scores[rows[-1]].argmax() == domain[rows[-1]])
    return float(np.mean(still)), float(np.mean(mixed)), float(np.mean(alone))


def routing_cost(samples: ContinualSamples, domains: int) -> dict[str, float]:
    """Return time and memory of routing with the facts spread over a number of domains.

    Domains beyond the data's own hold its facts under other names: this measures cost only.
    """
    random = np.random.default_rng(domains)
    rows = random.choice(samples.train, FACTS_LARGE)
    named = np.sort(np.arange(FACTS_LARGE) % domains)
    batch = untimed_batch(
        tuple(f"{at:05}" for at in range(FACTS_LARGE)),
        tuple(f"domain-{number:04}" for number in named),
        ("a",) * FACTS_LARGE,
        samples.features[rows],
    )
    began = time.perf_counter()
    router = fit_router([batch], samples.spans)
    fitted = time.perf_counter() - began
    taken = [_timed(router.scores, samples.features[row]) for row in samples.held[:300]]
    return {
        f"route_us_{domains}": 1e6 * float(np.median(taken)),
        f"router_fit_s_{domains}": fitted,
        f"router_mib_{domains}": router.nbytes / 2**20,
    }


def _timed(call: Callable[[NDArray[np.uint8]], object], features: NDArray[np.uint8]) -> float:
    began = time.perf_counter()
    call(features)
    return time.perf_counter() - began
