"""A fake world around the real core: scenarios, faults, metrics and a report.

`simulate("scenario.toml")` is the whole of it.  Plotting, metrics and workers load where used.
"""

from .checkers import BrokenPromiseError
from .digits import DIGITS, Digits, load_mnist, load_optdigits
from .harness import Progress, run_scenario
from .metrics import time_stage
from .recording import Mark, MarkKind, Recording, Step, Timing
from .report import Report, simulate, write_report
from .scenarios import Scenario, load_scenario
from .world import World, build_world

__all__ = [
    "DIGITS",
    "BrokenPromiseError",
    "Digits",
    "Mark",
    "MarkKind",
    "Progress",
    "Recording",
    "Report",
    "Scenario",
    "Step",
    "Timing",
    "World",
    "build_world",
    "load_mnist",
    "load_optdigits",
    "load_scenario",
    "run_scenario",
    "simulate",
    "time_stage",
    "write_report",
]
