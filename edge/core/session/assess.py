"""Assessment of observations: out-of-distribution detection, routing, the answer, drift alarms.

`BatchPrefetch` encodes and assesses waiting observations in one pass, since one large matrix
product costs less than many small ones; `Assessor` then decides each in turn, given its stream.
Samples that are novel to their nearest domain are answered by a mixture of experts.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from ..columns import NAMING_HINT, NamedValues, arrange, listed, named_values
from ..config import Config
from ..events import (
    AppliedAdaptation,
    Decision,
    DriftAlarm,
    Message,
    Observation,
    Rejected,
    StoreLabelCandidates,
    StoreRecalibration,
)
from ..facts import Ledger
from ..knowledge import Knowledge
from ..router import Router
from .alarms import Alarms
from .label_buffer import BufferedObservation
from .label_requests import LabelRequests
from .novel_domains import ReferenceModel
from .openings import AdaptedOpenings
from .recalibration import StreamLevel
from .session_state import SessionState
from .stream import NO_ROUTE, RouterLogits, SampleAssessment, SampleOrigin, StreamState
from .stream_levels import StreamLevels

EXPERTS: Final = 3
"""Nearest domains whose adaptors answer together.  Chosen by hand; docs/explanation/streams.md has
the accuracy on PACS."""

NOVELTY_SPREAD: Final = 1024
"""Novelty that lowers a domain's weight by a factor of e: one spread, in the detector's units."""

Features = NDArray[np.uint8]
Floats = NDArray[np.float32]


UNNAMED: Final = (np.ndarray, bytes, list, tuple)
"""The usual payloads without names, which are quicker to recognise than a mapping is."""

NAMED: Final = (NamedValues, Mapping)
"""Payloads of numbers by name."""


class FeatureModel(Protocol):
    """The runtime's interface to an encoder: `encoder.Model`, or one that replays features."""

    @property
    def card(self) -> encoder.Card:
        """The card: fingerprint, taps, quantiser."""

    def encode(self, payload: object) -> encoder.Features:
        """Turn a payload into uint8 features; raises encoder.EncoderError for a bad one."""


class PrefetchedAssessment(msgspec.Struct, frozen=True, eq=False):
    """An observation assessed before its turn; valid while its reference model is in use.

    features: uint8 [width].
    """

    features: Features
    reference: ReferenceModel
    assessment: SampleAssessment
    route: RouterLogits


