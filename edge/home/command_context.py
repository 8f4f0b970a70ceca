"""The interface of the daemon to commands and the fleet."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..core import Event, Message
from ..mqtt import DaemonStatus
from ..storage import HistoryEvent
from .home import Home


class HomeAccess(Protocol):
    """The place of one home in a daemon."""

    @property
    def home(self) -> Home | None:
        """The home, None while it is not open."""


class CommandContext(Protocol):
    """What commands and the fleet may do with a daemon; for the loop's thread alone."""

    @property
    def homes(self) -> Mapping[str, HomeAccess]:
        """The homes by name; "" is the one of the settings."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970; an estimate while the wall clock is unset."""

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """Let a home handle an event, and publish the messages; raises EdgeError if it cannot."""

    def publish(self, message: Any) -> None:
        """Publish a message."""

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """Publish a response at a topic, with its correlation data."""

    def watch(self, message_id: int, act: Callable[[bool], None]) -> None:
        """Call `act` once the outcome of a message is known that was sent past the outbox, with
        whether the broker has taken it."""

    def note(self, home: str, event: HistoryEvent) -> None:
        """Add an event to the history of a home."""

    def record_history(self) -> None:
        """Write what has happened so far into the history of each home."""

    def status(self) -> DaemonStatus:
        """Return the status of the daemon."""

    def pause(self, *, paused: bool) -> None:
        """Stop deciding, or go on."""

    def reload(self) -> tuple[str, ...]:
        """Read the settings again; returns the changed keys, and those that need a restart."""

    def rebirth(self) -> None:
        """Announce the device again."""
