"""Watching: the decision on each observation, and what it does to its stream.

The session state may be lost in a crash; verdict, route and answer do not depend on it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import hdc

from ..config import Config
from ..events import Decision, DriftAlarm, Message, Observation, StoreLabelCandidates
from ..facts import Fact, Selector
from ..knowledge import Knowledge
from .alarms import Alarms
from .label_buffer import BufferedObservation
from .label_requests import LabelRequests
from .mixture_of_experts import mix_experts
from .novel_domains import ReferenceModel
from .served_accuracy import ServedAnswer
from .session import SessionState
from .stream import SampleAssessment, StreamState

Features = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PrefetchedAssessment:
    """What was said of an observation before its turn: true as long as it lies on this ground.

    logits: of the router, float32 [domains].
    """

    features: Features
    ground: ReferenceModel
    glance: SampleAssessment
    logits: Floats


class Assessor:
    """Recent observations awaiting labels, each stream's window, and the domains not learned yet.

    config: of the runtime.  `changed` must be called whenever knowledge has changed, `learned`
    where facts came.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = SessionState(config)
        self._alarms = Alarms(config, self._session)
        self._nomination = LabelRequests(self._session)

    def foresee(
        self, keys: Sequence[str], rows: Sequence[Features], known: Knowledge
    ) -> list[PrefetchedAssessment]:
        """Say of observations, one at least, all at once, what does not depend on those before."""
        features, ground = np.stack(rows), self._session.lay(known)
        codes = known.geometry.project(features)
        glances = self._session.glance_each(keys, codes, known, ground)
        logits = known.router().logits(features) if known.learned else features[:, :0]
        found = zip(rows, glances, logits, strict=True)
        return [PrefetchedAssessment(row, ground, glance, route) for row, glance, route in found]

    def look(
        self,
        event: Observation,
        features: Features,
        known: Knowledge,
        ahead: PrefetchedAssessment | None = None,
    ) -> Iterator[Message | StoreLabelCandidates]:
        """Yield the decision on an observation, then a drift alarm where one is raised or ends,
        then what is worth a label where that has changed.

        features: uint8 [width].  ahead: what `foresee` said of it, which saves time and changes
        nothing.  The observation is kept for a late label.
        """
        session = self._session
        if not known.memory.keys:
            session.recent.put(event.key, _seen(event, features, self._config.first_domain))
            yield _undecided(event)
            return
        stream = session.streams.of(event.stream)
        ground = session.lay(known)
        if ahead is not None and ahead.ground is not ground:
            ahead = None
        if stream.version != session.version:
            stream.refresh(lambda g: session.glance(g.key, g.codes, known, ground), session.version)
        if ahead is not None:
            glance = ahead.glance
        else:
            codes = known.geometry.project(features[None])
            glance = session.glance(event.key, codes, known, ground)
        stream.push(glance)
        window = self._judge(stream, known)
        domain = self._route(stream, glance, features, known, ahead)
        guess = self._answer(glance, domain, features, known)
        placed, p_value = glance.placed.domain, glance.verdict.p_value
        session.recent.put(event.key, _seen(event, features, placed, guess, p_value))
        opening = self._alarms.turn(stream, window, known, ground)
        alarms = tuple(self._turn(event, stream, opening, window))
        self._alarms.settle(stream)
        yield _decision(event, domain, guess, glance.verdict, window, stream, known)
        yield from alarms
        yield from self._nomination.renew(event.stream, stream, known)

    def seen(self, observation_id: str) -> BufferedObservation | None:
        """Return a recent observation, or None where it has expired."""
        return self._session.recent.get(observation_id)

    def learned(self, facts: Iterable[Fact]) -> None:
        """Take note of new facts: they stand for themselves, and tell how answers did."""
        for fact in facts:
            seen = self._session.recent.get(fact.id)
            if seen is not None and seen.guess:
                right = seen.guess == fact.label
                self._session.tally.put(fact.id, fact.domain, right=right)
            self._session.openings.drop((fact.id,))
        self.changed()

    def served(self, domain: str) -> ServedAnswer:
        """Return how the answers served did on a domain's newest labelled observations."""
        return self._session.tally.of(domain)

    def waiting(self, selector: Selector) -> Iterator[str]:
        """Yield unlabelled observations that a request reaches: without domain or label yet."""
        if selector.domain is not None or selector.label is not None:
            return
        for key, seen in self._session.recent.items():
            row = Fact(
                id=key,
                stream=seen.stream,
                domain="",
                label="",
                captured_at_ns=seen.captured_at_ns,
                features=b"",
                subject=seen.subject,
            )
            if selector.matches(row):
                yield key

    def changed(self) -> None:
        """Take note that knowledge has changed: windows are judged again when next needed."""
        self._session.version += 1

    def forget(self, observation_ids: frozenset[str]) -> None:
        """Drop observations, and all windows, which may hold them."""
        self._session.forget(observation_ids)

    def clear_windows(self) -> None:
        """Drop all windows: what they hold was projected with another geometry, or is forgotten."""
        self._session.streams.clear()
        self.changed()

    def rename(self, old: str, new: str) -> bool:
        """Let late labels follow a renamed domain; True where anything waited for it."""
        return self._session.rename(old, new)

    def _route(
        self,
        stream: StreamState,
        glance: SampleAssessment,
        features: Features,
        known: Knowledge,
        ahead: PrefetchedAssessment | None,
    ) -> str:
        """Return the domain that a sample belongs to, in the light of its stream's last ones; the
        nearest where it is new.  The router judges between domains with facts here; one known by
        other devices' sums alone is where the detector says so."""
        if known.is_foreign(glance.verdict.domain):
            return glance.verdict.domain
        router = known.router()
        logits = router.logits(features) if ahead is None else ahead.logits
        routed = stream.trail.follow(router.domains, logits)
        return glance.verdict.domain if glance.verdict.known is False else routed

    def _answer(
        self, glance: SampleAssessment, domain: str, features: Features, known: Knowledge
    ) -> str:
        """Let the domain answer, or, for a sample that is new to it, the nearest domains."""
        if glance.verdict.known is not False:
            return known.answer(domain, features)
        return mix_experts(glance.learned, features, known)

    def _judge(self, stream: StreamState, known: Knowledge) -> hdc.WindowVerdict | None:
        if not stream.full:
            return None
        verdicts = [glance.verdict for glance in stream.window]
        return hdc.detect_window(verdicts, known.calibration(), self._config.false_alarm_rate)

    def _turn(
        self,
        event: Observation,
        stream: StreamState,
        opening: str | None,
        window: hdc.WindowVerdict | None,
    ) -> Iterator[DriftAlarm]:
        if opening is None or window is None:
            return
        stream.opening = opening
        yield DriftAlarm(
            stream=event.stream,
            observation_id=event.key,
            captured_at_ns=event.captured_at_ns,
            raised=stream.alarmed,
            window_p=window.p_value,
            domain=opening or stream.here,
        )


def _seen(
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
    )


def _decision(
    event: Observation,
    domain: str,
    guess: str,
    verdict: hdc.Verdict,
    window: hdc.WindowVerdict | None,
    stream: StreamState,
    known: Knowledge,
) -> Decision:
    return Decision(
        observation_id=event.key,
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
        degraded=stream.alarmed and stream.opening not in known.domains,
    )


def _undecided(event: Observation) -> Decision:
    reason = "nothing is learned yet"
    return Decision(
        observation_id=event.key,
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
        reason=reason,
    )
