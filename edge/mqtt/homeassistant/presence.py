"""Home Assistant as a presence: announces a device, keeps the states of its entities up to date,
and passes controls on.

The announcement and the state of the sources are retained.  A flagged observation and its picture
are not: the broker must not store them, so that forgetting them leaves nothing there.  They are
published again when Home Assistant starts.
"""

import base64
import random
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from ...config import HomeAssistantSettings
from ...logs import RateLimitedLog
from ..packets import InboundMessage, OutboundMessage
from ..presence import SilentPresence
from .controls import decode_control
from .device import (
    AnnouncedDevice,
    AnnouncedHome,
    AnnouncedStream,
    FlaggedState,
    HomeAssistantDevice,
)
from .discovery import EntityTopics, discovery_message, object_id, options_of
from .states import name_of, shortened

REPUBLISH_S_MAX: Final = 5.0
"""Longest random delay after Home Assistant starts, so that devices do not all publish at once.
Chosen by hand; effect not measured."""

ANNOUNCE_S: Final = 5.0
"""Shortest time between two announcements that differ: a new label changes the list of labels.
Chosen by hand; effect not measured."""

BLANK: Final = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIs"
    "IxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAA"
    "AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
"""A grey JPEG picture of one pixel: it replaces one whose observation was forgotten."""


class HomeAssistant(SilentPresence):
    """Announces a device; the retained announcement stays while the device is offline.

    device: the announced device, which carries out controls.  draw: returns numbers in [0, 1).
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        name: str,
        device: HomeAssistantDevice,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._device, self._draw = settings, device, draw
        self._topics = EntityTopics(name)
        self._status = f"{settings.prefix}/status"
        self._config = f"{settings.prefix}/device/{object_id('auricle', name)}/config"
        self._started = False
        self._due_s: float | None = None
        self._announce_s = 0.0
        self._platforms: dict[str, str] = {}
        self._announced: AnnouncedDevice | None = None
        self._announcement = self._state = b""
        self._flagged: dict[str, bytes] = {}
        self._listed: dict[str, frozenset[str]] = {}
        self._pictures: dict[str, str] = {}
        self._retained = 0
        self._log = RateLimitedLog()

    def birth(self) -> Iterable[OutboundMessage]:
        """Return the announcement and every state, or their removal if discovery is disabled."""
        if not self._settings.enabled:
            topics = (self._config, self._topics.state)
            return [OutboundMessage(topic, b"", retain=True) for topic in topics]
        announced = self._announced = self._device.announced()
        self._announcement = self._announce(announced)
        self._state = _state_message(announced)
        self._flagged, self._pictures = {}, {}
        messages = [
            OutboundMessage(self._config, self._announcement, retain=True),
            OutboundMessage(self._topics.state, self._state, retain=True),
            *self._changed_flags(),
            *self._changed_pictures(),
        ]
        self._listed = _listed(announced)
        return messages

    def filters(self) -> Iterable[str]:
        """Return the birth topic of Home Assistant, the device's own announcement, and controls."""
        if not self._settings.enabled:
            return ()
        controls = (self._topics.controls,) if self._settings.controls else ()
        return (self._status, self._config, *controls)

    def handle(self, message: InboundMessage) -> bool:
        """Handle the birth message of Home Assistant, an earlier announcement, or a control."""
        if not self._settings.enabled:
            return False
        if message.topic == self._status:
            live = message.payload == b"online" and not message.retained
            self._started = self._started or live
            return True
        if message.topic == self._config:
            self._remember(message.payload)
            return True
        head, _, kind = message.topic.rpartition("/")
        if not self._settings.controls or f"{head}/+" != self._topics.controls:
            return False
        if message.retained:
            # It would be carried out again at each connection.
            self._retained += 1
        else:
            self._device.control(decode_control(kind, message.payload))
        return True

    def due(self, now_s: float) -> Iterable[OutboundMessage]:
        """Return the messages that have changed; all again, a random delay after Home Assistant
        started."""
        if not self._settings.enabled:
            return
        self._log.warn("control_retained", self._retained, now_s)
        if self._started:
            self._started = False
            self._due_s = now_s + self._draw() * REPUBLISH_S_MAX
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            yield from self.birth()
        announced = self._device.announced()
        yield from self._changed_flags()
        if now_s >= self._announce_s and announced != self._announced:
            # Making an announcement of 64 streams takes milliseconds.
            self._announce_s = now_s + ANNOUNCE_S
            self._announced = announced
            announcement = self._announce(announced)
            if announcement != self._announcement:
                self._announcement = announcement
                yield OutboundMessage(self._config, announcement, retain=True)
            self._listed = _listed(announced)
        state = _state_message(announced)
        if state != self._state:
            self._state = state
            yield OutboundMessage(self._topics.state, state, retain=True)
        yield from self._changed_pictures()
        for answer in self._device.answers():
            yield OutboundMessage(self._topics.answer, msgspec.json.encode(answer), qos=0)

    def _announce(self, announced: AnnouncedDevice) -> bytes:
        """Return the announcement.  An entity that it no longer has is listed with its platform
        alone, which removes it."""
        settings = self._settings
        body = discovery_message(
            announced,
            controls=settings.controls,
            pictures=settings.images,
        )
        parts: dict[str, dict[str, Any]] = body["cmps"]
        gone = {key: {"p": kind} for key, kind in self._platforms.items() if key not in parts}
        self._platforms |= {key: part["p"] for key, part in parts.items()}
        return msgspec.json.encode(body | {"cmps": parts | gone})

    def _remember(self, payload: bytes) -> None:
        """Remember the entities of an earlier announcement, so that those that are gone are
        removed."""
        try:
            found = msgspec.json.decode(payload, type=_EarlierAnnouncement) if payload else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        parts = found.cmps if found is not None else {}
        earlier = {key: part.p for key, part in parts.items() if part.unique_id}
        self._platforms = earlier | self._platforms

    def _changed_flags(self) -> Iterable[OutboundMessage]:
        """Yield the flagged observations that have changed."""
        before, found = self._flagged, self._device.flagged()
        self._flagged = {stream: self._flag_message(now) for stream, now in found.items()}
        for stream, body in self._flagged.items():
            if body != before.get(stream):
                yield OutboundMessage(self._topics.flagged(stream), body, qos=0)

    def _flag_message(self, now: FlaggedState) -> bytes:
        """Return a flagged observation as a message.  `listed` is its label if the list that was
        announced a second ago or earlier has it: Home Assistant would refuse another one."""
        listed = now.label if now.label in self._listed.get(now.stream, ()) else ""
        return msgspec.json.encode(msgspec.to_builtins(now) | {"listed": listed})

    def _changed_pictures(self) -> Iterable[OutboundMessage]:
        """Yield the pictures that have changed; a grey one in place of one that was forgotten."""
        if not self._settings.images:
            return
        shown, found = self._pictures, self._device.pictures()
        self._pictures = {stream: key for stream, (key, _) in found.items()}
        for stream in shown.keys() - found.keys():
            yield OutboundMessage(self._topics.picture(stream), BLANK, qos=0)
        for stream, (key, picture) in found.items():
            if shown.get(stream) != key:
                yield OutboundMessage(self._topics.picture(stream), picture, qos=0)


