"""What a link reports beside the messages themselves."""

from dataclasses import dataclass

from .frames import FaultKind
from .records import Message


@dataclass(frozen=True, slots=True)
class LinkConnected:
    """Both sides know each other's session. `restarted`: the peer was connected before and has
    started anew. Readings are counted from 0 again."""

    session: int
    version: int
    frame_bytes_max: int
    restarted: bool


@dataclass(frozen=True, slots=True)
class LinkFault:
    """Received bytes that were not used, and why. Nothing needs to be done: what belonged to the
    session is sent again."""

    kind: FaultKind


@dataclass(frozen=True, slots=True)
class LinkGap:
    """Readings `first` to `first + count - 1` of a stream will not come: the device had no room
    for them, or they were measured before this session."""

    stream: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class LinkUndelivered:
    """So many messages to a peer that restarted were given up: their kind is not sent twice, they
    had arrived in part, or they are too long for it."""

    messages: int


@dataclass(frozen=True, slots=True)
class LinkSilent:
    """Nothing has been heard from the peer since then, on the clock of the caller."""

    since_ns: int


Event = Message | LinkConnected | LinkFault | LinkGap | LinkUndelivered | LinkSilent
