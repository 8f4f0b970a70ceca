"""Offline simulation of the real runtime: scenarios, faults, metrics and a report.

`simulate("scenario.toml")` runs one.  Plotting, metrics and workers load where used.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .checkers import BrokenPromiseError
    from .corruptions import SEVERITIES, corrupt_values
    from .digits import DIGITS, Digits, DigitSampler, load_mnist, load_optdigits
    from .evaluation import decide_sample, decide_stream, tabulate_routing
    from .faults import FaultPlan, no_faults
    from .harness import Progress, run_scenario
    from .links.charts import choose_event, choose_link, render_event_png
    from .links.page import name_links
    from .links.trial import LinkTrial, run_link_trial, steps_to_convergence
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
    from .replay import cache_folder
    from .scenarios import (
        LinkScenario,
        LinkSpec,
        PolicyScenario,
        Scenario,
        StrategyScenario,
        StrategySpec,
        load_device_scenario,
        load_scenario,
        parse_scenario,
    )
    from .simulated_worker import Grower, SimulatedWorker
    from .simulation import SimulationReport, simulate, write_link_report, write_report
    from .sweep import Backend, require_backend, run_parallel, write_file
    from .world import World, build_world
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "checkers": ("BrokenPromiseError",),
            "corruptions": ("SEVERITIES", "corrupt_values"),
            "digits": ("DIGITS", "DigitSampler", "Digits", "load_mnist", "load_optdigits"),
            "evaluation": ("decide_sample", "decide_stream", "tabulate_routing"),
            "faults": ("FaultPlan", "no_faults"),
            "harness": ("Progress", "run_scenario"),
            "links.charts": ("choose_event", "choose_link", "render_event_png"),
            "links.page": ("name_links",),
            "links.trial": ("LinkTrial", "run_link_trial", "steps_to_convergence"),
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
            "replay": ("cache_folder",),
            "scenarios": (
                "LinkScenario",
                "LinkSpec",
                "PolicyScenario",
                "Scenario",
                "StrategyScenario",
                "StrategySpec",
                "load_device_scenario",
                "load_scenario",
                "parse_scenario",
            ),
            "simulated_worker": ("Grower", "SimulatedWorker"),
            "simulation": ("SimulationReport", "simulate", "write_link_report", "write_report"),
            "sweep": ("Backend", "require_backend", "run_parallel", "write_file"),
            "world": ("World", "build_world"),
        },
    )

__all__ = [
    "DIGITS",
    "SEVERITIES",
    "Backend",
    "BrokenPromiseError",
    "DecisionStep",
    "DigitSampler",
    "Digits",
    "FaultPlan",
    "Grower",
    "GrowthAttemptRecord",
    "GrowthEpisode",
    "LinkScenario",
    "LinkSpec",
    "LinkTrial",
    "MarkKind",
    "PolicyScenario",
    "Progress",
    "RoutingRecord",
    "RunRecording",
    "Scenario",
    "SimulatedWorker",
    "SimulationReport",
    "StageTiming",
    "StrategyScenario",
    "StrategySpec",
    "Thumbnail",
    "TimelineMark",
    "World",
    "build_world",
    "cache_folder",
    "choose_event",
    "choose_link",
    "corrupt_values",
    "decide_sample",
    "decide_stream",
    "load_device_scenario",
    "load_mnist",
    "load_optdigits",
    "load_scenario",
    "measure_growth",
    "measure_matrix",
    "measure_steps",
    "name_links",
    "no_faults",
    "parse_scenario",
    "render_event_png",
    "require_backend",
    "run_link_trial",
    "run_parallel",
    "run_scenario",
    "simulate",
    "step_of",
    "steps_to_convergence",
    "tabulate_routing",
    "time_stage",
    "write_file",
    "write_link_report",
    "write_report",
]