class _EarlierEntity(msgspec.Struct, frozen=True):
    p: str = ""
    unique_id: str = ""


class _EarlierAnnouncement(msgspec.Struct, frozen=True):
    cmps: dict[str, _EarlierEntity] = {}


def _listed(device: AnnouncedDevice) -> dict[str, frozenset[str]]:
    """Return the labels in the list of each stream."""
    homes = {home.name: frozenset(map(name_of, options_of(home.labels))) for home in device.homes}
    return {one.name: homes.get(one.home, frozenset()) for one in device.streams}


def _state_message(device: AnnouncedDevice) -> bytes:
    """Return the state of sources and homes, under the ids that the templates use."""
    streams = {
        object_id("auricle", device.name, one.name): _source_state(one) for one in device.streams
    }
    homes = {object_id("home", home.name): _home_state(home) for home in device.homes}
    return msgspec.json.encode({"streams": streams, "homes": homes})


def _source_state(stream: AnnouncedStream) -> str:
    if stream.problem:
        return "offline"
    return "rejecting" if stream.rejecting else "online"


def _home_state(home: AnnouncedHome) -> dict[str, Any]:
    state: dict[str, Any] = {"rate": round(100 * home.rate, 4)}
    if home.bundle is not None:
        state["bundle"] = {
            "installed_version": shortened(home.bundle.installed),
            "latest_version": shortened(home.bundle.latest),
            "title": shortened(home.bundle.title),
            "release_summary": shortened(home.bundle.summary),
        }
    return state
