"""Simulated link loads of a backbone under failures and repairs: time series with known drift."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .demands import DAY_STEPS, draw_demands
    from .outages import draw_outages
    from .routing import route_demands
    from .simulator import STEP_S, LinkEvent, LinkLoads, simulate_links
    from .topologies import Topology
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "demands": ("DAY_STEPS", "draw_demands"),
            "outages": ("draw_outages",),
            "routing": ("route_demands",),
            "simulator": ("LinkEvent", "LinkLoads", "STEP_S", "simulate_links"),
            "topologies": ("Topology",),
        },
    )

__all__ = [
    "DAY_STEPS",
    "STEP_S",
    "LinkEvent",
    "LinkLoads",
    "Topology",
    "draw_demands",
    "draw_outages",
    "route_demands",
    "simulate_links",
]
