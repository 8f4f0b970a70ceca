"""A device whose states a test chooses, and Home Assistant's templates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2

from edge.mqtt.homeassistant import (
    AnnouncedDevice,
    AnnouncedHome,
    AnnouncedStream,
    Control,
    ControlAnswer,
    FlaggedState,
    InvalidControl,
)
from edge.mqtt.presence import Channels

DEVICE = "gw1"


def device(streams: Mapping[str, Channels], labels: Iterable[str] = ()) -> AnnouncedDevice:
    """A device with some streams and one home."""
    return AnnouncedDevice(
        name=DEVICE,
        version="1.2",
        streams=tuple(AnnouncedStream(name=one, channels=kept) for one, kept in streams.items()),
        homes=(AnnouncedHome(name="", rate=0.01, labels=tuple(labels)),),
    )


class Panel:
    """States that are set, and controls that were received."""

    def __init__(self, shown: AnnouncedDevice) -> None:
        self.shown = shown
        self.flags: dict[str, FlaggedState] = {}
        self.images: dict[str, tuple[str, bytes]] = {}
        self.received: list[Control | InvalidControl] = []
        self.outcomes: list[ControlAnswer] = []

    def announced(self) -> AnnouncedDevice:
        """The device."""
        return self.shown

    def flagged(self) -> Mapping[str, FlaggedState]:
        """The flagged observations."""
        return self.flags

    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Their pictures."""
        return self.images

    def control(self, control: Control | InvalidControl) -> None:
        """Receive a control."""
        self.received.append(control)

    def answers(self) -> Iterable[ControlAnswer]:
        """The outcomes since the last call."""
        found, self.outcomes = self.outcomes, []
        return found


def shown(template: str, body: bytes, state: str = "before") -> str:
    """The state of an entity after a message; Home Assistant strips what a template renders."""
    made = jinja2.Environment(autoescape=False).from_string(template)  # noqa: S701 - as there
    return str(made.render(value_json=json.loads(body), this={"state": state})).strip()


def sent(template: str, value: object, attributes: dict[str, Any]) -> dict[str, Any]:
    """The command that an entity sends.  attributes: those that it shows."""
    made = jinja2.Environment(autoescape=False).from_string(template)  # noqa: S701 - as there
    found: dict[str, Any] = json.loads(made.render(value=value, this={"attributes": attributes}))
    return found