class Assessor:
    """Decides observations and updates their streams.  session, levels, openings: updated in
    place.  openings: adapt to opened domains and to those with few labels; None: nothing does."""

    def __init__(
        self,
        config: Config,
        session: SessionState,
        levels: StreamLevels,
        openings: AdaptedOpenings | None = None,
    ) -> None:
        self._config = config
        self._session = session
        self._levels = levels
        self._openings = openings
        self._alarms = Alarms(config, session)
        self._requests = LabelRequests(session.label_buffer, session.novel_domains)

    def prefetch(
        self, events: Sequence[Observation], rows: Sequence[Features], known: Knowledge
    ) -> list[PrefetchedAssessment]:
        """Assess observations, at least one, as far as that does not depend on earlier ones."""
        features, reference = np.stack(rows), self._session.reference_model(known)
        codes = known.geometry.project(features)
        router = known.router() if known.routes else None
        logits = router.logits(features) if router is not None else features[:, :0]
        routes = [_route_of(router, row) if router else NO_ROUTE for row in logits]
        origins = [_origin(event, row) for event, row in zip(events, routes, strict=True)]
        keys = [event.key for event in events]
        made = self._session.assess_batch(keys, codes, known, reference, origins)
        found = zip(rows, made, routes, strict=True)
        return [PrefetchedAssessment(row, reference, one, route) for row, one, route in found]

    def assess(
        self,
        event: Observation,
        features: Features,
        known: Knowledge,
        ahead: PrefetchedAssessment | None = None,
    ) -> Iterator[Message | StoreLabelCandidates | StoreRecalibration]:
        """Yield the decision on an observation, then a drift alarm if one is raised or ends, then
        label candidates and a label request if these have changed, then the stream's recalibration
        and a question about its alarm where these have changed.

        features: uint8 [width].  ahead: from `prefetch`; saves time and changes nothing.  The
        observation is buffered for a late label.
        """
        session, key = self._session, event.key
        if not known.domains:
            buffered = _buffered(event, features, self._config.first_domain)
            session.label_buffer.add(key, buffered)
            yield _undecided(event, key)
            return
        stream = session.streams.get(event.stream)
        reference = session.reference_model(known)
        level = self._levels.get(event.stream)
        self._refresh(stream, known, reference, level)
        if ahead is not None and ahead.reference is reference:
            made, route = self._at_level(ahead.assessment, known, level), ahead.route
        else:
            made, route = self._compare(event, features, known, reference, level)
        stream.push(made)
        window = self._detect_drift(stream, known, level)
        domain = _route(stream, made.verdict, known, route)
        # In an opened domain the adapted answer comes below, once the stream has not left it.
        adapts = self._adapts(stream, known)
        guess = "" if adapts else self._answer(made, domain, features, known)
        buffered = _buffered(event, features, made.placement.domain, guess, made.verdict.p_value)
        session.label_buffer.add(key, buffered)
        alarm_domain = self._alarms.update(stream, window, known, reference)
        reports = alarm_domain is not None and stream.announce(alarm_domain)
        adapted = self._adapted(event, features, made, known) if stream.alarmed else None
        if adapts or adapted is not None:
            guess = adapted[0] if adapted else self._answer(made, domain, features, known)
            session.label_buffer.note_guess(key, guess)
        observed, verdict = level.observed_interval(), made.verdict
        yield Decision(
            observation_id=key,
            stream=event.stream,
            captured_at_ns=event.captured_at_ns,
            known=verdict.known,
            domain=domain,
            label=None if verdict.known is False else guess,
            guess=guess,
            score=float(verdict.score),
            p_value=verdict.p_value,
            window_p=window.p_value if window else 1.0,
            alarm=stream.alarmed,
            reason=verdict.shortfall.reason if verdict.shortfall else "",
            degraded=_is_unlabelled(stream, known) or adapted is not None,
            adaptation=None if adapted is None else adapted[1],
            false_alarm_rate=self._config.false_alarm_rate,
            observed_rate=observed[0],
            observed_low=observed[1],
            observed_high=observed[2],
            provisional=known.provisional(domain),
        )
        if alarm_domain is not None and reports and window is not None:
            here = stream.window_domain if stream.window_domain in known.domains else domain
            yield _drift_alarm(event, stream, window, alarm_domain or here)
        if stream.alarmed:
            yield from self._requests.update(event.stream, stream, known)
        if window is not None:
            yield from self._recalibrate(event, made, window, known, (stream, level))

    def _answer(
        self, made: SampleAssessment, domain: str, features: Features, known: Knowledge
    ) -> str:
        """Answer with the head that learns from unlabelled observations where there is one."""
        if self._openings is not None and made.verdict.known is not False:
            found = self._openings.few.answer(domain, features, known)
            if found is not None:
                return found
        return _answer(made, domain, features, known)

    def _adapts(self, stream: StreamState, known: Knowledge) -> bool:
        """Return whether a stream is in a domain that adapted answers serve."""
        return stream.alarmed and self._serves(stream.alarm_domain, known)

    def _serves(self, domain: str, known: Knowledge) -> bool:
        """Return whether adapted answers serve a domain: without labels, or with few."""
        if self._openings is None:
            return False
        return domain not in known.domains or self._openings.serves(domain, known)

    def _adapted(
        self,
        event: Observation,
        features: Features,
        made: SampleAssessment,
        known: Knowledge,
    ) -> tuple[str, AppliedAdaptation] | None:
        """Return the answer in an opened domain, adapted to the domain's samples, and how; None
        where nothing adapts.  Samples that are placed in a learned domain are left alone: a stream
        may mix domains.  So are those nearest to facts that nothing is adapted from."""
        stream = self._session.streams.get(event.stream)
        if not self._adapts(stream, known):
            return None
        domain = made.placement.domain
        elsewhere = domain not in self._session.novel_domains and made.verdict.known is not False
        if not (stream.mixed or elsewhere):
            domain = stream.alarm_domain
        opened = domain in self._session.novel_domains and self._serves(domain, known)
        if self._openings is None or not opened:
            return None
        if not self._openings.covers(made.verdict.domain, known):
            return None
        return self._openings.answer(domain, event, features, known)

    def _refresh(
        self,
        stream: StreamState,
        known: Knowledge,
        reference: ReferenceModel,
        level: StreamLevel,
    ) -> None:
        """Assess a stream's kept observations again if knowledge has changed since."""
        session = self._session
        if stream.version != session.version:
            stream.refresh(
                lambda kept: (
                    self._at_level(one, known, level)
                    for one in session.assess_again(kept, known, reference)
                ),
                session.version,
            )

    def _compare(
        self,
        event: Observation,
        features: Features,
        known: Knowledge,
        reference: ReferenceModel,
        level: StreamLevel,
    ) -> tuple[SampleAssessment, RouterLogits]:
        """Return a sample compared with the reference model, and what the router says of it."""
        route, assess = NO_ROUTE, self._session.assess
        if known.routes:
            router = known.router()
            route = _route_of(router, router.logits(features))
        origin = _origin(event, route)
        made = assess(event.key, features, known, reference, origin=origin, level=level.level)
        return made, route

    def _at_level(
        self, made: SampleAssessment, known: Knowledge, level: StreamLevel
    ) -> SampleAssessment:
        """Return an assessment from `prefetch` at the level of its stream."""
        return level.at_level(made, known.calibration(), self._config.false_alarm_rate)

    def _recalibrate(
        self,
        event: Observation,
        made: SampleAssessment,
        window: hdc.WindowVerdict,
        known: Knowledge,
        of: tuple[StreamState, StreamLevel],
    ) -> Iterator[Message | StoreRecalibration]:
        """Let the level of a stream follow an observation.  of: the stream's state and level."""
        (stream, level), verdict = of, made.verdict
        statistics = known.calibration().in_time.get(verdict.domain)
        undecided = verdict.known is None and not verdict.doubtful
        if undecided:
            return
        asked = None
        if statistics is None:
            novel, outside = verdict.known is False, window.known is False
            level.observe_untimed(event, novel=novel, outside=outside)
        else:
            asked = level.observe(
                event,
                made,
                window,
                statistics,
                self._config.false_alarm_rate,
                half_window=lambda: self._judge_half(stream, known, level),
            )
        record = level.changed_record(known.geometry.fingerprint)
        if record is not None:
            yield StoreRecalibration(event.stream, record)
        if asked is not None:
            yield asked

    def _detect_drift(
        self, stream: StreamState, known: Knowledge, level: StreamLevel
    ) -> hdc.WindowVerdict | None:
        if not stream.full:
            return None
        return hdc.detect_window(
            stream.window_verdicts,
            known.calibration(),
            self._config.false_alarm_rate,
            level.level,
            change=partial(stream.change, known.memory),
            labels=stream.window_labels,
        )

    def _judge_half(
        self, stream: StreamState, known: Knowledge, level: StreamLevel
    ) -> hdc.WindowVerdict:
        """Return the verdict on the newer half of a window."""
        verdicts = [one.verdict for one in stream.window[-stream.half :]]
        rate = self._config.false_alarm_rate
        return hdc.detect_window(verdicts, known.calibration(), rate, level.level)


