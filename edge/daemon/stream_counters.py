"""Counters, rate limit and newest answer of each stream while the daemon runs."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from ..config import StreamSettings
from ..core import ChangePoint, Decision, DriftAlarm, SeriesAnomaly, SeriesForecast
from ..logs import RateLimitedLog
from ..mqtt import StreamStatus

RATE_SECONDS: Final = 10
"""Seconds that `per_second` of the status averages over.  Chosen by hand; effect not measured."""

NOVEL_WINDOW: Final = 64
"""Decisions that `novel_percent` of the status averages over.  Chosen by hand; effect not
measured."""

BURST_S: Final = 1.0
"""Seconds of `rate_max` that may come at once: the limit is stated per second."""

NAMES_MAX: Final = 4_096
"""Unknown column names kept per stream, so that each is logged once: a message has at most so many
fields."""

REJECTED_MAX: Final = 10
"""Consecutive rejections after which a working stream has a problem; a single bad measurement among
good ones is not one.  Chosen by hand; effect not measured."""

CHANNELS_LOGGED: Final = 8
"""Channels of a change that the log lists: enough to find the cause; a series has up to 512."""


class StreamCounters:
    """One stream.  Counters only grow; `StreamStatus` describes them.

    run: part of each id, so that no two runs give the same id.
    """

    def __init__(self, name: str, settings: StreamSettings, run: str) -> None:
        self.name, self.settings = name, settings
        self.received = self.decided = self.dropped = self.rejected = 0
        self.forecasts = self.changes = self.alarms = 0
        self.waiting = 0
        self.problem = ""
        self.alarmed = self.degraded = False
        self._run = run
        self._numbered = 0
        self._domain = self._label = ""
        self._last_at_ns = 0
        self._observed: tuple[float | None, float | None, float | None] = (None, None, None)
        self._rejected_in_row = 0
        self._rejection: tuple[str, str] = ("", "")
        self._change: ChangePoint | None = None
        self._anomaly: SeriesAnomaly | None = None
        self._alarm_domain = ""
        self._log = RateLimitedLog()
        self._novel: deque[bool] = deque(maxlen=NOVEL_WINDOW)
        self._counts: deque[int] = deque([0], maxlen=RATE_SECONDS + 1)
        self._credit, self._credited_ns = 0.0, 0
        self._given: tuple[str, ...] = ()
        self._known: tuple[str, ...] = ()
        self._unknown: set[str] = set()

    def number(self) -> tuple[int, str]:
        """Return the number and the unique id of the next observation."""
        self._numbered += 1
        return self._numbered, f"{self.name}:{self._run}-{self._numbered}"

    def allows(self, now_ns: int) -> bool:
        """Return whether `rate_max` allows another measurement now (a token bucket)."""
        rate = self.settings.rate_max
        if not rate:
            return True
        earned = (now_ns - self._credited_ns) * rate / 1e9
        self._credited_ns = now_ns
        self._credit = min(max(rate * BURST_S, 1.0), self._credit + earned)
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def new_names(self, given: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
        """Return the column names that are unknown and appear for the first time."""
        if given == self._given and known == self._known:
            return ()
        self._given, self._known = given, known
        new = tuple(name for name in given if name not in known and name not in self._unknown)
        if len(self._unknown) < NAMES_MAX:
            self._unknown.update(new)
        return new

    def count(
        self, message: Decision | DriftAlarm | SeriesForecast | ChangePoint | SeriesAnomaly
    ) -> None:
        """Count a decision, a forecast, a change point, or an alarm that is raised or ends."""
        match message:
            case Decision():
                self.decided += 1
                self._novel.append(message.known is False)
                self.alarmed, self.degraded = message.alarm, message.degraded
                self._domain, self._label = message.domain, message.label or ""
                self._observed = message.observed_rate, message.observed_low, message.observed_high
                self._record_answer(message.captured_at_ns)
            case DriftAlarm():
                self.alarmed = message.raised
                self.degraded = self.degraded and message.raised
                self.alarms += message.raised
                self._alarm_domain = message.domain
            case ChangePoint():
                self.changes += 1
                self._change = message
            case SeriesAnomaly():
                self.alarms += 1
                self._anomaly = message
            case SeriesForecast():
                self.forecasts += 1
                self.alarmed = message.anomaly_alarm
                self._record_answer(message.captured_at_ns)

    def reject(self, reason: str, hint: str) -> None:
        """Count a measurement that cannot be used."""
        self.rejected += 1
        self._rejected_in_row += 1
        self._rejection = reason, hint

    @property
    def rejecting(self) -> str:
        """The reason if all measurements so far were rejected, or the last `REJECTED_MAX`; else
        ''."""
        row = self._rejected_in_row
        answered = self.decided + self.forecasts
        if not row or (answered and row < REJECTED_MAX):
            return ""
        which = f"the last {row}" if answered else f"all {row}"
        return f"{which} measurements were rejected: {self._rejection[0]}"

    def sample(self) -> None:
        """Store the counts for `per_second`; call it each second."""
        self._counts.append(self.decided + self.forecasts)

    def log_news(self, now_s: float) -> None:
        """Log rejections, alarms and changes since the last call; call it each second.

        Ids and subjects stay out of the log, because a request to forget cannot reach it.
        """
        warn, name = self._log.warn, self.name
        reason, hint = self._rejection
        warn("measurements_rejected", self.rejected, now_s, stream=name, reason=reason, hint=hint)
        self._log_alarms(now_s)
        if self._change is not None:
            found, channels = self._change, list(self._change.channels[:CHANNELS_LOGGED])
            warn(
                "series_changed",
                self.changes,
                now_s,
                stream=name,
                change=found.change,
                channels=channels,
                severity=round(found.severity, 3),
            )

    def _log_alarms(self, now_s: float) -> None:
        warn, name, ongoing = self._log.warn, self.name, self.alarmed
        found = self._anomaly
        if found is None:
            domain = self._alarm_domain
            warn("alarm_raised", self.alarms, now_s, stream=name, domain=domain, ongoing=ongoing)
            return
        warn(
            "series_anomaly",
            self.alarms,
            now_s,
            stream=name,
            channels=list(found.channels[:CHANNELS_LOGGED]),
            score=round(found.score, 2),
            scale=found.scale,
            ongoing=ongoing,
        )

    def _record_answer(self, captured_at_ns: int) -> None:
        self._rejected_in_row = 0
        self._last_at_ns = captured_at_ns

    def status(self, question_at_ns: int = 0) -> StreamStatus:
        """Return a snapshot.  question_at_ns: when a lasting alarm began that waits for an answer,
        0 for none."""
        rate, low, high = self._observed
        seconds = max(len(self._counts) - 1, 1)
        novel = 100 * sum(self._novel) / len(self._novel) if self._novel else None
        return StreamStatus(
            name=self.name,
            source=str(self.settings.__struct_config__.tag),
            home=self.settings.home,
            kind=self.settings.kind,
            problem=self.problem,
            received=self.received,
            decided=self.decided,
            dropped=self.dropped,
            rejected=self.rejected,
            input_problem=self.rejecting,
            forecasts=self.forecasts,
            change_points=self.changes,
            alarms=self.alarms,
            waiting=self.waiting,
            per_second=(self._counts[-1] - self._counts[0]) / seconds,
            novel_percent=novel,
            alarmed=self.alarmed,
            degraded=self.degraded,
            domain=self._domain,
            label=self._label,
            last_at_ns=self._last_at_ns,
            observed_rate=rate,
            observed_low=low,
            observed_high=high,
            question_at_ns=question_at_ns,
        )


def make_streams(
    settings: Mapping[str, StreamSettings],
    run: str,
    before: Mapping[str, StreamCounters] | None = None,
) -> dict[str, StreamCounters]:
    """Return counters for streams by name; those of streams with the same source continue.

    before: counters of the settings that are replaced.
    """
    kept = {} if before is None else before
    streams = {}
    for name, given in settings.items():
        old = kept.get(name)
        if old is not None and type(old.settings) is type(given):
            old.settings = given
            streams[name] = old
        else:
            streams[name] = StreamCounters(name, given, run)
    return streams
