"""Session state of each stream: its recent verdicts, and whether it is in alarm.

A crash may cost this state: verdict, route and answer do not depend on it.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import hdc

from . import limits


@dataclass(slots=True)
class Stream:
    """A stream's last observations, and the domain it is opening while it is in alarm.

    `version`: of the knowledge its verdicts were given by.  `outside`: observations in a row at
    which its window lay outside every known domain.
    """

    length: int
    opening: str = ""
    version: int = 0
    outside: int = 0
    _window: deque[tuple[str, hdc.Codes, hdc.Verdict]] = field(default_factory=deque)
    _left: deque[tuple[str, hdc.Verdict]] = field(default_factory=deque)

    @property
    def alarmed(self) -> bool:
        """True from an alarm until the window is back inside a known domain."""
        return bool(self.opening)

    @property
    def drifted(self) -> bool:
        """True once the window lay outside for so long that the first such window and this one
        share no observation: no single stray sample does that, and chance does it at about the
        square of the ordered rate."""
        return self.outside > self.length

    @property
    def verdicts(self) -> tuple[hdc.Verdict, ...]:
        """The window's verdicts, oldest first."""
        return tuple(verdict for _, _, verdict in self._window)

    def verdicts_by_key(self) -> tuple[tuple[str, hdc.Verdict], ...]:
        """Return the ids and verdicts of the window before and of this one, oldest first."""
        return (*self._left, *((key, verdict) for key, _, verdict in self._window))

    def push(self, key: str, codes: hdc.Codes, verdict: hdc.Verdict) -> bool:
        """Keep a verdict and what it was given for; True once the window is full."""
        self._window.append((key, codes, verdict))
        if len(self._window) > self.length:
            left, _, said = self._window.popleft()
            self._left.append((left, said))
        if len(self._left) > self.length:
            self._left.popleft()
        return len(self._window) == self.length

    def refresh(self, detect: Callable[[hdc.Codes], hdc.Verdict], version: int) -> None:
        """Give every verdict again, after knowledge has changed to `version`."""
        self._window = deque((key, codes, detect(codes)) for key, codes, _ in self._window)
        self.version = version

    def note(self, *, known: bool | None) -> None:
        """Take note of the verdict on the window; None ends a row as well."""
        self.outside = self.outside + 1 if known is False else 0

    def clear(self) -> None:
        """Drop the windows: they may hold what was just forgotten."""
        self._window.clear()
        self._left.clear()
        self.outside = 0


class Streams:
    """The streams heard of, bounded: the one silent for longest goes first."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._streams: OrderedDict[str, Stream] = OrderedDict()

    def of(self, name: str) -> Stream:
        """Return a stream's state, new where it was not known."""
        if name not in self._streams:
            self._streams[name] = Stream(self._window)
            if len(self._streams) > limits.STREAMS_MAX:
                self._streams.popitem(last=False)
        self._streams.move_to_end(name)
        return self._streams[name]

    def openings(self) -> frozenset[str]:
        """Return the names of domains being opened by streams in alarm."""
        return frozenset(stream.opening for stream in self._streams.values() if stream.opening)

    def rename(self, old: str, new: str) -> bool:
        """Let streams that open a domain open another; True where one did."""
        renamed = [stream for stream in self._streams.values() if stream.opening == old]
        for stream in renamed:
            stream.opening = new
        return bool(renamed)

    def clear(self) -> None:
        """Drop all windows."""
        for stream in self._streams.values():
            stream.clear()
