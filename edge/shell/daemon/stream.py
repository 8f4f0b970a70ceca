"""What is known of each stream while the daemon runs: counters, pace, and its newest decision."""

from collections import deque
from typing import Final

from ...core import Decision, DriftAlarm
from ..sources import StreamSettings
from ..status import StreamStatus

RATE_SECONDS: Final = 10
NOVEL_WINDOW: Final = 64
BURST_S: Final = 1.0
NAMES_MAX: Final = 4_096
"""Unknown names remembered for a stream, so that each is logged once: a message's most fields."""


class Stream:
    """One stream.  Counters only grow; what they count is in `StreamStatus`.

    run: distinguishes the ids of this run from those of any other.
    """

    def __init__(self, name: str, settings: StreamSettings, run: str) -> None:
        self.name, self.settings = name, settings
        self.received = self.decided = self.dropped = self.rejected = 0
        self.waiting = 0
        self.trouble = ""
        self.alarmed = self.degraded = False
        self._run = run
        self._numbered = 0
        self._domain = self._label = ""
        self._last_at_ns = 0
        self._novel: deque[bool] = deque(maxlen=NOVEL_WINDOW)
        self._counts: deque[int] = deque([0], maxlen=RATE_SECONDS + 1)
        self._credit, self._credited_ns = 0.0, 0
        self._given: tuple[str, ...] = ()
        self._known: tuple[str, ...] = ()
        self._strange: set[str] = set()

    def number(self) -> tuple[int, str]:
        """Return the next observation's number and its id, unique for ever."""
        self._numbered += 1
        return self._numbered, f"{self.name}:{self._run}-{self._numbered}"

    def allows(self, now_ns: int) -> bool:
        """Say whether another measurement may come now: rate_max, with a burst of a second."""
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
        """Return the names of values that are not known and were not seen here before."""
        if given == self._given and known == self._known:
            return ()
        self._given, self._known = given, known
        new = tuple(name for name in given if name not in known and name not in self._strange)
        if len(self._strange) < NAMES_MAX:
            self._strange.update(new)
        return new

    def note(self, message: Decision | DriftAlarm) -> None:
        """Take note of a decision, or of an alarm that is raised or ends."""
        if isinstance(message, DriftAlarm):
            self.alarmed = message.raised
            return
        self.decided += 1
        self._novel.append(message.known is False)
        self.alarmed, self.degraded = message.alarm, message.degraded
        self._domain, self._label = message.domain, message.label or ""
        self._last_at_ns = message.captured_at_ns

    def sample(self) -> None:
        """Note the count; call it each second."""
        self._counts.append(self.decided)

    def status(self) -> StreamStatus:
        """Return a snapshot."""
        seconds = max(len(self._counts) - 1, 1)
        novel = 100 * sum(self._novel) / len(self._novel) if self._novel else None
        return StreamStatus(
            name=self.name,
            source=str(self.settings.__struct_config__.tag),
            home=self.settings.home,
            kind=self.settings.kind,
            trouble=self.trouble,
            received=self.received,
            decided=self.decided,
            dropped=self.dropped,
            rejected=self.rejected,
            waiting=self.waiting,
            per_second=(self._counts[-1] - self._counts[0]) / seconds,
            novel_percent=novel,
            alarmed=self.alarmed,
            degraded=self.degraded,
            domain=self._domain,
            label=self._label,
            last_at_ns=self._last_at_ns,
        )
