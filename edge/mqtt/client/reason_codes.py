"""Reason codes of MQTT 5, counted by name, and told without flooding the log."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from ...logs import log
from ..packets import REFUSED_MIN

NO_SUBSCRIBERS: Final = 16
TAKEN_OVER: Final = 142
REPEAT_S: Final = 60.0
"""The same complaint is logged once in this time."""


class ReasonCounters(msgspec.Struct):
    """What a broker connection counted since the start; `reasons` by "PACKET: Name".  cut: ended
    without a word from either side."""

    published: int = 0
    answered: int = 0
    unheard: int = 0
    refused: int = 0
    lost: int = 0
    arrived: int = 0
    malformed: int = 0
    connected: int = 0
    connect_failed: int = 0
    disconnected: int = 0
    cut: int = 0
    taken_over: int = 0
    reasons: Counter[str] = msgspec.field(default_factory=Counter)


class ReasonLog:
    """Counts reason codes and logs those that say no, each at most once a minute."""

    def __init__(self, counters: ReasonCounters, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._told: dict[str, float] = {}
        self._closed: dict[str, str] = {}
        self._refused = ""
        self._refused_at = -REPEAT_S

    def note(self, packet: str, code: int, name: str, topic: str) -> None:
        """Take a reason code of a packet in."""
        said = f"{packet}: {name}"
        self._counters.reasons[said] += 1
        if packet in {"SUBACK", "UNSUBACK"}:
            self._closed.pop(topic, None)
        if code >= REFUSED_MIN:
            if packet == "SUBACK":
                self._closed[topic] = name
            elif topic:
                self._refused, self._refused_at = f"{topic} is refused: {name}", self._clock()
            self.complain("mqtt_refused", said, packet=packet, code=code, reason=name, topic=topic)

    @property
    def standing(self) -> str:
        """What the broker refuses: topics to listen to, or a message within the last minute; empty
        where nothing."""
        for topic, name in self._closed.items():
            return f"{topic} may not be listened to: {name}"
        lately = self._clock() - self._refused_at < REPEAT_S
        return self._refused if lately else ""

    def complain(self, event: str, about: str = "", **context: object) -> None:
        """Log an error, unless one of the same event and matter was logged within a minute."""
        now = self._clock()
        if now - self._told.get(event + about, -REPEAT_S) >= REPEAT_S:
            self._told[event + about] = now
            log.error(event, **context)

    def tell(self, event: str, **context: object) -> None:
        """Log what went as it should."""
        log.info(event, **context)
