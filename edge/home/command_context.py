"""What the desk and the fleet ask of the loop."""

from collections.abc import Mapping
from typing import Any, Protocol

from ..core import Event, Message
from ..mqtt import DaemonStatus
from .home import Home


class HomeAccess(Protocol):
    """Where the loop keeps a home."""

    @property
    def home(self) -> Home | None:
        """The home, where it is open."""


class CommandContext(Protocol):
    """What the desk asks of the loop."""

    @property
    def homes(self) -> Mapping[str, HomeAccess]:
        """The homes by name; "" is that of the settings."""

    def now_ns(self) -> int:
        """The time, or, where the clock is not set, what is sure of it."""

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """Have an event handled and told; raises EdgeError where that cannot be."""

    def tell(self, message: Any) -> None:
        """Tell a message."""

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """Tell an answer."""

    def status(self) -> DaemonStatus:
        """Say how the daemon is."""

    def pause(self, *, paused: bool) -> None:
        """Stop deciding, or go on."""

    def reload(self) -> tuple[str, ...]:
        """Read the settings again; what was done, and what needs a restart."""

    def rebirth(self) -> None:
        """Announce the device again."""
