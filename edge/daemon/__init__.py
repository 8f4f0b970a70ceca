"""The daemon: one work loop that takes measurements and commands, decides, and publishes."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import daemon, homes, service
    from .aggregator_process import open_aggregator_service
    from .benchmark import measure_machine
    from .check import CheckFinding, check_home, check_proposed
    from .daemon import Daemon
    from .doctor import examine_machine
    from .homes import HomeSlot
    from .service import HERE, folder_of, serve
    from .settings import resolve_paths
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "aggregator_process": ("open_aggregator_service",),
            "benchmark": ("measure_machine",),
            "check": ("CheckFinding", "check_home", "check_proposed"),
            "daemon": ("Daemon",),
            "doctor": ("examine_machine",),
            "homes": ("HomeSlot",),
            "service": ("HERE", "folder_of", "serve"),
            "settings": ("resolve_paths",),
        },
    )

__all__ = [
    "HERE",
    "CheckFinding",
    "Daemon",
    "HomeSlot",
    "check_home",
    "check_proposed",
    "daemon",
    "examine_machine",
    "folder_of",
    "homes",
    "measure_machine",
    "open_aggregator_service",
    "resolve_paths",
    "serve",
    "service",
]
