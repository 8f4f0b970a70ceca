"""The command line: `auricle VERB`.  docs/cli.md documents every verb."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .entry import main
    from .error_report import EXPECTED_ERRORS
    from .label_client import explained_at, raw_at, waiting_at

__all__ = ["EXPECTED_ERRORS", "explained_at", "main", "raw_at", "waiting_at"]

__getattr__ = lazy_names(
    __name__,
    {
        "entry": ("main",),
        "error_report": ("EXPECTED_ERRORS",),
        "label_client": (
            "explained_at",
            "raw_at",
            "waiting_at",
        ),
    },
)
