"""Plots in one style, as SVG that takes its colours from the page, and as PNG."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .drawing import (
        ALARM,
        ALARM_MARK,
        CLEARED_MARK,
        FAINT,
        GOOD,
        INK,
        KNOWN,
        NEW,
        embed_image,
        format_duration,
        open_figure,
        render_png,
        render_svg,
        round_cell,
        shorten,
    )
    from .series_chart import Series, draw_series
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "drawing": (
                "ALARM",
                "ALARM_MARK",
                "CLEARED_MARK",
                "FAINT",
                "GOOD",
                "INK",
                "KNOWN",
                "NEW",
                "embed_image",
                "format_duration",
                "open_figure",
                "render_png",
                "render_svg",
                "round_cell",
                "shorten",
            ),
            "series_chart": ("Series", "draw_series"),
        },
    )

__all__ = [
    "ALARM",
    "ALARM_MARK",
    "CLEARED_MARK",
    "FAINT",
    "GOOD",
    "INK",
    "KNOWN",
    "NEW",
    "Series",
    "draw_series",
    "embed_image",
    "format_duration",
    "open_figure",
    "render_png",
    "render_svg",
    "round_cell",
    "shorten",
]
