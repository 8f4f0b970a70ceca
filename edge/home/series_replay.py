"""Series after a forget request: erases what forgotten samples have shaped, and processes the
others again between decisions."""

import time
from collections.abc import Callable
from typing import Final

from ..core import Message
from ..core.forecasting import ErasedSeries, SeriesTracker
from ..storage import HistoryFile, SeriesStateFile
from .series_trail import SeriesTrail

REPLAY_S: Final = 0.02
"""Seconds for which samples of series are processed again between decisions: within the 50 ms that
a forget request may delay one, with a margin for the last sample and a slower processor."""


class SeriesReplay:
    """The places where a home keeps samples of series, besides the tracker.

    erased: called with the ids of samples whose messages are void.  samples, whole: these ids, and
    the series whose messages are all void, while it is called.
    """

    def __init__(
        self,
        session: SeriesStateFile,
        trail: SeriesTrail,
        history: HistoryFile,
        erased: Callable[[tuple[str, ...]], None] | None,
    ) -> None:
        self._session, self._trail, self._history = session, trail, history
        self._erased = erased
        self.samples: frozenset[str] = frozenset()
        self.whole: frozenset[str] = frozenset()

    def erase(self, series: SeriesTracker, erased: tuple[ErasedSeries, ...]) -> None:
        """Drop the samples that a forget request has reached, and what they have shaped.  Raises
        StateError if a file cannot be written."""
        if erased or self._session.problem:
            self._session.rewrite(series)
        if not erased:
            return
        for one in erased:
            name = one.report.stream
            self._trail.forget(name, one.keys, whole=one.whole)
            self._history.erase_series(name, 0 if one.whole else one.from_ns)
        if self._erased is not None:
            self.samples = frozenset(key for one in erased for key in one.keys)
            self.whole = frozenset(one.report.stream for one in erased if one.whole)
            self._erased(tuple(self.samples))
            self.samples = self.whole = frozenset()

    def advance(self, series: SeriesTracker) -> tuple[Message, ...]:
        """Process samples again for a short time.  Returns the messages about those that arrived
        since the request."""
        messages = list[Message]()
        until = time.monotonic() + REPLAY_S
        while time.monotonic() < until and (done := series.replay()) is not None:
            if not done.unchanged:
                self._trail.add(done.event, done.messages)
            if done.fresh:
                messages += done.messages
        return tuple(messages)
