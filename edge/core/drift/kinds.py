"""The table of change detectors, by name."""

from collections.abc import Callable
from typing import Final

from .conformal import ConformalCusum
from .cusum import ChannelCusum
from .detector import ChangeDetector
from .joint_jump import JointJump

DETECTORS: Final[dict[str, Callable[[int], ChangeDetector]]] = {
    "cusum": ChannelCusum,
    "joint": JointJump,
    "sequential": ConformalCusum,
}
"""A detector for a number of channels."""

JOINT_CHANNELS_MIN: Final = 6
"""`joint` needs three channels that move at once.  Of fewer channels than this so many rarely move
together, and it misses a step in one or two of them.  Chosen by hand; effect not measured."""


def default_detector(channels: int) -> str:
    """Return the kind that watches a series of so many channels where the user names none."""
    return "joint" if channels >= JOINT_CHANNELS_MIN else "cusum"
