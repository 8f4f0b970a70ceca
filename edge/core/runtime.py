"""The runtime: events in, effects out.  No clock, no files, no threads, no randomness.

The shell applies the effects of one event, in order, before it hands over the next; the ledger the
runtime reads then shows them.  If an effect fails, throw the runtime away and open a new one: what
it knows is derived from the ledger.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

import hdc

from . import limits
from .config import Config
from .events import (
    Acknowledgement,
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
    Receipt,
    Rejected,
    Relabel,
    Rollback,
    SetOutput,
    StoreFacts,
    StoreGeometry,
    StoreLabelCandidates,
    Tick,
)
from .facts import Fact, Ledger, Selector
from .forecasting import SeriesTracker, State
from .knowledge import Contribution, admit, check_contribution, conflicting_contribution
from .knowledge import knowledge as derivation
from .reconfigurator import Reconfigurator
from .session import (
    Assessor,
    BatchPrefetch,
    BufferedObservation,
    Explanation,
    FeatureModel,
    explain,
)
from .validation import find_invalid

NOT_COVERED = (
    "backups and exports made before this request",
    "flash wear-levelling and file system journals below the database",
    "the calibration data of the encoder card's quantiser",
)
EVICTED_BEFORE = (
    "adaptors grown from facts that a full concept pushed out since (grow the domain again)"
)
FROZEN_GEOMETRY = (
    "the frozen geometry, surveyed from facts that may include these (a new survey covers it)"
)


class Runtime:
    """Learns, detects, routes, answers and forgets, one event at a time.

    config: settings.  model: the frozen encoder.  ledger: what is known, read only.  weights: of
    the network that forecasts series, random ones without; `series` is what follows these.
    Opening costs one projection per fact in the ledger.
    """

    def __init__(
        self, config: Config, model: FeatureModel, ledger: Ledger, weights: State | None = None
    ) -> None:
        self.config = config
        self._alarm_outputs = dict(config.alarm_outputs)
        self.series = SeriesTracker(config, weights)
        self._model = model
        self._width = model.card.width
        self._ledger = ledger
        self._watch = Assessor(config)
        self._foresight = BatchPrefetch(model, ledger, self._watch)
        self._growth = Reconfigurator(config, tap_spans(model.card.slices))
        self.knowledge = self._derive()
        self._handlers: dict[type, Callable[[Any], Iterator[Effect]]] = {
            Observation: self._observe,
            Label: self._label,
            Enrol: self._enrol,
            Relabel: self._relabel,
            ForgetRequest: self._forget,
            FitGeometry: self._survey,
            GrowRequest: self._grow,
            GrowthFinished: self._grown,
            Rollback: self._rollback,
            Contribution: self._contribution,
            Tick: self._tick,
        }

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Handle one event; bad input changes nothing and comes back as Publish(Rejected)."""
        self.knowledge.ledger_applied()
        wrong = (
            find_invalid(event, self._width) if type(event) in self._handlers else "not an event"
        )
        if wrong:
            hint = "nothing was changed; correct it and send it again"
            return (_reject(_subject_of(event), f"reading an event: {wrong}", hint),)
        return tuple(self._handlers[type(event)](event))

    def foresee(self, events: Sequence[Observation]) -> None:
        """Do for observations that come next, all at once, what does not depend on those before
        them.  `handle` then says of each what it would say without, in less time.

        What was done for observations that never come is dropped with the next call.
        """
        self._foresight.look(events, self.knowledge)

    def digest(self) -> str:
        """Hex digest of card, geometry, sums and thresholds: equal for equal sets of facts."""
        return self.knowledge.digest(self._model.card.fingerprint)

    def explain(self, observation_id: str) -> Explanation | None:
        """Explain an unlabelled observation to a person who labels it: guess, p-value, nearest
        known examples, and how its features differ from theirs.  None where it has expired.
        """
        seen = self._watch.seen(observation_id) or self._stored(observation_id)
        if seen is None:
            return None
        features = np.frombuffer(seen.features, np.uint8)
        made = explain(features, self.knowledge, self._ledger, self.config.false_alarm_rate)
        return replace(made, stream=seen.stream)

    def contribute(self, device: str, revision: int) -> Contribution:
        """Make the contribution of this device's own facts, once all effects are applied."""
        return self.knowledge.contribute(device, self._model.card.fingerprint, revision)

    # --- observations ---------------------------------------------------------------------------

    def _observe(self, event: Observation) -> Iterator[Effect]:
        if event.kind == "series":
            yield from map(Publish, self.series.process(event))
            return
        features, ahead = self._foresight.take(event)
        if isinstance(features, Rejected):
            yield Publish(features)
            return
        for said in self._watch.look(event, features, self.knowledge, ahead):
            yield said if isinstance(said, StoreLabelCandidates) else Publish(said)
            if isinstance(said, DriftAlarm) and said.stream in self._alarm_outputs:
                channel = self._alarm_outputs[said.stream]
                yield SetOutput(said.stream, channel, int(said.raised))

    # --- learning -------------------------------------------------------------------------------

    def _label(self, event: Label) -> Iterator[Effect]:
        known = self._ledger.get(event.observation_id)
        seen = self._watch.seen(event.observation_id) or self._stored(event.observation_id)
        if self._ledger.buried(event.observation_id):
            yield _reject(
                event.observation_id,
                "labelling: this observation was forgotten",
                "send a new observation if it may be learned again",
            )
        elif known is not None:
            changed = replace(known, label=event.label, domain=event.domain or known.domain)
            facts = () if changed == known else (replace(changed, revision=known.revision + 1),)
            yield from self._learn(event.observation_id, facts)
        elif seen is None:
            yield _reject(
                event.observation_id,
                "labelling: the observation has expired",
                f"label within {limits.WINDOW_OBSERVATIONS_MAX} observations, or what is kept as a"
                " candidate",
            )
        else:
            fact = Fact(
                event.observation_id,
                seen.stream,
                event.domain or seen.domain,
                event.label,
                seen.captured_at_ns,
                seen.features,
                seen.subject,
            )
            yield from self._learn(event.observation_id, (fact,))

    def _stored(self, observation_id: str) -> BufferedObservation | None:
        """Return an observation kept because it is worth a label, where it has left the window."""
        kept = self._ledger.candidates().get(observation_id)
        if kept is None:
            return None
        return BufferedObservation(
            kept.stream, kept.subject, kept.captured_at_ns, kept.domain, kept.features
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
                "see `auricle inspect` for what is known",
            )
            return
        changed = tuple(
            replace(new, revision=new.revision + 1)
            for old, new in zip(before, after, strict=True)
            if new != old
        )
        yield from self._learn("relabel", changed)
        yield from self._growth.clear(self.knowledge, self._ledger)

    def _rename(self, event: Relabel) -> bool:
        """Let late labels follow where a whole domain is renamed, or merged into another."""
        old = event.selector.domain
        if old is None or not event.domain or event.selector != Selector(domain=old):
            return False
        return self._watch.rename(old, event.domain)

    def _learn(self, subject_id: str, facts: tuple[Fact, ...]) -> Iterator[Effect]:
        admission = admit(self._ledger, facts, self.config.facts_per_concept)
        turnover = (*admission.evicted, *admission.refused)
        if admission.entering or turnover:
            self.knowledge.remove((*admission.replaced, *admission.evicted))
            self.knowledge.add(admission.entering)
            self._watch.learned(admission.entering)
            yield StoreFacts(admission.entering, tuple(fact.id for fact in turnover))
        yield Publish(Acknowledgement(subject_id, len(admission.entering), admission.detail))

    # --- other devices --------------------------------------------------------------------------

    def _contribution(self, event: Contribution) -> Iterator[Effect]:
        for effect in check_contribution(
            event, self.knowledge, self._ledger, self._model.card.fingerprint
        ):
            self._watch.changed()
            yield effect

    # --- growth ---------------------------------------------------------------------------------

    def _grow(self, event: GrowRequest) -> Iterator[Effect]:
        yield from self._growth.ask(event.domain, event.request_id, self.knowledge, self._ledger)

    def _grown(self, event: GrowthFinished) -> Iterator[Effect]:
        yield from self._growth.grown(event, self.knowledge, self._ledger)

    def _rollback(self, event: Rollback) -> Iterator[Effect]:
        yield from self._growth.rollback(event, self.knowledge, self._ledger)

    def _tick(self, event: Tick) -> Iterator[Effect]:
        yield from self._growth.clear(self.knowledge, self._ledger)
        if event.grows:
            yield from self._growth.tick(self.knowledge, self._ledger)

    # --- geometry and forgetting ----------------------------------------------------------------

    def _survey(self, _event: FitGeometry) -> Iterator[Effect]:
        if not self.knowledge.own.keys:
            yield _reject("survey", "surveying: the ledger has no facts", "learn something first")
            return
        geometry = self._settle(frozenset())
        yield StoreGeometry(geometry.pack())
        facts = sum(self.knowledge.own.counts.values())
        yield Publish(
            Acknowledgement("survey", facts, conflicting_contribution(self.knowledge, self._ledger))
        )

    def _settle(self, without: AbstractSet[str]) -> hdc.Geometry:
        """Derive everything again; what the streams hold was projected with the old geometry."""
        card = self._model.card
        parts = tap_spans(card.slices)
        geometry = (
            derivation.fit_geometry(self._ledger, parts, self.config.seed, without, card.quantiser)
            if self.knowledge.own.keys
            else hdc.identity_geometry(self._width, parts, self.config.seed)
        )
        self.knowledge = derivation.derive_knowledge(
            self._ledger, geometry, without, card.fingerprint
        )
        self._watch.clear_windows()
        return geometry

    def _forget(self, event: ForgetRequest) -> Iterator[Effect]:
        stored = self._ledger.receipt(event.request_id, event.selector)
        if stored is not None:
            yield _repeated(event, stored)
            return
        ids = frozenset(self._ledger.select(event.selector))
        followed = self.series.forget(event.selector)
        matched = frozenset(self._watch.waiting(event.selector)) | self._kept(event.selector)
        # A redelivered observation may match where the fact of that id does not: it keeps the fact.
        waiting = frozenset(key for key in matched - ids if self._ledger.get(key) is None)
        if event.selector.empty or not (ids | matched or followed):
            yield _reject(
                event.request_id,
                f"forgetting: nothing matches {_brief(event.selector)}",
                "name at least one of id, subject, stream, domain, label, time range",
            )
            return
        before = self.digest()
        facts = self._facts(tuple(sorted(ids)))
        self.knowledge.remove(facts)
        surveyed = self._ledger.geometry() is not None
        geometry = self._settle(ids) if event.resurvey and surveyed and facts else None
        self._watch.forget(matched | ids)
        ended = tuple(self._growth.forget(ids, self._ledger))
        receipt = self._receipt(event, facts, before, geometry, ended)
        # In this order a crash in between leaves a request to repeat, not a receipt that is wrong.
        if geometry is not None:
            yield StoreGeometry(geometry.pack())
        yield EraseFacts(tuple(sorted(ids | waiting)), receipt)
        yield from ended
        yield Publish(receipt)

    def _kept(self, selector: Selector) -> frozenset[str]:
        """Return the candidates that a request reaches; none has a label yet."""
        found = self._ledger.candidates().items()
        return frozenset(
            key
            for key, one in found
            if selector.matches(
                Fact(key, one.stream, one.domain, "", one.captured_at_ns, b"", one.subject)
            )
        )

    def _receipt(
        self,
        event: ForgetRequest,
        facts: tuple[Fact, ...],
        before: str,
        resurveyed: hdc.Geometry | None,
        ended: tuple[Effect, ...],
    ) -> Receipt:
        touched = sorted({f"{fact.domain}/{fact.label}" for fact in facts})
        rebuilt = ("sums", "thresholds", "heads") + (("geometry",) if resurveyed else ())
        rebuilt += ("adaptors",) if ended else ()
        frozen = () if resurveyed or self._ledger.geometry() is None else (FROZEN_GEOMETRY,)
        evictions = self._ledger.evictions()
        grown = (EVICTED_BEFORE,) if evictions and self._ledger.adaptors() else ()
        after = self.digest()
        return Receipt(
            event.request_id,
            event.requested_at_ns,
            event.selector,
            len(facts),
            tuple(touched),
            before,
            after,
            rebuilt,
            evictions,
            NOT_COVERED + frozen + grown,
        )

    def _facts(self, ids: tuple[str, ...]) -> tuple[Fact, ...]:
        return tuple(cast("Fact", self._ledger.get(fact_id)) for fact_id in ids)

    def _derive(self) -> derivation.Knowledge:
        packed = self._ledger.geometry()
        card = self._model.card
        geometry = (
            hdc.identity_geometry(self._width, tap_spans(card.slices), self.config.seed)
            if packed is None
            else hdc.Geometry.unpack(dict(packed))
        )
        return derivation.derive_knowledge(self._ledger, geometry, card=card.fingerprint)


def tap_spans(slices: tuple[slice, ...]) -> tuple[tuple[int, int], ...]:
    """Turn a card's tap slices into the (start, stop) pairs that hdc takes."""
    return tuple((part.start, part.stop) for part in slices)


def _repeated(event: ForgetRequest, stored: Receipt) -> Publish:
    """Answer a request that was carried out before as it was answered then."""
    if stored.selector == event.selector:
        return Publish(stored)
    return _reject(
        event.request_id,
        "forgetting: this request id was used for something else",
        "give each request an id of its own",
    )


def _reject(subject_id: str, reason: str, hint: str) -> Publish:
    return Publish(Rejected(subject_id, reason, hint))


def _brief(selector: Selector) -> str:
    """Return a selector as text, cut to a length that can be sent: it may name many ids."""
    given = {name: value for name, value in asdict(selector).items() if value is not None}
    return str(given)[: limits.TEXT_CHARS_MAX]


def _subject_of(event: Event) -> str:
    """Return what an answer to an event is about, cut to a length that can be sent."""
    names = ("key", "observation_id", "request_id")
    given = (str(getattr(event, name)) for name in names if hasattr(event, name))
    subject = next(given, type(event).__name__.lower())
    return subject[: limits.TEXT_CHARS_MAX]
