"""Link loads of backbones under failures and repair: streams whose drift is known, and trials of
forecasters and detectors on them."""

from .convergence import steps_to_convergence
from .page import name_links, render_links, tell_trial
from .pictures import Series, choose_event, choose_link, draw_series, print_event
from .scenario import Links, LinkScenario
from .simulator import STEP_S, LinkEvent, LinkLoads, simulate_links
from .topologies import TOPOLOGIES, Topology
from .trial import LinkTrial, try_links

__all__ = [
    "STEP_S",
    "TOPOLOGIES",
    "LinkEvent",
    "LinkLoads",
    "LinkScenario",
    "LinkTrial",
    "Links",
    "Series",
    "Topology",
    "choose_event",
    "choose_link",
    "draw_series",
    "name_links",
    "print_event",
    "render_links",
    "simulate_links",
    "steps_to_convergence",
    "tell_trial",
    "try_links",
]
