"""A floor for the desk: one real home, and what would be told written down."""

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
from tests.edge.cli.views.test_status import snapshot
from tests.homes import new_home

NOW = 2_000_000_000 * 10**9


@dataclass
class Slot:
    """Where a home is kept."""

    home: Home | None


@dataclass
class Floor:
    """What the desk asks of the loop."""

    homes: dict[str, Slot]
    at_ns: int = NOW
    told: list[tuple[Any, str, bytes, bool]] = field(default_factory=list)
    fed: list[Event] = field(default_factory=list)
    paused: bool = False
    births: int = 0

    def now_ns(self) -> int:
        """See `Floor`."""
        return self.at_ns

    def feed(self, home: str, event: Event) -> tuple[Message, ...]:
        """See `Floor`."""
        self.fed.append(event)
        found = self.homes[home].home
        assert found is not None
        return found.feed(event)

    def tell(self, message: Any) -> None:
        """See `Floor`."""
        self.told.append((message, "", b"", False))

    def answer(self, message: Any, topic: str, correlation: bytes, *, kept: bool) -> None:
        """See `Floor`."""
        self.told.append((message, topic, correlation, kept))

    def status(self) -> DaemonStatus:
        """See `Floor`."""
        return snapshot(problems=("the camera is gone",))

    def pause(self, *, paused: bool) -> None:
        """See `Floor`."""
        self.paused = paused

    def reload(self) -> tuple[str, ...]:
        """See `Floor`."""
        return ("nothing changed",)

    def rebirth(self) -> None:
        """See `Floor`."""
        self.births += 1


class Office:
    """A desk over a home in a folder; `crash` opens everything anew."""

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
        self.floor = Floor({"": Slot(self.home), "attic": Slot(None)})
        self.desk = CommandHandler(
            self.settings, "gw1", Topics("gw1"), self.floor, None, self._clock
        )

    def crash(self) -> None:
        """Close the file as it is, and start again."""
        self.home.close()
        self._open()

    def order(self, payload: bytes, verb: str, **more: Any) -> PendingCommand:
        """An order as a broker brings it."""
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
        taken = self.desk.receive(arrival, TopicAddress("command", verb))
        assert isinstance(taken, PendingCommand)
        return taken

    def ask(self, verb: str, name: str = "c1", **fields: Any) -> Response:
        """Send a command; its one answer."""
        payload = json.dumps({"verb": verb, "id": name, **fields}).encode()
        self.desk.carry_out(self.order(payload, verb))
        return self.answered()

    def answered(self) -> Response:
        """The one answer since last asked."""
        ((response, _, _, _),) = self.floor.told
        self.floor.told.clear()
        assert isinstance(response, Response)
        return response
