"""The command line: `auricle VERB`.  docs/cli.md documents every verb."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import error_report
    from .entry import main

__all__ = ["error_report", "main"]

__getattr__ = lazy_names(__name__, {"entry": ("main",)})
