"""The runtime: events in, effects out.  No clock, no files, no threads, no randomness.

The shell applies the effects of one event, in order, before it hands over the next; the ledger the
runtime reads then shows them.  If an effect fails, throw the runtime away and open a new one: what
it knows is derived from the ledger.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np

import encoder
import hdc

from . import knowledge as derivation
from . import limits
from .admission import admit, flaw
from .config import Config
from .events import (
    Ack,
    Decision,
    DriftAlarm,
    Effect,
    Enrol,
    Erase,
    Event,
    ForgetRequest,
    Freeze,
    Label,
    Observation,
    Publish,
    Receipt,
    Rejected,
    Relabel,
    Remember,
    Survey,
)
from .facts import Fact, Ledger, Selector
from .recent import Recent, Seen
from .streams import Stream, Streams

NOT_COVERED = (
    "backups and exports made before this request",
    "flash wear-levelling and file system journals below the database",
    "the calibration data of the encoder card's quantiser",
)


class Model(Protocol):
    """What the runtime needs of an encoder: `encoder.Model`, or one that replays features."""

    @property
    def card(self) -> encoder.Card:
        """The card: fingerprint, taps, quantiser."""

    def encode(self, payload: object) -> encoder.Features:
        """Turn a payload into uint8 features; raises encoder.EncoderError for a bad one."""


class Runtime:
    """Learns, detects, routes, answers and forgets, one event at a time.

    config: settings.  model: the frozen encoder.  ledger: what is known, read only.
    Opening costs one projection per fact in the ledger.
    """

    def __init__(self, config: Config, model: Model, ledger: Ledger) -> None:
        self.config = config
        self._model = model
        self._ledger = ledger
        self._recent = Recent()
        self._streams = Streams(config.window)
        self._version = 0
        self.knowledge = self._derive()
        self._handlers: dict[type, Callable[[Any], Iterator[Effect]]] = {
            Observation: self._observe,
            Label: self._label,
            Enrol: self._enrol,
            Relabel: self._relabel,
            ForgetRequest: self._forget,
            Survey: self._survey,
        }

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Handle one event; bad input changes nothing and comes back as Publish(Rejected)."""
        return tuple(self._handlers[type(event)](event))

    def digest(self) -> str:
        """Hex digest of card, geometry, sums and thresholds: equal for equal sets of facts."""
        return self.knowledge.digest(self._model.card.fingerprint)

    # --- observations ---------------------------------------------------------------------------

    def _observe(self, event: Observation) -> Iterator[Effect]:
        try:
            features = self._model.encode(event.payload).values
        except encoder.EncoderError as error:
            yield Publish(Rejected(event.key, error.message, error.hint))
            return
        stream = self._streams.of(event.stream)
        seen = Seen(event.stream, event.subject, event.captured_at_ns,
                    self.config.first_domain, features.tobytes())
        if not self.knowledge.memory.keys:
            self._recent.put(event.key, seen)
            yield Publish(_undecided(event))
            return
        codes = self.knowledge.geometry.project(features[None])
        verdict = self._detect(codes)
        window = self._judge(stream, codes, verdict, event.key)
        alarm = tuple(self._alarm(event, stream, window))
        domain = stream.opening or verdict.domain
        self._recent.put(event.key, replace(seen, domain=domain))
        if alarm and stream.alarmed:
            self._redirect(stream)
        yield Publish(self._decide(event, features, verdict, window, stream))
        yield from alarm

    def _detect(self, codes: hdc.Codes) -> hdc.Verdict:
        known = self.knowledge
        rate = self.config.false_alarm_rate
        return hdc.detect(codes, known.memory, known.calibration(), rate)

    def _judge(
        self, stream: Stream, codes: hdc.Codes, verdict: hdc.Verdict, key: str
    ) -> hdc.WindowVerdict | None:
        """Judge the stream's window, its older verdicts brought up to date with what is known."""
        if stream.version != self._version:
            stream.refresh(self._detect, self._version)
        if not stream.push(key, codes, verdict):
            return None
        rate = self.config.false_alarm_rate
        return hdc.detect_window(stream.verdicts, self.knowledge.calibration(), rate)

    def _alarm(
        self, event: Observation, stream: Stream, window: hdc.WindowVerdict | None
    ) -> Iterator[Effect]:
        if window is None or window.known is None or window.known is not stream.alarmed:
            return
        stream.opening = "" if stream.alarmed else self._next_domain()
        domain = stream.opening or window.domain
        raised = stream.alarmed
        yield Publish(DriftAlarm(event.stream, event.key, event.captured_at_ns, raised,
                                 window.p_value, domain))

    def _redirect(self, stream: Stream) -> None:
        """Let late labels of the window's unknown samples go to the domain being opened."""
        for key, verdict in stream.verdicts_by_key():
            seen = self._recent.get(key)
            if verdict.known is False and seen is not None:
                self._recent.put(key, replace(seen, domain=stream.opening))

    def _next_domain(self) -> str:
        taken = {*self.knowledge.domains, *self._streams.openings()}
        number = len(self.knowledge.domains) + 1
        while f"domain-{number}" in taken:
            number += 1
        return f"domain-{number}"

    def _decide(
        self, event: Observation, features: "np.ndarray[Any, np.dtype[np.uint8]]",
        verdict: hdc.Verdict, window: hdc.WindowVerdict | None, stream: Stream,
    ) -> Decision:
        adaptor = self.knowledge.adaptor(verdict.domain)
        guess = adaptor.labels[int(np.argmax(adaptor.answer(features)))]
        return Decision(
            event.key, event.stream, event.captured_at_ns, verdict.known, verdict.domain,
            None if verdict.known is False else guess, guess,
            float(verdict.score), verdict.p_value,
            window.p_value if window else 1.0, stream.alarmed,
            verdict.shortfall.reason if verdict.shortfall else "",
        )

    # --- learning -------------------------------------------------------------------------------

    def _label(self, event: Label) -> Iterator[Effect]:
        known = self._ledger.get(event.observation_id)
        seen = self._recent.get(event.observation_id)
        if self._ledger.buried(event.observation_id):
            yield _reject(event.observation_id, "labelling: this observation was forgotten",
                          "send a new observation if it may be learned again")
        elif known is not None:
            changed = replace(known, label=event.label, domain=event.domain or known.domain)
            facts = () if changed == known else (replace(changed, revision=known.revision + 1),)
            yield from self._learn(event.observation_id, facts)
        elif seen is None:
            yield _reject(event.observation_id, "labelling: the observation has expired",
                          f"label within {limits.WINDOW_OBSERVATIONS_MAX} observations")
        else:
            fact = Fact(event.observation_id, seen.stream, event.domain or seen.domain,
                        event.label, seen.captured_at_ns, seen.features, seen.subject)
            yield from self._learn(event.observation_id, (fact,))

    def _enrol(self, event: Enrol) -> Iterator[Effect]:
        yield from self._learn("enrol", event.facts)

    def _relabel(self, event: Relabel) -> Iterator[Effect]:
        facts = [
            replace(fact, label=event.label or fact.label, domain=event.domain or fact.domain,
                    revision=fact.revision + 1)
            for fact in self._facts(self._ledger.select(event.selector))
        ]
        if not facts:
            yield _reject("relabel", f"relabelling: no fact matches {event.selector}",
                          "see `auricle inspect` for what is known")
            return
        yield from self._learn("relabel", tuple(facts))

    def _learn(self, subject_id: str, facts: tuple[Fact, ...]) -> Iterator[Effect]:
        width = self._model.card.width
        flaws = [(fact.id, flaw(fact, width)) for fact in facts if flaw(fact, width)]
        if flaws:
            fact_id, reason = flaws[0]
            yield _reject(subject_id, f"learning fact {fact_id!r}: {reason}",
                          "nothing was learned; correct it and send all again")
            return
        admission = admit(self._ledger, facts, self.config.facts_per_concept)
        if admission.entering or admission.evicted:
            self.knowledge.remove((*admission.replaced, *admission.evicted))
            self.knowledge.add(admission.entering)
            self._version += 1
            evicted = tuple(fact.id for fact in admission.evicted)
            yield Remember(admission.entering, evicted)
        yield Publish(Ack(subject_id, len(admission.entering), admission.detail))

    # --- geometry and forgetting ----------------------------------------------------------------

    def _survey(self, _event: Survey) -> Iterator[Effect]:
        if not self.knowledge.memory.keys:
            yield _reject("survey", "surveying: the ledger has no facts", "learn something first")
            return
        geometry = self._settle(frozenset())
        yield Freeze(geometry.pack())
        yield Publish(Ack("survey", sum(self.knowledge.memory.counts.values())))

    def _settle(self, without: Set[str]) -> hdc.Geometry:
        card = self._model.card
        geometry = derivation.survey(
            self._ledger, spans(card.slices), self.config.seed, without
        )
        self.knowledge = derivation.derive(self._ledger, geometry, without)
        self._version += 1
        return geometry

    def _forget(self, event: ForgetRequest) -> Iterator[Effect]:
        ids = frozenset(self._ledger.select(event.selector))
        waiting = frozenset(self._waiting(event.selector))
        if event.selector.empty or not ids | waiting:
            yield _reject(event.request_id, f"forgetting: nothing matches {event.selector}",
                          "name at least one of id, subject, stream, domain, label, time range")
            return
        before = self.digest()
        facts = self._facts(tuple(sorted(ids)))
        self.knowledge.remove(facts)
        geometry = self._settle(ids) if event.resurvey and self.knowledge.memory.keys else None
        receipt = self._receipt(event, facts, before, ids, geometry is not None)
        self._recent.drop(waiting | ids)
        self._streams.clear()
        self._version += 1
        yield Erase(tuple(sorted(ids | waiting)), receipt)
        if geometry is not None:
            yield Freeze(geometry.pack())
        yield Publish(receipt)

    def _waiting(self, selector: Selector) -> Iterator[str]:
        """Yield unlabelled observations that a request reaches: they have no domain or label yet."""
        if selector.domain is not None or selector.label is not None:
            return
        for key, seen in self._recent.items():
            row = Fact(key, seen.stream, "", "", seen.captured_at_ns, b"", seen.subject)
            if selector.matches(row):
                yield key

    def _receipt(
        self, event: ForgetRequest, facts: tuple[Fact, ...], before: str,
        ids: frozenset[str], resurveyed: bool,
    ) -> Receipt:
        touched = sorted({f"{fact.domain}/{fact.label}" for fact in facts})
        rebuilt = ("sums", "thresholds", "heads") + (("geometry",) if resurveyed else ())
        frozen = () if resurveyed or self._ledger.geometry() is None else (
            "the frozen geometry, surveyed from facts that may include these"
            " (ask for a new survey to cover it)",
        )
        after = self.knowledge.digest(self._model.card.fingerprint, ids)
        return Receipt(
            event.request_id, event.requested_at_ns, event.selector, len(facts), tuple(touched),
            before, after, rebuilt, self._ledger.evictions(), NOT_COVERED + frozen,
        )

    def _facts(self, ids: tuple[str, ...]) -> tuple[Fact, ...]:
        return tuple(cast("Fact", self._ledger.get(fact_id)) for fact_id in ids)

    def _derive(self) -> derivation.Knowledge:
        packed = self._ledger.geometry()
        card = self._model.card
        geometry = (
            hdc.plain(card.width, spans(card.slices), self.config.seed)
            if packed is None
            else hdc.Geometry.unpack(dict(packed))
        )
        return derivation.derive(self._ledger, geometry)


def spans(slices: tuple[slice, ...]) -> tuple[tuple[int, int], ...]:
    """Turn a card's tap slices into the (start, stop) pairs that hdc takes."""
    return tuple((part.start, part.stop) for part in slices)


def _undecided(event: Observation) -> Decision:
    reason = "nothing is learned yet"
    return Decision(event.key, event.stream, event.captured_at_ns, None, "", None, "",
                    0.0, 1.0, 1.0, alarm=False, reason=reason)


def _reject(subject_id: str, reason: str, hint: str) -> Publish:
    return Publish(Rejected(subject_id, reason, hint))
