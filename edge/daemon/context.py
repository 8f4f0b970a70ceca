"""What commands may do with the daemon."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core import Event, Message
from ..mqtt import DaemonStatus
from .homes import HomeSlot

if TYPE_CHECKING:
    from .daemon import Daemon


class DaemonContext:
    """The daemon, as the desk of commands sees it; used in the loop's thread alone."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon

    @property
    def homes(self) -> Mapping[str, HomeSlot]:
        """The homes by name."""
        return self._daemon.homes

    def now_ns(self) -> int:
        """The time, or, where the clock is not set, what is sure of it."""
        return self._daemon.clock.now_ns()

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """Have an event handled and told; raises EdgeError where that cannot be."""
        return self._daemon.loop.feed(home, event)

    def tell(self, message: Any) -> None:
        """Tell a message."""
        self._daemon.teller.tell(message)

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """Tell an answer."""
        self._daemon.teller.answer(message, topic, correlation, kept=kept)

    def status(self) -> DaemonStatus:
        """Say how the daemon is."""
        return self._daemon.status()

    def pause(self, *, paused: bool) -> None:
        """Stop deciding, or go on."""
        self._daemon.loop.paused = paused

    def reload(self) -> tuple[str, ...]:
        """Read the settings again; raises EdgeError where they cannot be used."""
        return self._daemon.reload()

    def rebirth(self) -> None:
        """Announce the device again."""
        self._daemon.rebirth()
