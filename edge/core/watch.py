"""Watching: session state of the streams, and the decision on each observation.

A crash may cost this state; verdict, route and answer do not depend on it.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import hdc

from .config import Config
from .events import Decision, DriftAlarm, Message, Observation
from .facts import Fact, Selector
from .knowledge import Knowledge
from .recent import Recent, Seen
from .streams import Stream, Streams

Features = NDArray[np.uint8]


class Watch:
    """Recent observations awaiting labels, and each stream's window.  config: of the runtime.

    `changed` must be called whenever knowledge has changed.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._recent = Recent()
        self._streams = Streams(config.window)
        self._version = 0

    def look(self, event: Observation, features: Features, known: Knowledge) -> Iterator[Message]:
        """Yield the decision on an observation, then a drift alarm where one is raised or ends.

        features: uint8 [width].  The observation is kept for a late label.
        """
        stream = self._streams.of(event.stream)
        if not known.memory.keys:
            self._recent.put(event.key, _seen(event, features, self._config.first_domain))
            yield _undecided(event)
            return
        codes = known.geometry.project(features[None])
        verdict = self._detect(codes, known)
        window = self._judge(stream, codes, verdict, event.key, known)
        alarm = tuple(self._alarm(event, stream, window, known))
        self._recent.put(event.key, _seen(event, features, stream.opening or verdict.domain))
        if alarm and stream.alarmed:
            self._redirect(stream)
        yield _decision(event, known.answer(verdict.domain, features), verdict, window, stream)
        yield from alarm

    def seen(self, observation_id: str) -> Seen | None:
        """Return a recent observation, or None where it has expired."""
        return self._recent.get(observation_id)

    def waiting(self, selector: Selector) -> Iterator[str]:
        """Yield unlabelled observations that a request reaches: without domain or label yet."""
        if selector.domain is not None or selector.label is not None:
            return
        for key, seen in self._recent.items():
            row = Fact(key, seen.stream, "", "", seen.captured_at_ns, b"", seen.subject)
            if selector.matches(row):
                yield key

    def changed(self) -> None:
        """Take note that knowledge has changed: windows are judged again when next needed."""
        self._version += 1

    def forget(self, observation_ids: frozenset[str]) -> None:
        """Drop observations, and all windows, which may hold them."""
        self._recent.drop(observation_ids)
        self.clear_windows()

    def clear_windows(self) -> None:
        """Drop all windows: what they hold was projected with another geometry, or is forgotten."""
        self._streams.clear()
        self.changed()

    def rename(self, old: str, new: str) -> bool:
        """Let late labels follow a renamed domain; True where any observation or stream did."""
        waiting = self._recent.rename(old, new)
        return self._streams.rename(old, new) or waiting

    def _detect(self, codes: hdc.Codes, known: Knowledge) -> hdc.Verdict:
        rate = self._config.false_alarm_rate
        return hdc.detect(codes, known.memory, known.calibration(), rate)

    def _judge(
        self,
        stream: Stream,
        codes: hdc.Codes,
        verdict: hdc.Verdict,
        key: str,
        known: Knowledge,
    ) -> hdc.WindowVerdict | None:
        """Judge the stream's window, its older verdicts brought up to date with what is known."""
        if stream.version != self._version:
            stream.refresh(lambda codes: self._detect(codes, known), self._version)
        if not stream.push(key, codes, verdict):
            return None
        rate = self._config.false_alarm_rate
        return hdc.detect_window(stream.verdicts, known.calibration(), rate)

    def _alarm(
        self,
        event: Observation,
        stream: Stream,
        window: hdc.WindowVerdict | None,
        known: Knowledge,
    ) -> Iterator[DriftAlarm]:
        stream.note(known=window.known if window else None)
        if window is None or not (window.known if stream.alarmed else stream.drifted):
            return
        stream.opening = "" if stream.alarmed else self._next_domain(known)
        yield DriftAlarm(
            event.stream,
            event.key,
            event.captured_at_ns,
            stream.alarmed,
            window.p_value,
            stream.opening or window.domain,
        )

    def _redirect(self, stream: Stream) -> None:
        """Let late labels of the unknown samples that led to an alarm go to the domain it opens."""
        for key, verdict in stream.verdicts_by_key():
            seen = self._recent.get(key)
            if verdict.known is False and seen is not None:
                self._recent.put(key, replace(seen, domain=stream.opening))

    def _next_domain(self, known: Knowledge) -> str:
        taken = {*known.domains, *self._streams.openings()}
        number = len(known.domains) + 1
        while f"domain-{number}" in taken:
            number += 1
        return f"domain-{number}"


def _seen(event: Observation, features: Features, domain: str) -> Seen:
    raw = features.tobytes()
    return Seen(event.stream, event.subject, event.captured_at_ns, domain, raw)


def _decision(
    event: Observation,
    guess: str,
    verdict: hdc.Verdict,
    window: hdc.WindowVerdict | None,
    stream: Stream,
) -> Decision:
    return Decision(
        event.key,
        event.stream,
        event.captured_at_ns,
        verdict.known,
        verdict.domain,
        None if verdict.known is False else guess,
        guess,
        float(verdict.score),
        verdict.p_value,
        window.p_value if window else 1.0,
        stream.alarmed,
        verdict.shortfall.reason if verdict.shortfall else "",
    )


def _undecided(event: Observation) -> Decision:
    reason = "nothing is learned yet"
    return Decision(
        event.key,
        event.stream,
        event.captured_at_ns,
        None,
        "",
        None,
        "",
        0.0,
        1.0,
        1.0,
        alarm=False,
        reason=reason,
    )
