"""Parts of derived state that are fitted to samples of facts: a domain's thresholds, the router, a
domain's adaptor.

Each fit has three steps, so that serving need not wait for it: `gather` reads the facts, `prepare`
takes what else is needed from the knowledge in use, `solve` computes.  `gather` and `solve` may run
in another thread, the first with a reader of its own.  The result of all three without a change in
between is a function of the ledger alone, wherever they run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, Protocol

import msgspec
import numpy as np

import hdc

from .. import limits
from ..adaptors import Adaptor, AdaptorRecord, Spans, TunedKernels, fit_adaptor
from ..facts import Concept, FactBatch, Ledger, Rank, SampleScope, scope_of
from ..router import Router, fit_router, router_columns
from .time_sample import orders_in_time, sample_in_time

CODED_ROWS: Final = 32
"""Facts projected at a time: projecting one takes about 100 KiB of working memory, and small
devices hold many facts."""

CHANGES_MAX: Final = 4_096
"""Changes of facts tracked during a background fit; more count as changes of everything.  Chosen by
hand: 1 MiB of ids."""

NOTHING: Final[AbstractSet[str]] = frozenset()

Scopes = tuple[SampleScope, SampleScope]


class FactChange(msgspec.Struct, frozen=True):
    """A fact that was added or removed."""

    domain: str
    rank: Rank
    removed: bool


class Changes:
    """The changes of facts since a fit began, bounded."""

    def __init__(self) -> None:
        self._seen: list[FactChange] = []
        self._overflown = False

    def add(self, change: FactChange) -> None:
        """Track a change."""
        self._overflown = self._overflown or len(self._seen) >= CHANGES_MAX
        if not self._overflown:
            self._seen.append(change)

    def any(self, matches: Callable[[FactChange], bool]) -> bool:
        """Return whether a change matches; True if there were too many to track."""
        return self._overflown or any(map(matches, self._seen))


class Refit(Protocol):
    """A part of derived state, to be fitted in the background.  name: of the part, for logs."""

    @property
    def name(self) -> str:
        """The name of the part."""

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """Read the facts, without these ids; in any thread that may use this ledger."""

    def prepare(self, changes: Changes, /) -> bool:
        """Take what else is needed; False if the facts read are no longer all there.  In the
        serving thread."""

    def solve(self) -> None:
        """Compute the result; in any thread."""

    def is_current(self, changes: Changes) -> bool:
        """Return whether the result is what the ledger gives after these changes."""


class Turns:
    """The order of fits: the part fitted longest ago comes first, so that a steady flow of facts of
    one domain starves no other part."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._count = 0

    def take(self, outdated: Iterable[Refit]) -> Refit | None:
        """Return the part to fit next, the first of those never fitted; None if there is none."""
        found = min(outdated, key=lambda one: self._last.get(one.name, 0), default=None)
        if found is None:
            self._last.clear()
            return None
        self._count += 1
        self._last[found.name] = self._count
        return found


