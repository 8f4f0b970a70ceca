"""The runtime: events in, effects out.  No clock, file, thread or randomness.

The caller applies the effects of one event, in order, before it passes the next; the ledger that
the runtime reads then contains them.  If an effect fails, discard the runtime and create a new one:
its knowledge is derived from the ledger.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import hdc

from . import limits
from .config import Config
from .domain_merges import DomainMerge, may_merge, moved
from .events import (
    Acknowledgement,
    ConfirmAlarm,
    DriftAlarm,
    Effect,
    Enrol,
    EraseFacts,
    Event,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    Label,
    Observation,
    Publish,
    Rejected,
    Relabel,
    Rollback,
    SetOutput,
    StoreContribution,
    StoreDomainMerge,
    StoreFacts,
    StoreGeometry,
    StoreLabelCandidates,
    StoreRecalibration,
    Tick,
    UndoMerge,
)
from .facts import Fact, Ledger, Receipt, Selector, admit
from .forecasting import SeriesTracker, State
from .knowledge import (
    Contribution,
    GeometryFitter,
    Knowledge,
    Refit,
    ThresholdsRefit,
    conflicting_contributions,
    derive_knowledge,
    review_contribution,
)
from .receipts import Rebuilt, write_receipt
from .reconfigurator import Reconfigurator
from .runtime_views import RuntimeViews
from .session import (
    Assessor,
    BatchPrefetch,
    BufferedObservation,
    FeatureModel,
    SessionState,
    StreamLevels,
    confirmed_alarm,
)
from .validation import find_invalid


class Runtime(RuntimeViews):
    """Learns, detects, routes, answers and forgets, one event at a time.

    model: the frozen encoder.  ledger: read only.  weights: of the network that forecasts series;
    random if None.  deferring: refits are computed in the background, see `Knowledge`; call
    `next_refit` regularly.  series: the state of all series.  knowledge: derived from the ledger.
    Creation costs one projection per fact in the ledger.
    """

    def __init__(
        self,
        config: Config,
        model: FeatureModel,
        ledger: Ledger,
        weights: State | None = None,
        *,
        deferring: bool = False,
    ) -> None:
        self.config = config
        self._deferring = deferring
        self._alarm_outputs = dict(config.alarm_outputs)
        self.series = SeriesTracker(config, weights)
        self._model = model
        self._width = model.card.width
        self._ledger = ledger
        self._session = SessionState(config)
        self._refits_accepted = 0
        self._levels = StreamLevels(config)
        self._assessor = Assessor(config, self._session, self._levels)
        self._prefetched = BatchPrefetch(model, ledger, self._assessor)
        spans = tap_spans(model.card.slices)
        self._growth = Reconfigurator(config, spans)
        self._geometries = GeometryFitter(spans, config.seed, model.card.quantiser)
        self.knowledge = self._derive()
        self._levels.restore(ledger.recalibrations(), self.knowledge.geometry.fingerprint)
        self._handlers: dict[type, Callable[[Any], Iterator[Effect]]] = {
            Observation: self._observe,
            Label: self._label,
            Enrol: self._enrol,
            Relabel: self._relabel,
            UndoMerge: self._undo_merge,
            ForgetRequest: self._forget,
            FitGeometry: self._fit_geometry,
            GrowRequest: self._grow,
            GrowthFinished: self._growth_finished,
            Rollback: self._rollback,
            Contribution: self._contribution,
            ConfirmAlarm: self._confirm,
            Tick: self._tick,
        }

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Handle one event; invalid input changes nothing and yields Publish(Rejected)."""
        if not isinstance(event, Observation):  # an observation changes no facts
            self.knowledge.ledger_applied()
        handler = self._handlers.get(type(event))
        wrong = find_invalid(event, self._width) if handler else "not an event"
        if wrong or handler is None:
            hint = "nothing was changed; correct it and send it again"
            return (_reject(_subject_of(event), f"reading an event: {wrong}", hint),)
        return tuple(handler(event))

    def prefetch(self, events: Sequence[Observation]) -> None:
        """Encode and assess the next observations in one pass.  `handle` then takes less time for
        each, with the same result.

        The next call drops results that were not used.
        """
        self._prefetched.prefetch(events, self.knowledge)

    def next_refit(self) -> Refit | None:
        """Return a part of the knowledge to fit in the background; see `Knowledge.next_refit`."""
        return self.knowledge.next_refit()

    def accept(self, refit: Refit, *, solved: bool) -> None:
        """Take in a part that was fitted in the background; see `Knowledge.accept`.  Thresholds
        change the verdicts on the windows."""
        self._prefetched.clear()
        self._refits_accepted += 1
        self.knowledge.accept(refit, solved=solved)
        if isinstance(refit, ThresholdsRefit):
            self._session.knowledge_changed()

    def digest(self) -> str:
        """Return the hex digest of card, geometry, sums and thresholds; equal for equal sets of
        facts.  Thresholds that could wait are computed for it, and serve from then on."""
        if self.knowledge.deferring:
            self._prefetched.clear()
            self._session.knowledge_changed()
        return self.knowledge.digest(self._model.card.fingerprint)

    def contribute(self, device: str, revision: int) -> Contribution:
        """Return the contribution of this device's own facts; call it with all effects applied."""
        return self.knowledge.contribute(device, self._model.card.fingerprint, revision)

    def holds_traces(self, selector: Selector) -> bool:
        """Return whether label candidates match a selector, or recalibrations may stem from
        observations that it matches."""
        streams = self._streams_of(self._ledger.select(selector), ())
        found = self._ledger.select_candidates(selector)
        found = found or self._levels.matching(selector, streams)
        return bool(found)

    # --- observations ---------------------------------------------------------------------------

    def _observe(self, event: Observation) -> Iterator[Effect]:
        if event.kind == "series":
            yield from map(Publish, self.series.process(event))
            return
        features, ahead = self._prefetched.features(event)
        if isinstance(features, Rejected):
            yield Publish(features)
            return
        for found in self._assessor.assess(event, features, self.knowledge, ahead):
            if isinstance(found, StoreLabelCandidates | StoreRecalibration):
                yield found
            elif isinstance(found, DriftAlarm):
                yield from self._publish_alarm(found)
            else:
                yield Publish(found)
        for source, target in self._session.take_merges():
            yield from self._merge(event, source, target)

    def _publish_alarm(self, alarm: DriftAlarm) -> Iterator[Effect]:
        """Publish an alarm that is raised or ends, and set its device's output."""
        yield Publish(alarm)
        channel = self._alarm_outputs.get(alarm.stream)
        if channel is not None:
            yield SetOutput(alarm.stream, channel, int(alarm.raised))

    def _merge(self, event: Observation, source: str, target: str) -> Iterator[Effect]:
        """Merge a domain that this runtime opened into another, with its facts."""
        ids = self._ledger.select(Selector(domain=source))
        recorded = self._ledger.domain_merges()
        if len(ids) > limits.MERGED_FACTS_MAX or not may_merge(source, target, recorded):
            return
        self._session.merge(source, target)
        named = self._ledger.select_candidates(Selector(domain=source))
        waiting = [one for one in map(self._ledger.candidate, named) if one is not None]
        if waiting:
            yield StoreLabelCandidates(tuple(replace(one, domain=target) for one in waiting))
        if ids:
            merge = DomainMerge(
                id=event.key, source=source, target=target, at_ns=event.captured_at_ns, fact_ids=ids
            )
            yield StoreDomainMerge(merge)
            yield from self._learn(event.key, moved(self._facts(ids), target), str(merge))
            yield from self._growth.remove_orphans(self.knowledge, self._ledger)

    def _undo_merge(self, event: UndoMerge) -> Iterator[Effect]:
        found = [one for one in self._ledger.domain_merges() if one.id == event.merge_id]
        if not found or found[0].undone:
            yield _reject(
                event.merge_id,
                "undoing a merge of domains: there is none of this id that still stands",
                "list the merges with `auricle inspect`",
            )
            return
        merge = found[0]
        held = (self._ledger.get(fact_id) for fact_id in merge.fact_ids)
        facts = tuple(fact for fact in held if fact is not None and fact.domain == merge.target)
        yield StoreDomainMerge(replace(merge, undone=True))
        yield from self._learn(event.merge_id, moved(facts, merge.source))

    def _confirm(self, event: ConfirmAlarm) -> Iterator[Effect]:
        asked = self._levels.question(event.alarm_id, event.stream)
        if asked is None:
            yield _reject(
                event.alarm_id,
                "confirming an alarm: no such alarm waits for an answer",
                "list the alarms that do with `auricle status`",
            )
            return
        level = self._levels.get(event.stream)
        if not event.harmless:
            level.close_question()
            yield Publish(Acknowledgement(event.alarm_id, 0, "the alarm stays"))
            return
        buffer = self._session.label_buffer
        # People answer late: the alarm lasts, so the newest observations stand for expired ones.
        alarm = confirmed_alarm(asked, event.at_ns, buffer, self.knowledge) or confirmed_alarm(
            level.newest(asked), event.at_ns, buffer, self.knowledge
        )
        if alarm is None:
            yield _reject(
                event.alarm_id,
                "confirming an alarm: its observations have expired",
                "wait for the next observation of the stream, then answer again",
            )
            return
        level.confirm(alarm)
        ended = self._session.end_alarm(event.stream)
        yield StoreRecalibration(event.stream, level.record(self.knowledge.geometry.fingerprint))
        yield Publish(Acknowledgement(event.alarm_id, 1, "the level was re-based"))
        if ended:
            last = alarm.observation_ids[-1]
            yield from self._publish_alarm(
                DriftAlarm(
                    stream=event.stream,
                    observation_id=last,
                    captured_at_ns=alarm.until_ns - 1,
                    raised=False,
                    window_p=1.0,
                    domain=alarm.domain,
                )
            )

    # --- learning -------------------------------------------------------------------------------

    def _label(self, event: Label) -> Iterator[Effect]:
        known = self._ledger.get(event.observation_id)
        buffered = self._unlabelled(event.observation_id)
        if self._ledger.was_forgotten(event.observation_id):
            yield _reject(
                event.observation_id,
                "labelling: this observation was forgotten",
                "send a new observation to learn it again",
            )
        elif known is not None:
            changed = replace(known, label=event.label, domain=event.domain or known.domain)
            facts = () if changed == known else (replace(changed, revision=known.revision + 1),)
            yield from self._learn(event.observation_id, facts)
        elif buffered is None:
            yield _reject(
                event.observation_id,
                "labelling: the observation has expired",
                f"label one of the last {limits.WINDOW_OBSERVATIONS_MAX} observations, or a label"
                " candidate",
            )
        else:
            fact = Fact(
                id=event.observation_id,
                stream=buffered.stream,
                domain=event.domain or self._filed_domain(event.observation_id, buffered),
                label=event.label,
                captured_at_ns=buffered.captured_at_ns,
                features=buffered.features,
                subject=buffered.subject,
                recording=buffered.recording,
            )
            yield from self._learn(event.observation_id, (fact,))

    def _filed_domain(self, observation_id: str, one: BufferedObservation) -> str:
        """Return the domain of a label that names none."""
        buffer = self._session.label_buffer
        return (
            one.domain
            if buffer.get(observation_id) is None
            else buffer.filed_domain(observation_id)
        )

    def _enrol(self, event: Enrol) -> Iterator[Effect]:
        yield from self._learn("enrol", event.facts)

    def _relabel(self, event: Relabel) -> Iterator[Effect]:
        before = self._facts(self._ledger.select(event.selector))
        after = tuple(
            replace(fact, label=event.label or fact.label, domain=event.domain or fact.domain)
            for fact in before
        )
        renamed = self._rename(event)
        if not before and not renamed:
            yield _reject(
                "relabel",
                f"relabelling: no fact matches {_brief(event.selector)}",
                "list the known domains with `auricle inspect`",
            )
            return
        changed = tuple(
            replace(new, revision=new.revision + 1)
            for old, new in zip(before, after, strict=True)
            if new != old
        )
        yield from self._learn("relabel", changed)
        old = event.selector.domain
        if old is not None and event.domain and event.selector == Selector(domain=old):
            geometry = self.knowledge.geometry.fingerprint
            yield from self._levels.rename(old, event.domain, geometry)
        yield from self._growth.remove_orphans(self.knowledge, self._ledger)

    def _rename(self, event: Relabel) -> bool:
        """Rename in the session too if a whole domain is renamed, or merged into another."""
        old = event.selector.domain
        if old is None or not event.domain or event.selector != Selector(domain=old):
            return False
        return self._session.rename(old, event.domain)

    def _learn(
        self, subject_id: str, facts: tuple[Fact, ...], detail: str = ""
    ) -> Iterator[Effect]:
        admission = admit(self._ledger, facts, self.config.facts_per_concept)
        leaving = (*admission.evicted, *admission.refused)
        if admission.entering or leaving:
            self.knowledge.remove((*admission.replaced, *admission.evicted))
            self.knowledge.add(admission.entering)
            self._session.record_facts(admission.entering)
            yield StoreFacts(admission.entering, tuple(fact.id for fact in leaving))
        said = ", ".join(part for part in (detail, admission.detail) if part)
        yield Publish(Acknowledgement(subject_id, len(admission.entering), said))

    # --- other devices --------------------------------------------------------------------------

    def _contribution(self, event: Contribution) -> Iterator[Effect]:
        held, card = self._ledger.contributions(), self._model.card.fingerprint
        geometry, columns = self.knowledge.geometry, self._ledger.columns()
        review = review_contribution(event, held, geometry, card, columns)
        if review.stored is not None:
            self.knowledge.set_contributions({**held, event.device: review.stored}, card)
            self._session.knowledge_changed()
            yield StoreContribution(review.stored)
        if review.rejection:
            reason = f"adopting sums of {event.device}: {review.rejection}"
            yield _reject(event.device, reason, review.hint)
        else:
            samples = event.samples if review.stored is not None else 0
            yield Publish(Acknowledgement(event.device, samples, review.detail))

    # --- growth ---------------------------------------------------------------------------------

    def _grow(self, event: GrowRequest) -> Iterator[Effect]:
        yield from self._growth.request(event, self.knowledge, self._ledger)

    def _growth_finished(self, event: GrowthFinished) -> Iterator[Effect]:
        yield from self._growth.finish(event, self.knowledge, self._ledger)

    def _rollback(self, event: Rollback) -> Iterator[Effect]:
        yield from self._growth.rollback(event, self.knowledge, self._ledger)

    def _tick(self, event: Tick) -> Iterator[Effect]:
        yield from self._growth.remove_orphans(self.knowledge, self._ledger)
        if event.grows:
            yield from self._growth.tick(self.knowledge, self._ledger)

    # --- geometry and forgetting ----------------------------------------------------------------

    def _fit_geometry(self, _event: FitGeometry) -> Iterator[Effect]:
        if not self.knowledge.own.keys:
            yield _reject(
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
            geometry = hdc.identity_geometry(self._width, parts, self.config.seed)
            packed = geometry.pack()
        self.knowledge = derive_knowledge(self._ledger, geometry, without, card.fingerprint)
        self.knowledge.deferring = self._deferring
        self._session.clear_windows()
        return packed

    def _forget(self, event: ForgetRequest) -> Iterator[Effect]:
        stored = self._ledger.receipt(event.request_id, event.selector)
        if stored is not None:
            yield _repeated(event, stored)
            return
        ids = frozenset(self._ledger.select(event.selector))
        series_dropped = self.series.forget(event.selector)
        buffered = frozenset(self._session.select_unlabelled(event.selector))
        matched = buffered | frozenset(self._ledger.select_candidates(event.selector))
        streams = self._streams_of(ids, buffered)
        recalibrated = self._levels.matching(event.selector, streams)
        # A redelivered observation may match while the fact of that id does not: the fact stays.
        unlabelled = frozenset(key for key in matched - ids if self._ledger.get(key) is None)
        if event.selector.empty or not (ids | matched or series_dropped or recalibrated):
            yield _reject(
                event.request_id,
                f"forgetting: nothing matches {_brief(event.selector)}",
                "name at least one of id, subject, stream, recording, domain, label, time range",
            )
            return
        before = self.digest()
        facts = self._facts(tuple(sorted(ids)))
        held = self._ledger.geometry()
        stays = held is None or self._geometries.stays(held, self._ledger, ids)
        self.knowledge.remove(facts, forgotten=True)
        refits = event.refit_geometry and bool(facts) and not stays
        geometry = self._refit_geometry(ids) if refits else None
        self._session.forget(matched | ids)
        levels = self._levels.forget(event.selector, streams, self.knowledge)
        ended = tuple(self._growth.forget(ids, self.knowledge, self._ledger))
        more = (("adaptors",) if ended else ()) + (("recalibration",) if levels else ())
        more = more if geometry is None else ("geometry", *more)
        frozen = geometry is None and not stays
        rebuilt = Rebuilt(before, self.digest(), more, frozen)
        receipt = write_receipt(event, facts, rebuilt, self._ledger)
        # In this order, a crash in between leaves a request to repeat, never a wrong receipt.
        if geometry is not None:
            yield StoreGeometry(geometry)
        yield from levels
        yield EraseFacts(tuple(sorted(ids | unlabelled)), receipt)
        yield from ended
        yield Publish(receipt)

    def _streams_of(self, ids: Iterable[str], buffered: Iterable[str]) -> frozenset[str]:
        """Return the streams of facts and of buffered observations."""
        facts = (self._ledger.get(key) for key in ids)
        rows = (self._session.label_buffer.get(key) for key in buffered)
        return frozenset(one.stream for one in (*facts, *rows) if one is not None)

    def _facts(self, ids: tuple[str, ...]) -> tuple[Fact, ...]:
        return tuple(cast("Fact", self._ledger.get(fact_id)) for fact_id in ids)

    def _derive(self) -> Knowledge:
        packed = self._ledger.geometry()
        card = self._model.card
        geometry = (
            hdc.identity_geometry(self._width, tap_spans(card.slices), self.config.seed)
            if packed is None
            else hdc.Geometry.unpack(dict(packed))
        )
        knowledge = derive_knowledge(self._ledger, geometry, card=card.fingerprint)
        knowledge.deferring = self._deferring
        return knowledge


def tap_spans(slices: tuple[slice, ...]) -> tuple[tuple[int, int], ...]:
    """Return a card's tap slices as (start, stop) pairs, as `hdc` takes them."""
    return tuple((part.start, part.stop) for part in slices)


def _repeated(event: ForgetRequest, stored: Receipt) -> Publish:
    """Answer a request that was completed before with its receipt."""
    if stored.selector == event.selector:
        return Publish(stored)
    return _reject(
        event.request_id,
        "forgetting: this request id was used for another selection",
        "give each request an id of its own",
    )


def _reject(subject_id: str, reason: str, hint: str) -> Publish:
    return Publish(Rejected(subject_id, reason, hint))


def _brief(selector: Selector) -> str:
    """Return a selector as text, truncated to a length that can be sent: it may name many ids."""
    given = {name: value for name, value in asdict(selector).items() if value is not None}
    return str(given)[: limits.TEXT_CHARS_MAX]


def _subject_of(event: Event) -> str:
    """Return the id that an answer to an event refers to, truncated so that it can be sent."""
    names = ("key", "observation_id", "request_id")
    given = (str(getattr(event, name)) for name in names if hasattr(event, name))
    subject = next(given, type(event).__name__.lower())
    return subject[: limits.TEXT_CHARS_MAX]
