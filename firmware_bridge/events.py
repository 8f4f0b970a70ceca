"""The events of a link: received messages, and changes of its state."""

from dataclasses import dataclass

from .frames import FaultKind
from .records import Message


@dataclass(frozen=True, slots=True)
class LinkConnected:
    """Both sides know each other's session.  restarted: the peer was connected before and has
    restarted; it counts readings from 0 again."""

    session: int
    version: int
    frame_bytes_max: int
    restarted: bool


@dataclass(frozen=True, slots=True)
class LinkFault:
    """Received bytes that were discarded, and why.  No action is needed: the peer retransmits what
    belongs to the session."""

    kind: FaultKind


@dataclass(frozen=True, slots=True)
class LinkGap:
    """Readings `first` to `first + count - 1` of a stream are lost: the device had no room for
    them, or measured them before this session."""

    stream: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class LinkUndelivered:
    """The number of messages dropped when the peer restarted: their kind is not retransmitted, they
    had arrived in part, or they are too long for the peer."""

    messages: int


@dataclass(frozen=True, slots=True)
class LinkSilent:
    """Nothing has arrived from the peer since this time of the caller's clock."""

    since_ns: int


Event = Message | LinkConnected | LinkFault | LinkGap | LinkUndelivered | LinkSilent