class ThresholdsRefit(msgspec.Struct, eq=False, kw_only=True):
    """The calibration of one domain.  count: its facts.  memory: returns an independent copy of a
    domain's concepts.  made: the result, of `solve`."""

    domain: str
    count: int
    memory: Callable[[str], hdc.Memory]
    made: hdc.Calibration | None = None
    _rows: FactBatch | None = None
    _held: hdc.Memory | None = None

    @property
    def name(self) -> str:
        """See `Refit`."""
        return f"thresholds of {self.domain}"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`."""
        self._rows = calibration_facts(ledger, self.domain, self.count, without)

    def prepare(self, changes: Changes, /) -> bool:
        """See `Refit`.  The sums must include every fact that is held out of them."""
        if changes.any(lambda one: one.removed and one.domain == self.domain):
            return False
        self._held = self.memory(self.domain)
        return True

    def solve(self) -> None:
        """See `Refit`.  Cost: one projection and one score for each fact of the sample."""
        assert self._rows is not None, "gather comes first"
        assert self._held is not None, "prepare comes first"
        coded = code_facts(self._held.geometry, self._rows)
        self.made = hdc.calibrate(self._held, coded, orders=orders_in_time(self._rows))
        self._rows = self._held = None

    def is_current(self, changes: Changes) -> bool:
        """See `Refit`.  A sum changes with any fact of the domain."""
        return not changes.any(lambda one: one.domain == self.domain)


class RouterRefit(msgspec.Struct, eq=False, kw_only=True):
    """The router.  shares: facts of each domain that it is fitted to.  concepts: with facts.
    spans: of the encoder's taps.  made, scopes: the result, and which facts of each domain change
    it."""

    shares: Mapping[str, int]
    concepts: AbstractSet[Concept]
    spans: Spans
    made: Router | None = None
    scopes: dict[str, SampleScope] = msgspec.field(default_factory=dict)
    _parts: list[FactBatch] = msgspec.field(default_factory=list)

    @property
    def name(self) -> str:
        """See `Refit`."""
        return "router"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`.  Only the columns that the router reads are kept."""
        columns = slice(*router_columns(self.spans))
        for domain, share in self.shares.items():
            batch = ledger.sample(share, (domain,), without)
            self.scopes[domain] = scope_of(batch, share)
            features = np.ascontiguousarray(batch.features[:, columns])
            self._parts.append(replace(batch, features=features))

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return True

    def solve(self) -> None:
        """See `Refit`; cost: that of `router.fit_router`."""
        self.made = fit_router(self._parts, self.spans)
        self._parts = []

    def is_current(self, changes: Changes) -> bool:
        """See `Refit`."""
        return not changes.any(self._holds)

    def _holds(self, change: FactChange) -> bool:
        return self.scopes.get(change.domain, SampleScope()).changes(change.rank)


class HeadRefit(msgspec.Struct, eq=False, kw_only=True):
    """The adaptor of a domain.  learned: all domains with facts.  record: of a trained adaptor, if
    any.  spans: of the encoder's taps.  tuned: kernels of earlier fits.  made, scopes: the result,
    and which facts of the domain and of the others change it."""

    domain: str
    learned: Sequence[str]
    record: AdaptorRecord | None
    spans: Spans
    tuned: TunedKernels
    made: Adaptor | None = None
    scopes: Scopes = (SampleScope(), SampleScope())
    _facts: tuple[FactBatch, FactBatch] | None = None

    @property
    def name(self) -> str:
        """See `Refit`."""
        return f"adaptor of {self.domain}"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`."""
        if self.record is not None:
            # A stored record reads its arrays on first use, from the ledger that it came from.
            version, stored = self.record.version, ledger.adaptors().get(self.domain, ())
            self.record = next((r for r in stored if r.version == version), self.record)
            len(self.record.arrays)
        own, others = training_facts(ledger, self.domain, self.learned, without)
        self._facts = own, others
        self.scopes = (
            scope_of(own, limits.HEAD_FACTS_MAX),
            scope_of(others, limits.SUPPORT_FACTS_MAX),
        )

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return self._facts is not None and len(self._facts[0]) > 0

    def solve(self) -> None:
        """See `Refit`.  Cost: see `adaptors.solve_head` and `solve_kernel`."""
        assert self._facts is not None, "gather comes first"
        self.made = fit_adaptor(*self._facts, self.record, self.spans, self.tuned)
        self._facts = None

    def is_current(self, changes: Changes) -> bool:
        """See `Refit`."""
        return not changes.any(self._holds)

    def _holds(self, change: FactChange) -> bool:
        return self.scopes[change.domain != self.domain].changes(change.rank)


def same_record(one: AdaptorRecord | None, other: AdaptorRecord | None) -> bool:
    """Return whether two records of a domain are the same, or both None."""
    if one is None or other is None:
        return one is other
    return one.digest == other.digest


def calibration_facts(
    ledger: Ledger, domain: str, count: int, without: AbstractSet[str]
) -> FactBatch:
    """Return a sample of a domain's `count` facts, in whole runs where their times are known."""
    size = limits.CALIBRATION_FACTS_MAX
    return sample_in_time(ledger, domain, count, size, without)


def training_facts(
    ledger: Ledger, domain: str, learned: Iterable[str], without: AbstractSet[str]
) -> tuple[FactBatch, FactBatch]:
    """Return a sample of a domain's facts, and one of the other learned domains' facts."""
    own = ledger.sample(limits.HEAD_FACTS_MAX, (domain,), without)
    others = [name for name in learned if name != domain]
    return own, ledger.sample(limits.SUPPORT_FACTS_MAX, others, without)


def code_facts(geometry: hdc.Geometry, rows: FactBatch) -> Iterator[tuple[str, str, hdc.Codes]]:
    """Yield facts of one domain as (domain, label, codes)."""
    labels = np.asarray(rows.labels, dtype=np.str_)
    for label in sorted(set(rows.labels)):
        index = np.flatnonzero(labels == label)
        for at in range(0, len(index), CODED_ROWS):
            part = rows.features[index[at : at + CODED_ROWS]]
            yield rows.domains[0], label, geometry.project(part)
