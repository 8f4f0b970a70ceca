"""Counts the reason codes of MQTT 5 by name, and logs failures at a limited rate."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from ...logs import log
from ..packets import REFUSED_MIN

NO_SUBSCRIBERS: Final = 16
"""Reason code "No matching subscribers" (MQTT 5.0, section 2.4)."""

TAKEN_OVER: Final = 142
"""Reason code "Session taken over" (MQTT 5.0, section 2.4)."""

REPEAT_S: Final = 60.0
"""The same error is logged once in this time.  Chosen by hand; effect not measured."""


class ReasonCounters(msgspec.Struct, kw_only=True):
    """Counters of a broker connection since the start.

    reasons: by "PACKET: Name".  unclean: disconnects without a DISCONNECT packet from either side.
    """

    published: int = 0
    answered: int = 0
    no_subscribers: int = 0
    refused: int = 0
    lost: int = 0
    arrived: int = 0
    malformed: int = 0
    connected: int = 0
    connect_failed: int = 0
    disconnected: int = 0
    unclean: int = 0
    taken_over: int = 0
    reasons: Counter[str] = msgspec.field(default_factory=Counter)


class ReasonLog:
    """Counts reason codes, and logs each failure at most once every `REPEAT_S`."""

    def __init__(self, counters: ReasonCounters, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._logged: dict[str, float] = {}
        self._refused_filters: dict[str, str] = {}
        self._refused = ""
        self._refused_at = -REPEAT_S

    def note(self, packet: str, code: int, name: str, topic: str) -> None:
        """Count a packet's reason code.  topic: of the refused packet; empty if unknown."""
        key = f"{packet}: {name}"
        self._counters.reasons[key] += 1
        if packet in {"SUBACK", "UNSUBACK"}:
            self._refused_filters.pop(topic, None)
        if code >= REFUSED_MIN:
            if packet == "SUBACK":
                self._refused_filters[topic] = name
            elif topic:
                self._refused, self._refused_at = f"{topic} is refused: {name}", self._clock()
            self.log_error("mqtt_refused", key, packet=packet, code=code, reason=name, topic=topic)

    @property
    def refusal(self) -> str:
        """The broker's refusal: a subscription, or a message within the last `REPEAT_S`; empty if
        none."""
        for topic, name in self._refused_filters.items():
            return f"the subscription to {topic} is refused: {name}"
        recent = self._clock() - self._refused_at < REPEAT_S
        return self._refused if recent else ""

    def log_error(self, event: str, key: str = "", **context: object) -> None:
        """Log an error, unless one of the same event and key was logged within `REPEAT_S`."""
        now = self._clock()
        if now - self._logged.get(event + key, -REPEAT_S) >= REPEAT_S:
            self._logged[event + key] = now
            log.error(event, **context)
