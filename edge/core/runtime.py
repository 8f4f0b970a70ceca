"""The runtime: events in, effects out.  No clock, file, thread or randomness.

The caller applies the effects of one event, in order, before it passes the next; the ledger that
the runtime reads then contains them.  If an effect fails, discard the runtime and create a new one:
its knowledge is derived from the ledger.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from numpy.typing import NDArray

import hdc

from . import limits
from .adaptation import BasisRefit
from .config import Config
from .errors import EdgeError
from .events import (
    Acknowledgement,
    ConfirmAlarm,
    Decision,
    DriftAlarm,
    Effect,
    Enrol,
    Event,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    Label,
    LabelMany,
    Observation,
    Publish,
    Rejected,
    Relabel,
    Rollback,
    SetOutput,
    StoreContribution,
    StoreGeometry,
    StoreLabelCandidates,
    StoreRecalibration,
    Tick,
    Undo,
    Undoable,
    UndoMerge,
    Unlabel,
)
from .facts import Ledger, Selector
from .forecasting import SeriesTracker, State
from .forgetting import RuntimeForgetting, tap_spans
from .knowledge import (
    NOTHING_PUBLISHED,
    Changes,
    Contribution,
    DigestRefit,
    GeometryFitter,
    GeometryRefit,
    Knowledge,
    Publication,
    Published,
    Refit,
    ThresholdsRefit,
    derive_knowledge,
    review_contribution,
)
from .learning import Learner
from .matched import streams_of
from .pending_forgets import AdvanceForget
from .prepared_geometry import PreparedGeometry, PreparedRefit
from .reconfigurator import Reconfigurator
from .runtime_views import RuntimeViews
from .session import (
    AdaptedOpenings,
    Assessor,
    BatchPrefetch,
    FeatureModel,
    FewLabelsRefit,
    KnowledgeSnapshot,
    OpeningRefit,
    SessionState,
    StreamLevels,
    confirmed_alarm,
)
from .undoing import ActionLog
from .validation import find_invalid

CHANGING: Final = (
    *(Label, LabelMany, Unlabel, Enrol, Relabel, UndoMerge, Undoable, Undo),
    *(FitGeometry, GrowRequest, Rollback, Contribution),
)
"""Events that are refused while facts are being erased: they change facts, or read them."""

WHILE_ERASING: Final = (
    "a forget request is being carried out: its facts are being erased",
    "nothing was changed; send it again in a moment",
)


FORGOTTEN_SAMPLE: Final = (
    "reading a sample of a series: samples of this time were forgotten, and are not learned again",
    "send samples of other times; a forget request with duplicates off would allow it",
)


class Runtime(RuntimeForgetting, RuntimeViews):
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
        self._others_first = False
        self._levels = StreamLevels(config, ledger)
        self._openings = AdaptedOpenings(ledger, self._session)
        adapting = self._openings if config.adaptation == "auto" else None
        self._assessor = Assessor(config, self._session, self._levels, adapting)
        self._prefetched = BatchPrefetch(model, ledger, self._assessor)
        spans = tap_spans(model.card.slices)
        self._growth = Reconfigurator(config, spans, deferring=deferring)
        session, levels = self._session, self._levels
        self._learner = Learner(config, ledger, session, levels, self._growth)
        self._actions = ActionLog(ledger, self._learner, session, levels, self._growth)
        self._geometries = GeometryFitter(spans, config.seed, model.card.quantiser)
        self._prepared = PreparedGeometry(ledger, self._geometries, model.card.fingerprint)
        self.knowledge = self._derive()
        self._levels.restore(self.knowledge.geometry.fingerprint)
        self._restore_pending()
        self._handlers: dict[type, Callable[[Any], Iterator[Effect]]] = {
            Observation: self._observe,
            Label: partial(self._change, self._learner.label),
            LabelMany: partial(self._change, self._learner.label_many),
            Unlabel: partial(self._change, self._learner.unlabel),
            Enrol: partial(self._change, self._learner.enrol),
            Relabel: partial(self._change, self._learner.relabel),
            UndoMerge: partial(self._change, self._learner.undo_merge),
            Undoable: self._record,
            Undo: partial(self._change, self._actions.undo),
            ForgetRequest: self._forget,
            AdvanceForget: self._advance_forget,
            FitGeometry: self._fit_geometry,
            GrowRequest: self._grow,
            GrowthFinished: self._growth_finished,
            Rollback: self._rollback,
            Contribution: self._contribution,
            ConfirmAlarm: self._confirm,
            Tick: self._tick,
        }

    def continue_from(self, failed: "Runtime", event: Event) -> None:
        """Buffer what another runtime had buffered as an event could not be stored: if it gave
        labels, so that they can be given again.  After other events nothing is kept, since one that
        forgets may have failed on its way."""
        asked = event.event if isinstance(event, Undoable) else event
        if isinstance(asked, Label | LabelMany):
            for key, one in failed.recent():
                self._session.label_buffer.add(key, one)

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Handle one event; invalid input changes nothing and yields Publish(Rejected)."""
        if not isinstance(event, Observation):  # an observation changes no facts
            self.knowledge.ledger_applied()
        handler = self._handlers.get(type(event))
        wrong = find_invalid(event, self._width) if handler else "not an event"
        if not wrong and self.erasing and isinstance(event, CHANGING):
            wrong, hint = WHILE_ERASING
            return (_reject(_subject_of(event), wrong, hint),)
        if wrong or handler is None:
            hint = "nothing was changed; correct it and send it again"
            return (_reject(_subject_of(event), f"reading an event: {wrong}", hint),)
        if isinstance(event, ForgetRequest):
            self._prepared.drop()
        return tuple(handler(event))

    def prefetch(self, events: Sequence[Observation]) -> None:
        """Encode and assess the next observations in one pass.  `handle` then takes less time for
        each, with the same result.

        The next call drops results that were not used.
        """
        self._prefetched.prefetch(events, self.knowledge)

    def next_refit(self) -> Refit | None:
        """Return a part of the knowledge, or of the adaptation to opened domains, to fit in the
        background; pass it to `prepare` and `accept`."""
        parts: list[Callable[[], Refit | None]] = [super().next_refit]
        if not self.forgetting:
            # In turn with the others: where labels go on arriving, either has always more to do.
            parts.insert(int(self._others_first), self._prepared.next_refit)
            self._others_first = not self._others_first
        found = next((one for one in (part() for part in parts) if one is not None), None)
        if found or self.erasing:
            return found
        return self._openings.next_refit() or self._openings.few.next_refit(self.knowledge)

    def prepare(self, refit: Refit) -> bool:
        """Let a refit take what it needs once its facts are read; False if it has to be dropped."""
        if isinstance(refit, FewLabelsRefit):
            return refit.prepare(Changes())
        return isinstance(refit, BasisRefit | OpeningRefit) or super().prepare(refit)

    def accept(self, refit: Refit, *, solved: bool) -> None:
        """Take in a part that was fitted in the background; see `Knowledge.accept`.  Thresholds
        change the verdicts on the windows."""
        if isinstance(refit, DigestRefit):
            self._known_digest.accept(refit, solved=solved)
            return
        self._prefetched.clear()
        self._refits_accepted += 1
        if isinstance(refit, FewLabelsRefit):
            self._openings.few.accept(refit, self.knowledge, solved=solved)
            return
        if isinstance(refit, BasisRefit | OpeningRefit):
            self._openings.accept(refit, solved=solved)
            return
        if isinstance(refit, PreparedRefit):
            self._prepared.accept(refit, solved=solved)
            return
        if isinstance(refit, GeometryRefit):
            self._take_geometry(refit, solved=solved)
            return
        self.knowledge.accept(refit, solved=solved)
        if isinstance(refit, ThresholdsRefit):
            self._session.knowledge_changed()

    def prepare_geometry(self) -> None:
        """Let a geometry be fitted in the background, for `FitGeometry`; a forget request ends
        that.  Call it where `next_refit` is called regularly."""
        self._prepared.ask()

    @property
    def geometry_prepared(self) -> bool:
        """Whether `FitGeometry` lets a geometry serve that was fitted in the background, and so
        takes little time."""
        return self._prepared.ready and not self.forgetting

    @property
    def installs_geometry(self) -> bool:
        """Whether the next `AdvanceForget` installs a geometry that was fitted in the
        background."""
        one = self._derived
        ready = self._geometry_due and one is not None and one.made is not None
        return ready and one is not None and one.contents == self._ledger.contents()

    def digest(self) -> str:
        """Return the hex digest of card, geometry, sums and thresholds; equal for equal sets of
        facts.  Thresholds that could wait are computed for it, and serve from then on."""
        if self.erasing:
            raise EdgeError("reading the digest: facts are being erased", "ask again in a moment")
        if self.knowledge.deferring:
            self._prefetched.clear()
            self._session.knowledge_changed()
        return self.knowledge.digest(self._model.card.fingerprint)

    def contribute(
        self, device: str, revision: int, published: Published = NOTHING_PUBLISHED
    ) -> Publication:
        """Return the contribution of this device's own facts, with what to record before it leaves
        the device; call it with all effects applied.  published: what was recorded so far."""
        return self.knowledge.contribute(device, self._model.card.fingerprint, revision, published)

    def holds_traces(self, selector: Selector) -> bool:
        """Return whether label candidates, facts in records of actions or samples of series match a
        selector, or recalibrations or adaptation may stem from observations that it matches."""
        ids = self._ledger.select(selector)
        streams = streams_of(ids, (), self._ledger, self._session)
        found = self._ledger.select_candidates(selector)
        found = found or self._levels.matching(selector, streams)
        kept = self._openings.holds(selector) or self.series.preview(selector)
        return bool(found or kept or self._ledger.kept_facts(selector))

    # --- observations ---------------------------------------------------------------------------

    def _observe(self, event: Observation) -> Iterator[Effect]:
        if event.kind == "series":
            if self._ledger.forgot_sample(event.stream, event.captured_at_ns):
                yield _reject(event.key, *FORGOTTEN_SAMPLE)
                return
            if not self._deferring:
                self.series.finish_replay()
            yield from map(Publish, self.series.process(event))
            return
        features, ahead = self._prefetched.features(event)
        if isinstance(features, Rejected):
            yield Publish(features)
            return
        for found in self._assessor.assess(event, features, self.knowledge, ahead):
            if isinstance(found, Decision):
                yield Publish(found)
            elif isinstance(found, StoreLabelCandidates | StoreRecalibration):
                yield found
            elif isinstance(found, DriftAlarm):
                yield from self._publish_alarm(found)
            else:
                yield Publish(found)
        for source, target in () if self.erasing else self._session.take_merges():
            yield from self._learner.merge(event, source, target, self.knowledge)

    def _publish_alarm(self, alarm: DriftAlarm) -> Iterator[Effect]:
        """Publish an alarm that is raised or ends, and set its device's output."""
        yield Publish(alarm)
        channel = self._alarm_outputs.get(alarm.stream)
        if channel is not None:
            yield SetOutput(alarm.stream, channel, int(alarm.raised))

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

    # --- actions of people -----------------------------------------------------------------------

    def refusals(self, labels: Sequence[Label]) -> tuple[Rejected | None, ...]:
        """Return why each label cannot be used, None for those that `LabelMany` stores."""
        return self._learner.refusals(labels)

    def snapshot(self) -> KnowledgeSnapshot:
        """Return the knowledge that serves now, frozen, to compare its answers with later ones."""
        return KnowledgeSnapshot(self.knowledge, self.config.false_alarm_rate)

    def _change(
        self, change: Callable[[Any, Knowledge], Iterator[Effect]], event: Event
    ) -> Iterator[Effect]:
        """Change facts and today's knowledge, which a new geometry replaces."""
        return change(event, self.knowledge)

    def _record(self, event: Undoable) -> Iterator[Effect]:
        action = self._actions.describe(event.event, event.action_id, event.at_ns)
        effects = tuple(self._handlers[type(event.event)](event.event))
        yield from self._actions.record(action, effects)

    # --- geometry -------------------------------------------------------------------------------

    def _fit_geometry(self, event: FitGeometry) -> Iterator[Effect]:
        found = self._prepared.take()
        if found is None or found.made is None:
            yield from super()._fit_geometry(event)
            return
        self.knowledge = found.made.replacing(self.knowledge, self._ledger)
        self._prefetched.clear()
        self._session.clear_windows()
        yield StoreGeometry(found.packed)
        yield from self._levels.geometry_changed(self.knowledge)
        facts = sum(self.knowledge.own.counts.values())
        yield Publish(Acknowledgement("fit_geometry", facts, ""))

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
        effects = tuple(self._growth.finish(event, self.knowledge, self._ledger))
        record = event.result.record
        version = record.version if record is not None and not record.provisional else 0
        yield from self._actions.grown(event.result.domain, version, effects)

    def _rollback(self, event: Rollback) -> Iterator[Effect]:
        yield from self._growth.rollback(event, self.knowledge, self._ledger)

    def _tick(self, event: Tick) -> Iterator[Effect]:
        if self.erasing:
            return
        yield from self._growth.remove_orphans(self.knowledge, self._ledger)
        yield from self._growth.tick(self.knowledge, self._ledger, grows=event.grows)

    def _derive(self) -> Knowledge:
        packed = self._ledger.geometry()
        card = self._model.card
        geometry = (
            hdc.identity_geometry(self._width, tap_spans(card.slices), self.config.seed)
            if packed is None
            else self._unpack_geometry(packed)
        )
        knowledge = derive_knowledge(self._ledger, geometry, card=card.fingerprint)
        knowledge.deferring = self._deferring
        return knowledge

    @staticmethod
    def _unpack_geometry(packed: Mapping[str, NDArray[Any]]) -> hdc.Geometry:
        return hdc.Geometry.unpack(dict(packed))


def _reject(subject_id: str, reason: str, hint: str) -> Publish:
    return Publish(Rejected(subject_id, reason, hint))


def _subject_of(event: Event) -> str:
    """Return the id that an answer to an event refers to, truncated so that it can be sent."""
    names = ("key", "observation_id", "request_id", "action_id")
    given = (str(getattr(event, name)) for name in names if hasattr(event, name))
    subject = next(given, type(event).__name__.lower())
    return subject[: limits.TEXT_CHARS_MAX]
