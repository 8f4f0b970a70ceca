"""The report of a simulation: charts and one HTML page without scripts."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .drawing import (
        ALARM,
        ALARM_MARK,
        FAINT,
        GOOD,
        INK,
        KNOWN,
        NEW,
        open_figure,
        render_png,
        render_svg,
        shorten,
    )
    from .page import render_page
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "drawing": (
                "ALARM",
                "ALARM_MARK",
                "FAINT",
                "GOOD",
                "INK",
                "KNOWN",
                "NEW",
                "open_figure",
                "render_png",
                "render_svg",
                "shorten",
            ),
            "page": ("render_page",),
        },
    )

__all__ = [
    "ALARM",
    "ALARM_MARK",
    "FAINT",
    "GOOD",
    "INK",
    "KNOWN",
    "NEW",
    "open_figure",
    "render_page",
    "render_png",
    "render_svg",
    "shorten",
]
