"""Several presences on one connection, and whom the settings ask for."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..config import MqttSettings
from ..core import ConfigError
from .homeassistant import HomeAssistant
from .packets import InboundMessage, OutboundMessage, Presence
from .status import StatusPresence
from .streams import Streams

if TYPE_CHECKING:
    from .sparkplug import Sparkplug


class Presences:
    """Speaks for several; the first gives the will, there is one a connection."""

    def __init__(self, *parts: Presence) -> None:
        self._parts = parts

    def will(self) -> OutboundMessage | None:
        """Return the will of the first."""
        return self._parts[0].will()

    def hello(self) -> Iterable[OutboundMessage]:
        """Return all greetings."""
        return [letter for part in self._parts for letter in part.hello()]

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return all farewells."""
        return [letter for part in self._parts for letter in part.farewell()]

    def filters(self) -> Iterable[str]:
        """Return all that is listened to."""
        return [one for part in self._parts for one in part.filters()]

    def hear(self, arrival: InboundMessage) -> bool:
        """Give an arrival to the first that it is meant for."""
        return any(part.hear(arrival) for part in self._parts)

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Return all that is due."""
        return [letter for part in self._parts for letter in part.due(now_s)]


def make_presence(
    settings: MqttSettings,
    device: str,
    version: str,
    streams: Callable[[], Streams],
    clock_ns: Callable[[], int] = time.time_ns,
) -> Presence:
    """Make the presence of a device: its status, and Home Assistant's where it is asked for.

    streams: gives those to announce at the moment.  clock_ns: nanoseconds since 1970.
    """
    status = StatusPresence(device, version, clock_ns)
    if settings.homeassistant is None:
        return status
    return Presences(status, HomeAssistant(settings.homeassistant, device, version, streams))


def make_sparkplug(
    settings: MqttSettings,
    device: str,
    version: str,
    streams: Streams,
    clock_ns: Callable[[], int] = time.time_ns,
) -> "Sparkplug":
    """Make the edge node that [mqtt.sparkplug] asks for; raises ConfigError without its extra."""
    try:
        from .sparkplug import Sparkplug
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"[mqtt.sparkplug]: {error}", "install the extra: pip install 'auricle[sparkplug]'"
        ) from error
    return Sparkplug(settings, device, version, streams, clock_ns)
