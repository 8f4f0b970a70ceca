"""The command line: `auricle VERB`.  docs/reference/cli.md documents every verb."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import error_report
    from .entry import main
    from .error_report import report_errors
else:
    __getattr__ = lazy_names(__name__, {"entry": ("main",), "error_report": ("report_errors",)})

__all__ = ["error_report", "main", "report_errors"]
