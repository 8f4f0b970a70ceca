"""A simulated fleet: thousands of devices, a bad network, aggregators in a tree, one exact sum."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .members import FleetWorld, MemberTools, make_member, make_world, unpacked
    from .trial import FleetOutcome, simulate_fleet
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "members": ("FleetWorld", "MemberTools", "make_member", "make_world", "unpacked"),
            "trial": ("FleetOutcome", "simulate_fleet"),
        },
    )

__all__ = [
    "FleetOutcome",
    "FleetWorld",
    "MemberTools",
    "make_member",
    "make_world",
    "simulate_fleet",
    "unpacked",
]
