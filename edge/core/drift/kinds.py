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

CHOICE_CHANNELS_MIN: Final = 6
"""Channels from which the data choose.  `joint` needs three that move at once, which is rare among
fewer; of the 26 real series of TCPD, which have one to four, `segments` has the highest F1 and
cover, among those that are levels with noise as among the others."""


def default_detector(channels: int) -> str:
    """Return the kind of detector for a series of so many channels without a configured kind."""
    return "auto" if channels >= CHOICE_CHANNELS_MIN else "segments"
