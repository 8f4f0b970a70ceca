"""The table of change detectors, by name."""

from collections.abc import Callable
from typing import Final

from .channelwise import ChannelCusum
from .detector import ChangeDetector
from .joint import JointJump
from .sequential import ConformalCusum

DETECTORS: Final[dict[str, Callable[[int], ChangeDetector]]] = {
    "cusum": ChannelCusum,
    "joint": JointJump,
    "sequential": ConformalCusum,
}
"""A detector for a number of channels."""
