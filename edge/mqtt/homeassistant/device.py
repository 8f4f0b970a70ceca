"""Facts about a device that Home Assistant shows, and the interface that provides them."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from ..presence import Channels
from .controls import Control, InvalidControl


class AnnouncedStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream to announce.

    channels: of a series; None for a stream of decisions.  home: the one that decides.  pictures:
    whether its observations are images.  problem: why it cannot measure; empty if it can.
    rejecting: its measurements are refused.
    """

    name: str
    home: str = ""
    channels: Channels = None
    pictures: bool = False
    problem: str = ""
    rejecting: bool = False


class InstalledBundle(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that a home runs on, and one on trial.

    installed: the last one that was kept; latest: the same, or the one on trial.  summary: the
    course of the trial in words.
    """

    installed: str
    latest: str
    title: str = ""
    summary: str = ""


class AnnouncedHome(msgspec.Struct, frozen=True, kw_only=True):
    """A home.  name: empty for the one of the settings.  rate: the chosen false-alarm rate, 0 to
    0.5.  labels: those in use."""

    name: str
    rate: float
    labels: tuple[str, ...] = ()
    bundle: InstalledBundle | None = None


class AnnouncedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device to announce.

    model: what it runs; hardware: what it runs on.  health_s: seconds between health messages.
    console: address of its web console, empty for none.
    """

    name: str
    version: str
    model: str = ""
    hardware: str = ""
    health_s: float = 60.0
    console: str = ""
    streams: tuple[AnnouncedStream, ...] = ()
    homes: tuple[AnnouncedHome, ...] = ()


class FlaggedState(msgspec.Struct, frozen=True, kw_only=True):
    """The observation of a stream that was flagged last, and the question that waits.

    observation_id: empty if none was flagged since the start.  novelty: in percent, None if
    unknown.  captured_at: in ISO 8601.  label: given since; empty if none.  alarm_id, alarm_domain,
    alarm_from, shift: of the lasting alarm that waits for an answer; alarm_id is empty without one.
    """

    stream: str
    observation_id: str = ""
    guess: str = ""
    domain: str = ""
    novelty: float | None = None
    captured_at: str = ""
    label: str = ""
    alarm_id: str = ""
    alarm_domain: str = ""
    alarm_from: str = ""
    shift: float | None = None


class ControlAnswer(msgspec.Struct, frozen=True):
    """The outcome of a control.  text: what was done, or why not."""

    done: bool
    control: str
    text: str
    hint: str = ""


class HomeAssistantDevice(Protocol):
    """Provides the states of a device.  Everything is called in the thread of the connection."""

    def announced(self) -> AnnouncedDevice:
        """Return the device with its streams and homes."""

    def flagged(self) -> Mapping[str, FlaggedState]:
        """Return the flagged observation of each stream of decisions, by stream."""

    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Return their pictures: by stream, the observation's id and a JPEG file."""

    def control(self, control: Control | InvalidControl) -> None:
        """Carry out a control, later."""

    def answers(self) -> Iterable[ControlAnswer]:
        """Return the outcomes of controls since the last call."""
