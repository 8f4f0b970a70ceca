"""Forgetting: the part of a runtime that excludes facts, and derives again what they have shaped.

Where decisions may not wait for that (see `Knowledge.may_wait`), all is done within the event.
Otherwise the request is recorded and its facts are excluded before the next decision: a few at
once; for more, their concepts are masked and they are erased a slice at a time.  What they have
shaped serves no more; the remaining sums answer until it is derived again beside serving, and the
receipt follows then.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc

from .config import Config
from .domain_merges import moved
from .duplicates import guard_obstacle
from .events import (
    Acknowledgement,
    Effect,
    EraseFacts,
    FitGeometry,
    ForgetRequest,
    Publish,
    StoreGeometry,
)
from .facts import Concept, Ledger, Selector
from .forecasting import SeriesTracker
from .forget_answers import other_selection, reject, still_pending
from .knowledge import (
    DigestRefit,
    GeometryFitter,
    GeometryRefit,
    Knowledge,
    Refit,
    conflicting_contributions,
    derive_knowledge,
)
from .learning import Learner
from .matched import Matched, contents_of, streams_of
from .pending_forgets import (
    AdvanceForget,
    CompleteForget,
    ExcludeFacts,
    ForgetProgress,
    PendingForget,
    RenameDomain,
)
from .receipt import Receipt
from .receipt_issue import KnownDigest, complete_receipt
from .receipts import (
    Rebuilt,
    add_evictions,
    nothing_matches,
    placed_domains,
    subject_renames,
    write_receipt,
)
from .reconfigurator import Reconfigurator
from .session import AdaptedOpenings, BatchPrefetch, FeatureModel, SessionState, StreamLevels

SLICE_FACTS: Final = 16
"""Facts erased between two decisions.  Erasing 16, with their indexes, in a file of 100,000 took
42 ms of processor time, and 64 took 64 ms (measured once, on a loaded machine)."""


class RuntimeForgetting(ABC):
    """The part of a `Runtime` that forgets; it has the attributes named here.

    _pending: requests without a receipt by id, oldest first.  _erasing: those with facts that are
    still in the ledger.  _queue: ids besides facts that wait to be erased.  issued: receipts, by
    request, that are stored and not published: remains of their facts may be in the file.
    _renames: domains that wait for another name.  _geometry_due: the
    geometry must be fitted again, or it is not known yet that it need not be.  _derived: the
    result of that, until it is installed.  _gone: what was forgotten since that began.
    """

    config: Config
    knowledge: Knowledge
    series: SeriesTracker
    _model: FeatureModel
    _ledger: Ledger
    _deferring: bool
    _session: SessionState
    _levels: StreamLevels
    _openings: AdaptedOpenings
    _learner: Learner
    _growth: Reconfigurator
    _geometries: GeometryFitter
    _prefetched: BatchPrefetch
    _pending: dict[str, PendingForget]
    issued: dict[str, Receipt]
    _known_digest: KnownDigest
    _erasing: list[str]
    _queue: list[str]
    _renames: list[tuple[str, str]]
    _geometry_due: bool
    _geometry_failed: bool
    _derived: GeometryRefit | None
    _gone: set[str] | None

    @property
    def forgetting(self) -> bool:
        """Whether a request is pending, or its receipt not published: feed `AdvanceForget`."""
        return bool(self._pending or self.issued)

    @property
    def erasing(self) -> bool:
        """Whether forgotten facts are still in the ledger, so that no fact may change."""
        return bool(self._erasing)

    @property
    def awaiting(self) -> tuple[str, ...]:
        """The parts that the pending requests wait for, by name."""
        return (*self._deriving, *(("series",) if self.series.replaying else ()))

    @property
    def _deriving(self) -> tuple[str, ...]:
        """The parts of the knowledge among them."""
        names = ("names",) if self._renames else ()
        parts = (*names, *(("geometry",) if self._geometry_due else ()))
        # Where nothing may wait, the digest of the receipt computes what is missing.
        return (*parts, *(self.knowledge.deriving if self.knowledge.may_wait else ()))

    @property
    def advances(self) -> bool:
        """Whether `AdvanceForget` would get the pending requests on now."""
        if self._erasing or self._renames or self.issued:
            return True
        if not self._pending:
            return False
        if self._geometry_due:
            waits = self.knowledge.may_wait and not self._geometry_failed
            return not (waits and self._takes_geometry())
        return not (self.awaiting or self._known_digest.awaits(self.knowledge, self._ledger))

    def pending_forgets(self) -> tuple[ForgetProgress, ...]:
        """Return how far each pending request is, oldest first."""
        receipts = self.issued | {key: one.receipt for key, one in self._pending.items()}
        return tuple(
            ForgetProgress(
                request_id=key,
                requested_at_ns=one.requested_at_ns,
                state="excluded" if key in self._erasing else "deriving",
                deriving=("remains in the file",) if key in self.issued else self.awaiting,
                facts=one.facts_forgotten,
            )
            for key, one in receipts.items()
        )

    def leave_out_pending(self) -> None:
        """Let the facts of pending requests that are still in the ledger count as absent.  For a
        ledger that cannot be written; elsewhere they are erased.  Cost: one projection per fact."""
        chosen = (self._pending[key].receipt.selector for key in self._erasing)
        ids = sorted({key for selector in chosen for key in self._ledger.select(selector)})
        if ids:
            self.knowledge.remove(self._learner.facts(tuple(ids)), forgotten=True)

    def _restore_pending(self) -> None:
        """Go on with the requests that were pending when the ledger was last used."""
        found = self._ledger.pending_forgets()
        self._pending, self.issued = {one.receipt.request_id: one for one in found}, {}
        self._known_digest = KnownDigest()
        self._erasing = [one.receipt.request_id for one in found if not one.excluded]
        self._queue = [key for one in found if not one.excluded for key in one.unlabelled]
        self._renames = [pair for one in found for pair in one.renames]
        self._geometry_due = any(one.refits for one in found)
        self._geometry_failed = False
        self._derived, self._gone = None, set()
        for one in found:
            self._drop_for(one)

    def _drop_for(self, pending: PendingForget) -> None:
        """Let nothing serve that the facts of a pending request may have shaped."""
        known = self.knowledge
        if not known.may_wait:
            return
        known.dropped.pending = True
        if pending.refits and pending.shaped:
            known.dropped.stale |= frozenset(pending.domains)
        if not pending.excluded:
            known.mask(self._ledger.touched(pending.receipt.selector))

    # --- requests -------------------------------------------------------------------------------

    def _forget(self, event: ForgetRequest) -> Iterator[Effect]:
        stored = self._ledger.receipt(event.request_id, event.selector)
        if stored is not None:
            yield self._repeated(event, stored)
            return
        if event.request_id in self._pending:
            yield self._progress(event)
            return
        obstacle = guard_obstacle(event, self._ledger)
        if obstacle:
            yield reject(event.request_id, obstacle, "nothing was forgotten; use exact duplicates")
            return
        series = self.series.forget(event.selector)
        if not self._deferring:
            self.series.finish_replay()
        waits = self.knowledge.may_wait or self.forgetting or bool(self.series.replaying)
        ids = frozenset(self._ledger.select(event.selector, SLICE_FACTS + 1 if waits else 0))
        buffered = frozenset(self._session.select_unlabelled(event.selector))
        kept = frozenset(self._ledger.kept_facts(event.selector))
        matched = buffered | kept | frozenset(self._ledger.select_candidates(event.selector))
        streams = streams_of(ids, buffered, self._ledger, self._session)
        recalibrated = self._levels.matching(event.selector, streams)
        traced = series or recalibrated or self._openings.holds(event.selector)
        if event.selector.empty or not (ids | matched or traced):
            yield reject(
                event.request_id,
                "forgetting: nothing matches the selection",
                nothing_matches(self._ledger),
            )
            return
        # A redelivered observation may match while the fact of that id does not: the fact stays.
        facts = self._ledger.facts_among(matched)
        found = Matched(
            ids=ids,
            unlabelled=matched - ids - facts,
            released=kept & facts - ids,
            streams=streams,
            recalibrated=recalibrated,
            series=series,
            ranges=self.series.erased_ranges if event.duplicates != "off" else (),
            contents=contents_of(matched - ids - facts, self._session),
        )
        self._prefetched.clear()
        self._session.forget(matched | ids)
        self._openings.forget()
        leaving = self._ledger.touched(event.selector)
        named = subject_renames(event.selector, leaving, self._ledger)
        if waits or named:
            yield from self._accept(event, found, leaving, named)
        else:
            yield from self._forget_now(event, found, leaving)

    def _forget_now(
        self, event: ForgetRequest, found: Matched, leaving: Mapping[Concept, int]
    ) -> Iterator[Effect]:
        """Carry out a request at once, with all derivations and the receipt."""
        before = self.digest()
        facts = self._learner.facts(tuple(sorted(found.ids)))
        held = self._ledger.geometry()
        stays = held is None or self._geometries.stays(held, self._ledger, found.ids)
        self.knowledge.remove(facts, forgotten=True)
        refits = event.refit_geometry and bool(facts) and not stays
        geometry = self._refit_geometry(found.ids) if refits else None
        levels = self._levels.forget(event.selector, found.streams, self.knowledge)
        erased = found.ids | found.unlabelled
        outcomes = self._growth.outcomes(erased, self.knowledge, self._ledger)
        ended = tuple(self._growth.forget(erased, self.knowledge, self._ledger))
        more = (("adaptors",) if outcomes else ()) + (("recalibration",) if levels else ())
        more = more if geometry is None else ("geometry", *more)
        frozen = geometry is None and not stays
        rebuilt = Rebuilt(before, self.digest(), more, frozen, outcomes)
        receipt = write_receipt(event, leaving, rebuilt, self._ledger)
        at_ns = event.requested_at_ns
        subject, domains = event.selector.subject or "", {domain for domain, _ in leaving}
        receipt = replace(
            receipt,
            series=found.series,
            evictions=add_evictions((), self._ledger.evicted_by(event.selector), subject),
            placed=placed_domains(domains, self._ledger, without=found.ids),
            excluded_at_ns=at_ns,
            completed_at_ns=at_ns,
            devices=self._ledger.device_orders(event.request_id, found.ids),
        )
        # In this order, a crash in between leaves a request to repeat, never a wrong receipt.
        if geometry is not None:
            yield StoreGeometry(geometry)
        yield from levels
        yield from found.release()
        yield EraseFacts(tuple(sorted(erased)), receipt, found.contents, found.ranges)
        yield from ended
        yield Publish(receipt)

    def _accept(
        self,
        event: ForgetRequest,
        found: Matched,
        leaving: Mapping[Concept, int],
        named: tuple[str, ...],
    ) -> Iterator[Effect]:
        """Record a request and exclude its facts; the derivations and the receipt follow.  named:
        domains that get another name."""
        whole = len(found.ids) <= SLICE_FACTS
        names = self._session.unused_domain_names(self.knowledge, len(named))
        renames = dict(zip(named, names, strict=True))
        held = self._ledger.geometry()
        shaped = bool(found.ids) and held is not None
        if held is not None and whole:
            shaped = self._geometries.shaped_by(held, found.ids)
        known = None if self._deriving or self.erasing else self._known_digest
        before = known.get(self.knowledge, self._ledger, self._digest_now) if known else ""
        rebuilt = Rebuilt(before, "", (), frozen=shaped and not event.refit_geometry)
        receipt = write_receipt(event, leaving, rebuilt, self._ledger, renames)
        pending = PendingForget(
            receipt=replace(receipt, series=found.series),
            domains=tuple(sorted({domain for domain, _ in leaving})),
            unlabelled=tuple(sorted(found.unlabelled)),
            refits=event.refit_geometry and bool(found.ids) and held is not None,
            shaped=shaped,
            renames=tuple(renames.items()),
            remove_files=event.remove_files,
        )
        self._renames.extend(pending.renames)
        self._pending[event.request_id] = pending
        self._queue.extend(pending.unlabelled)
        self._erasing.append(event.request_id)
        if not whole:
            yield from self._growth.abandon(leaving.keys())
            if self.knowledge.may_wait:
                self.knowledge.mask(leaving)
        self._note_geometry(pending, found.ids if whole else None)
        yield from found.release()
        ids = tuple(sorted(found.ids))[:SLICE_FACTS]
        yield from self._exclude(pending, ids, found, event.requested_at_ns)
        if not (self.erasing or self.awaiting or self.knowledge.may_wait):
            yield from self._complete(event.requested_at_ns)
        else:
            yield self._progress(event)

    def _note_geometry(self, pending: PendingForget, ids: AbstractSet[str] | None) -> None:
        """Note what a request means for the geometry.  ids: of all its facts, None if there are too
        many to list."""
        if pending.refits and not (ids is not None and self.knowledge.sampled.stays(ids)):
            self._geometry_due = True
            if pending.shaped:
                self.knowledge.dropped.stale |= frozenset(pending.domains)
        if ids is None or self._gone is None:
            self._gone = None
        else:
            self._gone |= ids
        self._keep_derived()

    def _keep_derived(self) -> None:
        """Drop a geometry that was fitted to facts that are forgotten since."""
        one = self._derived
        if one is not None and (self._gone is None or not one.sample.isdisjoint(self._gone)):
            self._derived = None

    def _exclude(
        self,
        pending: PendingForget,
        ids: tuple[str, ...],
        found: "frozenset[str] | Matched",
        at_ns: int,
    ) -> Iterator[Effect]:
        """Erase a slice of a request's facts.  found: what a new request matches, to be recorded
        with them; else the streams of the slice."""
        new = isinstance(found, Matched)
        streams = found.streams if isinstance(found, Matched) else found
        contents = found.contents if isinstance(found, Matched) else ()
        ranges = found.ranges if isinstance(found, Matched) else ()
        known, selector = self.knowledge, pending.receipt.selector
        facts = self._learner.facts(ids)
        room = SLICE_FACTS - len(ids)
        rest, self._queue = self._queue[:room], self._queue[room:]
        known.remove(facts, forgotten=True)
        known.dropped.pending = True
        levels = self._levels.forget(selector, streams, known)
        erased = frozenset((*ids, *rest))
        outcomes = self._growth.outcomes(erased, known, self._ledger)
        ended = tuple(self._growth.forget(erased, known, self._ledger))
        rebuilt = dict.fromkeys(pending.receipt.rebuilt)
        rebuilt |= dict.fromkeys(("adaptors",) if outcomes else ())
        rebuilt |= dict.fromkeys(("recalibration",) if levels else ())
        evicted = self._ledger.evicted_by(Selector(ids=frozenset(ids)))
        receipt = replace(
            pending.receipt,
            rebuilt=tuple(rebuilt),
            adaptors=(*pending.receipt.adaptors, *outcomes),
            evictions=add_evictions(pending.receipt.evictions, evicted, selector.subject or ""),
        )
        if len(ids) + len(rest) < SLICE_FACTS:
            receipt = replace(receipt, excluded_at_ns=max(1, at_ns))
            self._erasing.remove(receipt.request_id)
            if known.dropped.masking and not self._erasing:
                known.unmask()
        changed = new or receipt != pending.receipt
        pending = replace(pending, receipt=receipt)
        self._pending[receipt.request_id] = pending
        self._session.knowledge_changed()
        yield from levels
        yield ExcludeFacts(
            ids=tuple(sorted(erased)),
            request=pending if changed else None,
            duplicates=receipt.duplicates,
            contents=contents,
            ranges=ranges,
        )
        yield from ended

    # --- completion -----------------------------------------------------------------------------

    def _advance_forget(self, event: AdvanceForget) -> Iterator[Effect]:
        if not self._deferring:
            self.series.finish_replay()
        if self.issued and not self._erasing:
            yield from self._publish_issued()
            return
        if not self._pending:
            return
        if self._erasing:
            pending = self._pending[self._erasing[0]]
            ids = self._ledger.select(pending.receipt.selector, SLICE_FACTS)
            self._session.forget(frozenset(ids))
            streams = streams_of(ids, (), self._ledger, self._session)
            yield from self._exclude(pending, ids, streams, event.at_ns)
            return
        if self._renames:
            yield from self._rename_next()
            return
        if self._geometry_due:
            yield from self._install_geometry()
        if self.awaiting:
            return
        if self._known_digest.awaits(self.knowledge, self._ledger):
            return
        yield from self._complete(event.at_ns)

    def _rename_next(self) -> Iterator[Effect]:
        """Move a slice of facts out of a domain that names a forgotten subject, or end its name."""
        old, new = self._renames[0]
        ids = self._ledger.select(Selector(domain=old), SLICE_FACTS)
        if ids:
            facts = moved(self._learner.facts(ids), new)
            effects = self._learner.learn("forget", facts, self.knowledge, placed=frozenset(ids))
        else:
            self._renames.pop(0)
            self._session.rename(old, new)
            geometry = self.knowledge.geometry.fingerprint
            orphans = self._growth.remove_orphans(self.knowledge, self._ledger)
            levels = self._levels.rename(old, new, geometry)
            effects = chain(levels, (RenameDomain(old, new),), orphans)
        # Reports would name it.
        yield from (one for one in effects if not isinstance(one, Publish))

    def _install_geometry(self) -> Iterator[Effect]:
        """Let a geometry serve that was fitted without the forgotten facts, with all that follows
        from it."""
        if self._geometry_failed or not self.knowledge.may_wait:
            held = self._ledger.geometry()
            self._end_geometry()
            if not self._geometries.stays(held, self._ledger, frozenset()):
                yield StoreGeometry(self._refit_geometry(frozenset()))
                yield from self._levels.geometry_changed(self.knowledge)
                self._note_rebuilt("geometry")
            return
        derived = self._derived
        current = derived is not None and derived.contents == self._ledger.contents()
        if derived is None or not (current or derived.made is None):
            return
        self._end_geometry()
        if derived.made is not None:
            self.knowledge = derived.made.replacing(self.knowledge, self._ledger)
            self._prefetched.clear()
            self._session.clear_windows()
            yield StoreGeometry(derived.packed)
            yield from self._levels.geometry_changed(self.knowledge)
            self._note_rebuilt("geometry")
        if current:
            self.knowledge.sampled.note(derived.scope)

    def _end_geometry(self) -> None:
        self._geometry_due = self._geometry_failed = False
        self._derived, self._gone = None, set()
        self.knowledge.dropped.stale = frozenset()

    def _note_rebuilt(self, part: str) -> None:
        for key, one in self._pending.items():
            rebuilt = dict.fromkeys((*one.receipt.rebuilt, part)) if one.refits else {}
            if rebuilt:
                receipt = replace(one.receipt, rebuilt=tuple(rebuilt))
                self._pending[key] = replace(one, receipt=receipt)

    def _complete(self, at_ns: int) -> Iterator[Effect]:
        """Store the receipts of all pending requests.  Where decisions go on meanwhile, they are
        published with the next `AdvanceForget`."""
        after = self._known_digest.get(self.knowledge, self._ledger, self._digest_now)
        pending, self._pending = tuple(self._pending.values()), {}
        self.knowledge.dropped.pending = False
        yield from self._levels.rebase(self.knowledge)
        for one in pending:
            receipt = complete_receipt(one, self._ledger, after, at_ns)
            self.issued[receipt.request_id] = receipt
            yield CompleteForget(receipt)
        if not self.knowledge.may_wait:
            yield from self._publish_issued()

    def _digest_now(self) -> str:
        # Thresholds are those that serve where nothing is waited for: windows stay as they are.
        known = self.knowledge
        return known.digest(self._model.card.fingerprint) if known.may_wait else self.digest()

    def _publish_issued(self) -> Iterator[Effect]:
        issued, self.issued = tuple(self.issued.values()), {}
        yield from map(Publish, issued)

    def _progress(self, event: ForgetRequest) -> Publish:
        """Answer a request that is accepted and not complete."""
        pending = self._pending[event.request_id]
        if pending.receipt.selector != event.selector:
            return other_selection(event)
        return still_pending(pending.receipt, ", ".join(self.awaiting) or "facts to be erased")

    def _repeated(self, event: ForgetRequest, stored: Receipt) -> Publish:
        """Answer a request that is complete with its receipt, if that may be published."""
        if stored.selector != event.selector:
            return other_selection(event)
        if event.request_id in self.issued:
            return still_pending(stored, "remains in the file")
        return Publish(stored)

    # --- background -----------------------------------------------------------------------------

    def next_refit(self) -> Refit | None:
        """Return a part of the knowledge to fit in the background; see `Knowledge.next_refit`."""
        if self.erasing or self._renames:
            return None
        if self._geometry_due and self._takes_geometry() and not self.knowledge.waits_for_answers:
            self._gone, base = set(), self._derived
            self._derived = None
            card = self._model.card.fingerprint
            return GeometryRefit(fitter=self._geometries, card=card, base=base)
        found, card = self.knowledge.next_refit(), self._model.card.fingerprint
        return found or self._known_digest.refit(self.knowledge, self._ledger, card)

    def _takes_geometry(self) -> bool:
        """Return whether the geometry is to be fitted, or brought up to date with new facts."""
        one = self._derived
        return self.knowledge.may_wait and (
            one is None or (one.made is not None and one.contents != self._ledger.contents())
        )

    def _take_geometry(self, refit: GeometryRefit, *, solved: bool) -> None:
        """Take in a geometry that was fitted in the background; `AdvanceForget` installs it."""
        if not solved:
            # Whatever failed there raises its error here, where the home can handle it.
            self._geometry_failed = True
            return
        self._derived = refit
        self._keep_derived()

    def prepare(self, refit: Refit) -> bool:
        """Let a refit take what it needs once its facts are read; False if it has to be dropped."""
        whole = isinstance(refit, DigestRefit | GeometryRefit)
        return whole or self.knowledge.prepare(refit)

    # --- geometry -------------------------------------------------------------------------------

    def _fit_geometry(self, _event: FitGeometry) -> Iterator[Effect]:
        if not self.knowledge.own.keys:
            yield reject(
                "fit_geometry",
                "fitting the geometry: the ledger has no facts",
                "learn something first",
            )
            return
        if not self._geometries.stays(self._ledger.geometry(), self._ledger, frozenset()):
            yield StoreGeometry(self._refit_geometry(frozenset()))
            yield from self._levels.geometry_changed(self.knowledge)
        facts = sum(self.knowledge.own.counts.values())
        detail = conflicting_contributions(self.knowledge.contributing, self._ledger)
        yield Publish(Acknowledgement("fit_geometry", facts, detail))

    def _refit_geometry(self, without: AbstractSet[str]) -> Mapping[str, NDArray[np.generic]]:
        """Fit the geometry to all facts but `without`, derive knowledge from it, and return its
        arrays.

        Stream windows are dropped: they were projected with the old geometry.
        """
        card = self._model.card
        if self.knowledge.own.keys:
            geometry, packed = self._geometries.fit(self._ledger, without)
        else:
            parts = tap_spans(card.slices)
            geometry = hdc.identity_geometry(card.width, parts, self.config.seed)
            packed = geometry.pack()
        self.knowledge = derive_knowledge(self._ledger, geometry, without, card.fingerprint)
        self.knowledge.deferring = self._deferring
        self._session.clear_windows()
        return packed

    @abstractmethod
    def digest(self) -> str:
        """See `Runtime`."""


def tap_spans(slices: tuple[slice, ...]) -> tuple[tuple[int, int], ...]:
    """Return a card's tap slices as (start, stop) pairs, as `hdc` takes them."""
    return tuple((part.start, part.stop) for part in slices)
