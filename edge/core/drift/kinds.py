"""The table of change detectors, by name."""

from collections.abc import Callable
from typing import Final

from .chosen import ChosenDetector
from .conformal import ConformalCusum
from .cusum import ChannelCusum
from .detector import ChangeDetector
from .joint_jump import JointJump
from .segments import SegmentEvidence

DETECTORS: Final[dict[str, Callable[[int], ChangeDetector]]] = {
    "auto": ChosenDetector,
    "cusum": ChannelCusum,
    "joint": JointJump,
    "segments": SegmentEvidence,
    "sequential": ConformalCusum,
}
"""Constructors by name, each from a number of channels."""

CHOICE_CHANNELS: Final = range(6, 41)
"""Channels from and up to which the data choose.  `joint` needs three that move at once, which is
rare among fewer; on the series of TCPD, which have one to four, `segments` has the highest F1 and
cover.  With more channels `segments` takes over 1.2 ms a step, and 90 KiB."""


def default_detector(channels: int) -> str:
    """Return the kind of detector for a series of so many channels without a configured kind."""
    if channels in CHOICE_CHANNELS:
        return "auto"
    return "joint" if channels >= CHOICE_CHANNELS.stop else "segments"
