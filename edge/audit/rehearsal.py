"""The production runtime over a ledger in memory: learns some facts, forgets some, is compared.

Used for twins, and to rehearse requests that were never made.  The runtime is the one that serves;
only the disk is left out.
"""

import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import (
    Config,
    Contribution,
    Effect,
    Event,
    Fact,
    FitGeometry,
    ForgetRequest,
    MemoryLedger,
    Receipt,
    Runtime,
    Selector,
    StateError,
    StoreAdaptor,
    StoreContribution,
    StoreFacts,
    StoreGeometry,
    accepted,
)
from ..core.adaptors import AdaptorRecord
from ..home import Home

Geometry = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HomeState:
    """What a home has learned, as far as a twin needs it.

    geometry: the frozen one; None if there is none, or if a twin fits its own.  fits: whether it
    does.  facts: all, by id.
    """

    config: Config
    model: encoder.Model
    columns: tuple[str, ...]
    facts: Mapping[str, Fact] = field(repr=False)
    geometry: Geometry | None = field(repr=False)
    fits: bool
    adaptors: tuple[AdaptorRecord, ...] = field(repr=False)
    contributions: tuple[Contribution, ...] = field(repr=False)

    def without(self, ids: AbstractSet[str]) -> tuple[Fact, ...]:
        """Return all facts but some."""
        return tuple(fact for key, fact in self.facts.items() if key not in ids)


def read_state(home: Home, *, fits: bool) -> HomeState:
    """Return the state of a home.  fits: a twin fits its geometry to its own facts, as the home
    does; False where the home's geometry is kept.

    Cost: reads all facts into memory.
    """
    store = home.store
    rows = [record for records in store.adaptors().values() for record in records]
    return HomeState(
        config=home.runtime.config,
        model=home.model,  # type: ignore[arg-type]  # it encodes, which is all that is used
        columns=store.columns(),
        facts={fact.id: fact for page in store.pages() for fact in page},
        geometry=None if fits else store.geometry(),
        fits=fits and store.geometry() is not None,
        adaptors=tuple(rows),
        contributions=tuple(store.contributions().values()),
    )


class Rehearsal:
    """A runtime in memory that has learned some facts.  Cost: as to open a home of these facts.

    ledger: its ledger.  runtime: over it.  records: adaptors that serve in it.
    """

    def __init__(
        self, state: HomeState, facts: Iterable[Fact], records: Iterable[AdaptorRecord] = ()
    ) -> None:
        self.state = state
        self.ledger = MemoryLedger(columns=state.columns)
        given = tuple(facts)
        if given:
            self.ledger.apply(StoreFacts(facts=given))
        for effect in _inputs(state, records):
            self.ledger.apply(effect)
        self.runtime = Runtime(state.config, state.model, self.ledger)
        if state.fits and given:
            self.feed(FitGeometry())

    def feed(self, event: Event) -> tuple[Any, ...]:
        """Handle an event, apply its effects in order, and return its messages."""
        messages = []
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if type(effect).__name__ == "Publish":
                messages.append(effect.message)  # type: ignore[union-attr]
        return tuple(messages)

    def forget(self, ids: AbstractSet[str], request_id: str) -> tuple[Receipt, float]:
        """Forget facts; return the receipt, and the seconds that it took."""
        begun = time.perf_counter()
        event = ForgetRequest(
            request_id=request_id,
            selector=Selector(ids=frozenset(ids)),
            requested_at_ns=1,
            refit_geometry=self.state.fits,
        )
        receipts = [one for one in accepted(self.feed(event)) if isinstance(one, Receipt)]
        if not receipts:
            raise StateError("rehearsing a forget request: no receipt came", "report it as a bug")
        return receipts[-1], time.perf_counter() - begun

    def digest(self) -> str:
        """Return the digest of the knowledge."""
        return self.runtime.digest()

    def facts_digest(self) -> str:
        """Return the digest of the facts."""
        return self.ledger.digest()


def make_twin(
    state: HomeState, without: AbstractSet[str], records: Iterable[AdaptorRecord] = ()
) -> Rehearsal:
    """Return a twin: the home had it never seen some facts.  records: the twin's adaptors."""
    return Rehearsal(state, state.without(without), records)


def _inputs(state: HomeState, records: Iterable[AdaptorRecord]) -> Iterable[Effect]:
    if state.geometry is not None:
        yield StoreGeometry({name: np.asarray(one) for name, one in state.geometry.items()})
    yield from (StoreContribution(one) for one in state.contributions)
    # Newest last: the ledger lets the last one stored serve.
    for record in sorted(records, key=lambda one: one.version):
        yield StoreAdaptor(record)
