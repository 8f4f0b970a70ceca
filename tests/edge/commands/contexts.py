"""A command context over one real home, which records the messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.commands.handler import CommandHandler, PendingCommand
from edge.config.commands import VERBS, CommandSettings
from edge.core.events import Event, Message
from edge.home.home import Home
from edge.mqtt.messages import DaemonStatus, Response
from edge.mqtt.packets import InboundMessage
from edge.mqtt.topics import TopicAddress, Topics
from edge.storage.history_file import HistoryEvent
from tests.edge.cli.views.test_status import snapshot
from tests.homes import new_home

NOW = 2_000_000_000 * 10**9


@dataclass
class Slot:
    """The place of a home."""

    home: Home | None


@dataclass
class FakeContext:
    """What commands may do with a daemon."""

    homes: dict[str, Slot]
    at_ns: int = NOW
    published: list[tuple[Any, str, bytes, bool]] = field(default_factory=list)
    fed: list[Event] = field(default_factory=list)
    paused: bool = False
    births: int = 0
    noted: list[tuple[str, HistoryEvent]] = field(default_factory=list)
    watched: dict[int, Callable[[bool], None]] = field(default_factory=dict)

    def now_ns(self) -> int:
        """See `CommandContext`."""
        return self.at_ns

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """See `CommandContext`."""
        self.fed.append(event)
        found = self.homes[home].home
        assert found is not None
        return found.feed(event)

    def publish(self, message: Any) -> None:
        """See `CommandContext`."""
        self.published.append((message, "", b"", False))

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """See `CommandContext`."""
        self.published.append((message, topic, correlation, kept))

    def watch(self, message_id: int, act: Callable[[bool], None]) -> None:
        """See `CommandContext`."""
        self.watched[message_id] = act

    def note(self, home: str, event: HistoryEvent) -> None:
        """See `CommandContext`."""
        self.noted.append((home, event))

    def record_history(self) -> None:
        """See `CommandContext`."""

    def status(self) -> DaemonStatus:
        """See `CommandContext`."""
        return snapshot(problems=("the camera is gone",))

    def pause(self, *, paused: bool) -> None:
        """See `CommandContext`."""
        self.paused = paused

    def reload(self) -> tuple[str, ...]:
        """See `CommandContext`."""
        return ("nothing changed",)

    def rebirth(self) -> None:
        """See `CommandContext`."""
        self.births += 1


class Office:
    """A command handler over a home in a folder; `crash` opens both again."""

    def __init__(
        self,
        folder: Path,
        settings: CommandSettings | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.settings = settings or CommandSettings(enabled=VERBS, per_minute=1_000)
        self._folder, self._clock = folder, clock
        if not (folder / "auricle.toml").exists():
            new_home(folder)
        self._open()

    def _open(self) -> None:
        self.home = Home(self._folder)
        self.context = FakeContext({"": Slot(self.home), "attic": Slot(None)})
        self.handler = CommandHandler(
            self.settings, "gw1", Topics("gw1"), self.context, None, self._clock
        )

    def set(self, line: str) -> None:
        """Write a setting of [knowledge], and open the home again."""
        path = self._folder / "auricle.toml"
        path.write_text(
            path.read_text("utf-8").replace("[knowledge]", f"[knowledge]\n{line}"), "utf-8"
        )
        self.crash()

    def crash(self) -> None:
        """Close the file as it is, and open it again."""
        self.home.close()
        self._open()

    def order(self, payload: bytes, verb: str, **more: Any) -> PendingCommand:
        """Return a pending command as a broker delivers it."""
        given: dict[str, Any] = {
            "retained": False,
            "response_topic": "auricle/v1/desk/response/ann",
            "correlation": b"n1",
            "expiry_s": None,
            "user": (),
            "ticket": 7,
        }
        topic = f"auricle/v1/gw1/command/{verb}"
        arrival = InboundMessage(topic=topic, payload=payload, **(given | more))
        taken = self.handler.receive(arrival, TopicAddress("command", verb))
        assert isinstance(taken, PendingCommand)
        return taken

    def ask(self, verb: str, name: str = "c1", **fields: Any) -> Response:
        """Send a command; returns its only answer."""
        payload = json.dumps({"verb": verb, "id": name, **fields}).encode()
        self.handler.execute(self.order(payload, verb))
        return self.answered()

    def answered(self) -> Response:
        """The only answer since the last call."""
        ((response, _, _, _),) = self.context.published
        self.context.published.clear()
        assert isinstance(response, Response)
        return response
