"""Offline simulation of the real runtime: scenarios, faults, metrics and a report.

`simulate("scenario.toml")` runs one.  Plotting, metrics and workers load where used.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .checkers import BrokenPromiseError
    from .digits import DIGITS, DigitDeck, Digits, load_mnist, load_optdigits
    from .evaluation import ask_all, follow_stream, tabulate_answers
    from .faults import FaultPlan, no_faults
    from .harness import Progress, run_scenario
    from .links.convergence import steps_to_convergence
    from .links.demands import DAY_STEPS, draw_demands
    from .links.outages import draw_outages
    from .links.page import name_links
    from .links.pictures import Series, choose_event, choose_link, draw_series, print_event
    from .links.routing import route_demands
    from .links.scenario import LinkScenario, LinkSpec
    from .links.simulator import STEP_S, LinkEvent, LinkLoads, simulate_links
    from .links.topologies import Topology
    from .links.trial import LinkTrial, run_link_trial
    from .metrics import measure_growth, measure_matrix, measure_steps, time_stage
    from .recording import (
        DecisionStep,
        GrowthAttemptRecord,
        GrowthEpisode,
        MarkKind,
        RoutingRecord,
        RunRecording,
        StageTiming,
        Thumbnail,
        TimelineMark,
        step_of,
    )
    from .scenarios import Scenario, load_scenario
    from .simulated_worker import NO_TORCH, Grower, SimulatedWorker
    from .simulation import SimulationReport, simulate, write_link_report, write_report
    from .world import World, build_world

__all__ = [
    "DAY_STEPS",
    "DIGITS",
    "NO_TORCH",
    "STEP_S",
    "BrokenPromiseError",
    "DecisionStep",
    "DigitDeck",
    "Digits",
    "FaultPlan",
    "Grower",
    "GrowthAttemptRecord",
    "GrowthEpisode",
    "LinkEvent",
    "LinkLoads",
    "LinkScenario",
    "LinkSpec",
    "LinkTrial",
    "MarkKind",
    "Progress",
    "RoutingRecord",
    "RunRecording",
    "Scenario",
    "Series",
    "SimulatedWorker",
    "SimulationReport",
    "StageTiming",
    "Thumbnail",
    "TimelineMark",
    "Topology",
    "World",
    "ask_all",
    "build_world",
    "choose_event",
    "choose_link",
    "draw_demands",
    "draw_outages",
    "draw_series",
    "follow_stream",
    "load_mnist",
    "load_optdigits",
    "load_scenario",
    "measure_growth",
    "measure_matrix",
    "measure_steps",
    "name_links",
    "no_faults",
    "print_event",
    "route_demands",
    "run_link_trial",
    "run_scenario",
    "simulate",
    "simulate_links",
    "step_of",
    "steps_to_convergence",
    "tabulate_answers",
    "time_stage",
    "write_link_report",
    "write_report",
]

__getattr__ = lazy_names(
    __name__,
    {
        "checkers": ("BrokenPromiseError",),
        "digits": ("DIGITS", "DigitDeck", "Digits", "load_mnist", "load_optdigits"),
        "evaluation": ("ask_all", "follow_stream", "tabulate_answers"),
        "faults": ("FaultPlan", "no_faults"),
        "harness": ("Progress", "run_scenario"),
        "links.convergence": ("steps_to_convergence",),
        "links.demands": ("DAY_STEPS", "draw_demands"),
        "links.outages": ("draw_outages",),
        "links.page": ("name_links",),
        "links.pictures": ("Series", "choose_event", "choose_link", "draw_series", "print_event"),
        "links.routing": ("route_demands",),
        "links.scenario": ("LinkScenario", "LinkSpec"),
        "links.simulator": ("LinkEvent", "LinkLoads", "STEP_S", "simulate_links"),
        "links.topologies": ("Topology",),
        "links.trial": ("LinkTrial", "run_link_trial"),
        "metrics": ("measure_growth", "measure_matrix", "measure_steps", "time_stage"),
        "recording": (
            "DecisionStep",
            "GrowthAttemptRecord",
            "GrowthEpisode",
            "MarkKind",
            "RoutingRecord",
            "RunRecording",
            "StageTiming",
            "Thumbnail",
            "TimelineMark",
            "step_of",
        ),
        "scenarios": ("Scenario", "load_scenario"),
        "simulated_worker": ("Grower", "NO_TORCH", "SimulatedWorker"),
        "simulation": ("SimulationReport", "simulate", "write_link_report", "write_report"),
        "world": ("World", "build_world"),
    },
)
