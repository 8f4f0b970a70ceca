"""A simulated fleet: thousands of devices, a bad network, aggregators in a tree, one exact sum."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .trial import FleetOutcome, simulate_fleet
else:
    __getattr__ = lazy_names(__name__, {"trial": ("FleetOutcome", "simulate_fleet")})

__all__ = ["FleetOutcome", "simulate_fleet"]
