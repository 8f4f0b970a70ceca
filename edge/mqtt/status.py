"""The retained status of a device: what it says on arriving and leaving, and its will."""

import time
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from .packets import OutboundMessage, SilentPresence
from .topics import ROOT, Topics


class DeviceStatus(msgspec.Struct, frozen=True):
    """Whether a device is there.  since_ns: when it came online, also where it has gone since.

    reason: of being offline: "stopped" in order, "lost" where the broker said it in its place.
    """

    state: Literal["online", "offline"]
    version: str
    since_ns: int
    reason: Literal["", "stopped", "lost"] = ""


class StatusPresence(SilentPresence):
    """Keeps the status topic.  version: of the program.  clock_ns: nanoseconds since 1970."""

    def __init__(
        self, device: str, version: str, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._topic = Topics(device).status
        self._device = device
        self._version = version
        self._clock_ns = clock_ns
        self._since_ns = clock_ns()

    def will(self) -> OutboundMessage:
        """Return the status that the broker publishes when the device is lost."""
        self._since_ns = self._clock_ns()
        return self._letter(DeviceStatus("offline", self._version, self._since_ns, "lost"))

    def hello(self) -> Iterable[OutboundMessage]:
        """Return the status "online"."""
        return (self._letter(DeviceStatus("online", self._version, self._since_ns)),)

    def farewell(self) -> Iterable[OutboundMessage]:
        """Return the status "offline", said by the device itself."""
        return (self._letter(DeviceStatus("offline", self._version, self._since_ns, "stopped")),)

    def _letter(self, status: DeviceStatus) -> OutboundMessage:
        head = {"schema": f"{ROOT}/status", "device": self._device}
        body = msgspec.json.encode(head | msgspec.structs.asdict(status))
        return OutboundMessage(self._topic, body, retain=True)