def _route_of(router: Router, row: Floats) -> RouterLogits:
    """Return what a router says with these logits [domains]."""
    return RouterLogits(router.domains, router.places, row, row.tolist())


def _origin(event: Observation, route: RouterLogits) -> SampleOrigin:
    """Return the origin of an observation."""
    return SampleOrigin(route, event.recording or event.subject)


def _route(stream: StreamState, verdict: hdc.Verdict, known: Knowledge, route: RouterLogits) -> str:
    """Return the domain of a sample: filtered over its stream, or the nearest if it is novel.

    The router covers domains with facts here.  Where the nearest concept is known only by other
    devices' sums, or is new since the router was fitted, the detector places the sample.
    """
    if not known.is_routed(verdict.domain, verdict.label):
        return verdict.domain
    routed = stream.domain_filter.update(route)
    return verdict.domain if verdict.known is False else routed


def _drift_alarm(
    event: Observation, stream: StreamState, window: hdc.WindowVerdict, domain: str
) -> DriftAlarm:
    """Report an alarm that an observation has raised or ended; in the latter case `domain` is the
    learned one that the stream is in again."""
    return DriftAlarm(
        stream=event.stream,
        observation_id=event.key,
        captured_at_ns=event.captured_at_ns,
        raised=stream.alarmed,
        window_p=window.p_value,
        domain=domain,
    )


def _is_unlabelled(stream: StreamState, known: Knowledge) -> bool:
    """Return whether a stream is in a domain without labels."""
    return stream.alarmed and stream.alarm_domain not in known.domains


def _answer(made: SampleAssessment, domain: str, features: Features, known: Knowledge) -> str:
    """Answer with the domain's adaptor, or a mixture of the nearest ones for a novel sample."""
    if made.verdict.known is not False:
        return answer_known(made.verdict, domain, features, known)
    return mix_experts(made.learned_novelties, features, known)


def answer_known(verdict: hdc.Verdict, domain: str, features: Features, known: Knowledge) -> str:
    """Answer a sample that is not novel with a domain's adaptor.  A label that is new since the
    adaptor was solved is answered where it is the nearest concept."""
    if verdict.domain == domain and not known.can_answer(domain, verdict.label):
        return verdict.label
    return known.answer(domain, features)


def experts(novelties: Mapping[str, int]) -> list[str]:
    """Return the domains whose adaptors answer together, the nearest first."""
    return sorted(novelties, key=lambda name: (novelties[name], name))[:EXPERTS]


