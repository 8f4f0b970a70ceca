"""Link loads of backbones under failures and repair: streams whose drift is known."""

from .convergence import steps_to_convergence
from .simulator import STEP_S, LinkEvent, LinkLoads, simulate_links
from .topologies import TOPOLOGIES, Topology

__all__ = [
    "STEP_S",
    "TOPOLOGIES",
    "LinkEvent",
    "LinkLoads",
    "Topology",
    "simulate_links",
    "steps_to_convergence",
]
