"""The newest published messages in memory, for the control socket.

The loop adds to it; the socket's threads read it without a lock, since a deque is copied in one
step of the interpreter.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from ..core import Decision, SeriesForecast
from ..core import limits as core_limits
from ..mqtt import kind_of

OTHERS_MAX: Final = 512
"""Messages kept that are neither decisions nor forecasts: alarms, changes, receipts and the like,
which come a few a minute."""

PER_STREAM_MAX: Final = 4
"""Newest decisions and forecasts kept of a stream: enough for a client that polls each second."""

ANSWERED_MAX: Final = 500
"""Messages of one answer, the newest: half a megabyte at most."""

CHANNELS_MAX: Final = 32
"""Most channels of a forecast that is returned with its tables; the command `series` returns wider
ones.  64 series of 512 channels would make an answer of 12 MB."""

OFTEN: Final = frozenset({Decision, SeriesForecast})
"""Messages about every observation."""

Entry = tuple[int, int, str, Any]
"""Number, time in ns, home and message."""


class RecentMessages:
    """The newest messages of all homes.  last: number of the newest.  unrecorded: not in the
    history yet, for the loop alone.  Cost of `add`: about a quarter of a microsecond."""

    def __init__(self) -> None:
        self._streams: dict[str, deque[Entry]] = {}
        self._others: deque[Entry] = deque(maxlen=OTHERS_MAX)
        self.unrecorded: deque[Entry] = deque(maxlen=OTHERS_MAX)
        self.last = 0

    def add(self, number: int, at_ns: int, message: Any, home: str = "") -> None:
        """Add a message.  number: of the outbox, 0 if it has none."""
        entry = number, at_ns, home, message
        if type(message) in OFTEN:
            ring = self._streams.get(message.stream)
            if ring is None:
                ring = self._open(message.stream)
            ring.append(entry)
        else:
            self._others.append(entry)
            self.unrecorded.append(entry)
        self.last = number

    def after(self, number: int) -> Iterator[dict[str, Any]]:
        """Yield the messages after a number, oldest first, at most `ANSWERED_MAX`.  A number
        above the last one yields all: the daemon has started again with an empty disk."""
        if number > self.last:
            number = 0
        rings = [self._others.copy(), *(ring.copy() for ring in tuple(self._streams.values()))]
        found = [entry for ring in rings for entry in ring if entry[0] > number]
        found.sort(key=lambda entry: entry[0])
        for sequence, at_ns, home, message in found[-ANSWERED_MAX:]:
            fields = msgspec.to_builtins(_shortened(message))
            kind = kind_of(type(message))
            yield {"number": sequence, "kind": kind, "at_ns": at_ns, "home": home} | {
                name: value for name, value in fields.items() if name != "kind"
            }

    def keep(self, held: Callable[[str, Any], bool]) -> None:
        """Drop the messages about observations that are not held any more: they were forgotten.
        held: returns whether a home still holds the observations of a message."""
        for name, ring in tuple(self._streams.items()):
            self._streams[name] = deque(self._held(ring, held), maxlen=PER_STREAM_MAX)
        self._others = deque(self._held(self._others, held), maxlen=OTHERS_MAX)
        self.unrecorded = deque(self._held(self.unrecorded, held), maxlen=OTHERS_MAX)

    @staticmethod
    def _held(ring: Iterable[Entry], held: Callable[[str, Any], bool]) -> Iterator[Entry]:
        return (entry for entry in ring if held(entry[2], entry[3]))

    def _open(self, stream: str) -> deque[Entry]:
        while len(self._streams) >= core_limits.STREAMS_MAX:
            del self._streams[next(iter(self._streams))]
        ring: deque[Entry] = deque(maxlen=PER_STREAM_MAX)
        # Replaced, not changed: a thread may be reading it.
        self._streams = {**self._streams, stream: ring}
        return ring


def _shortened(message: Any) -> Any:
    """Return a message without the tables of a wide forecast."""
    if isinstance(message, SeriesForecast) and len(message.channels) > CHANNELS_MAX:
        return msgspec.structs.replace(message, point=(), low=(), high=())
    return message