def mix_experts(novelties: Mapping[str, int], features: Features, known: Knowledge) -> str:
    """Return the label with the highest score of `mixture_scores`."""
    scores = mixture_scores(novelties, features, known)
    return min(scores, key=lambda label: (-scores[label], label))


def mixture_scores(
    novelties: Mapping[str, int], features: Features, known: Knowledge
) -> dict[str, float]:
    """Score each label by a mixture of the nearest domains' adaptors.

    novelties: of the sample to each domain with facts, 1,024 per spread.  features: uint8 [width].
    Each domain is weighted by exp(-novelty), a softmax gate as in Jacobs et al. 1991, "Adaptive
    mixtures of local experts"; the weights add up to one.  Depends on knowledge and sample alone.
    """
    names = experts(novelties)
    away = np.array([novelties[names[0]] - novelties[name] for name in names])
    weights = np.exp(away / NOVELTY_SPREAD)
    weights /= weights.sum()
    summed: dict[str, float] = {}
    for name, weight in zip(names, weights.tolist(), strict=True):
        adaptor = known.adaptor(name)
        for label, score in zip(adaptor.labels, adaptor.answer(features).tolist(), strict=True):
            summed[label] = summed.get(label, 0.0) + weight * score
    return summed


class BatchPrefetch:
    """Encodes observations, and holds those assessed ahead until their turn or the next batch."""

    def __init__(self, model: FeatureModel, ledger: Ledger, assessor: Assessor) -> None:
        self._model, self._ledger, self._assessor = model, ledger, assessor
        # Each entry holds its event, so that its `id()` is not reused.
        self._ahead: dict[int, tuple[Observation, PrefetchedAssessment]] = {}

    def prefetch(self, events: Sequence[Observation], known: Knowledge) -> None:
        """Encode and assess the next observations; drops those of the batch before."""
        encoded = [(event, self._encode(event)) for event in events if event.kind == "sample"]
        valid = [(event, found) for event, found in encoded if isinstance(found, np.ndarray)]
        self._ahead = {}
        if valid and known.domains:
            shown, rows = [event for event, _ in valid], [features for _, features in valid]
            ahead = self._assessor.prefetch(shown, rows, known)
            for (event, _), one in zip(valid, ahead, strict=True):
                self._ahead[id(event)] = event, one

    def clear(self) -> None:
        """Drop what was assessed ahead."""
        self._ahead = {}

    def features(
        self, event: Observation
    ) -> tuple[Features | Rejected, PrefetchedAssessment | None]:
        """Return an observation's features uint8 [width], or the reason of a rejection, and its
        prefetched assessment."""
        _, ahead = self._ahead.pop(id(event), (None, None))
        return (self._encode(event) if ahead is None else ahead.features), ahead

    def _encode(self, event: Observation) -> Features | Rejected:
        payload = event.payload
        if not isinstance(payload, UNNAMED) and isinstance(payload, NAMED):
            payload = self._arrange(event.key, payload)
            if isinstance(payload, Rejected):
                return payload
        try:
            return self._model.encode(payload).values
        except encoder.EncoderError as error:
            return Rejected(event.key, error.message, error.hint)

    def _arrange(self, key: str, payload: NamedValues | Mapping[Any, Any]) -> Floats | Rejected:
        """Return named values in the order of the ledger's columns, or why they are rejected."""
        try:
            named = named_values(payload)
        except (TypeError, OverflowError) as error:
            return Rejected(key, f"reading a sample: {error}", "send numbers by name")
        columns, kind = self._ledger.columns(), self._model.card.kind
        if kind == "vector":
            arranged = arrange(named, columns)
        else:
            arranged = f"its values have names, but the encoder takes a payload of kind {kind}"
        if isinstance(arranged, str):
            hint = f"the columns are {listed(columns)}" if columns else NAMING_HINT
            return Rejected(key, f"reading a sample: {arranged}", hint)
        return arranged


def _buffered(
    event: Observation, features: Features, domain: str, guess: str = "", p_value: float = 1.0
) -> BufferedObservation:
    return BufferedObservation(
        stream=event.stream,
        subject=event.subject,
        captured_at_ns=event.captured_at_ns,
        domain=domain,
        features=features.tobytes(),
        guess=guess,
        p_value=p_value,
        recording=event.recording,
    )


def _undecided(event: Observation, key: str) -> Decision:
    return Decision(
        observation_id=key,
        stream=event.stream,
        captured_at_ns=event.captured_at_ns,
        known=None,
        domain="",
        label=None,
        guess="",
        score=0.0,
        p_value=1.0,
        window_p=1.0,
        alarm=False,
        reason="nothing is learned yet",
    )
