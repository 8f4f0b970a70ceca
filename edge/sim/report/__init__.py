"""The report of a simulation: charts and one HTML page without scripts."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .page import render_page
else:
    __getattr__ = lazy_names(__name__, {"page": ("render_page",)})

__all__ = ["render_page"]
