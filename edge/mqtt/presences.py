"""The presences of a device: its retained status, Home Assistant discovery and Sparkplug B."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from ..config import MqttSettings
from ..core import ConfigError
from ..extras import install_command
from .homeassistant import HomeAssistant, HomeAssistantDevice
from .messages import DeviceStatus
from .packets import InboundMessage, OutboundMessage
from .presence import Presence, SilentPresence, Streams
from .topics import ROOT, Topics

if TYPE_CHECKING:
    from .sparkplug import Sparkplug


class StatusPresence(SilentPresence):
    """Publishes the retained status, online and offline, and sets the will to "lost".

    version: of the program.  clock_ns: nanoseconds since 1970.
    """

    def __init__(
        self, device: str, version: str, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._topic = Topics(device).status
        self._device = device
        self._version = version
        self._clock_ns = clock_ns
        self._since_ns = clock_ns()

    def will(self) -> OutboundMessage:
        """Return the status that the broker publishes if the device vanishes."""
        self._since_ns = self._clock_ns()
        return self._message(DeviceStatus("offline", self._version, self._since_ns, "lost"))

    def birth(self) -> Iterable[OutboundMessage]:
        """Return the status "online"."""
        return (self._message(DeviceStatus("online", self._version, self._since_ns)),)

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return the status "offline" of an orderly stop."""
        return (self._message(DeviceStatus("offline", self._version, self._since_ns, "stopped")),)

    def _message(self, status: DeviceStatus) -> OutboundMessage:
        head = {"schema": f"{ROOT}/status", "device": self._device}
        body = msgspec.json.encode(head | msgspec.structs.asdict(status))
        return OutboundMessage(self._topic, body, retain=True)


class Presences:
    """Several presences on one connection.  MQTT allows one will, which the first provides."""

    def __init__(self, *parts: Presence) -> None:
        self._parts = parts

    def will(self) -> OutboundMessage | None:
        """Return the will of the first presence."""
        return self._parts[0].will()

    def birth(self) -> Iterable[OutboundMessage]:
        """Return the birth messages of all."""
        return [message for part in self._parts for message in part.birth()]

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return the farewell messages of all."""
        return [message for part in self._parts for message in part.farewell()]

    def filters(self) -> Iterable[str]:
        """Return the topic filters of all."""
        return [one for part in self._parts for one in part.filters()]

    def handle(self, message: InboundMessage) -> bool:
        """Pass a message on until one presence handles it."""
        return any(part.handle(message) for part in self._parts)

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Return the messages of all that are due."""
        return [message for part in self._parts for message in part.due(now_s)]


def make_presence(
    settings: MqttSettings,
    device: str,
    version: str,
    panel: HomeAssistantDevice,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Presence:
    """Return a device's presence: its status, and Home Assistant if configured.

    panel: what Home Assistant shows.  clock_ns: nanoseconds since 1970.
    """
    status = StatusPresence(device, version, clock_ns)
    if settings.homeassistant is None:
        return status
    return Presences(status, HomeAssistant(settings.homeassistant, device, panel))


def make_sparkplug(
    settings: MqttSettings,
    device: str,
    version: str,
    streams: Streams,
    clock_ns: Callable[[], int] = time.time_ns,
) -> "Sparkplug":
    """Return the edge node of [mqtt.sparkplug]; raises ConfigError if its extra is missing."""
    try:
        from .sparkplug import Sparkplug
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"[mqtt.sparkplug]: {error}", f"install the extra: {install_command('sparkplug')}"
        ) from error
    return Sparkplug(settings, device, version, streams, clock_ns)
