"""The daemon: one work loop that takes measurements and commands, decides, and publishes."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .assembly import resolve_paths
    from .check import CheckFinding, check_home
    from .clock import ClockJump
    from .doctor import examine_machine
    from .publisher import OutboxGap
    from .service import HERE, folder_of, serve

__all__ = [
    "HERE",
    "CheckFinding",
    "ClockJump",
    "OutboxGap",
    "check_home",
    "examine_machine",
    "folder_of",
    "resolve_paths",
    "serve",
]

__getattr__ = lazy_names(
    __name__,
    {
        "assembly": ("resolve_paths",),
        "check": (
            "CheckFinding",
            "check_home",
        ),
        "clock": ("ClockJump",),
        "doctor": ("examine_machine",),
        "publisher": ("OutboxGap",),
        "service": (
            "HERE",
            "folder_of",
            "serve",
        ),
    },
)
