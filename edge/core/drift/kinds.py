"""The table of change detectors, by name."""

from collections.abc import Callable
from typing import Final

from .conformal import ConformalCusum
from .cusum import ChannelCusum
from .detector import ChangeDetector
from .joint_jump import JointJump
from .segments import SegmentEvidence

DETECTORS: Final[dict[str, Callable[[int], ChangeDetector]]] = {
    "cusum": ChannelCusum,
    "joint": JointJump,
    "segments": SegmentEvidence,
    "sequential": ConformalCusum,
}
"""Constructors by name, each from a number of channels."""

JOINT_CHANNELS_MIN: Final = 6
"""Channels from which `joint` is the default.  It needs three channels that move at once, which is
rare among fewer, and takes 10 µs a step for 30 channels; `segments` takes some 0.3 ms for one, and
finds shifts of one channel, small ones, too.  Chosen by hand; effect not measured."""


def default_detector(channels: int) -> str:
    """Return the kind of detector for a series of so many channels without a configured kind."""
    return "joint" if channels >= JOINT_CHANNELS_MIN else "segments"
