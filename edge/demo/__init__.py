"""The demonstration: a handwriting recogniser meets a new scanner, adapts, and forgets."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .demo import DEMO_TITLE, run_demo
    from .events import (
        Beat,
        ChapterEvent,
        DemoOutcome,
        ImageEvent,
        PauseEvent,
        PixelOutcome,
        TextEvent,
        Tone,
    )
    from .pixels import PIXELS_TITLE
    from .story import DemoPlan

__all__ = [
    "DEMO_TITLE",
    "PIXELS_TITLE",
    "Beat",
    "ChapterEvent",
    "DemoOutcome",
    "DemoPlan",
    "ImageEvent",
    "PauseEvent",
    "PixelOutcome",
    "TextEvent",
    "Tone",
    "run_demo",
]

__getattr__ = lazy_names(
    __name__,
    {
        "demo": ("DEMO_TITLE", "run_demo"),
        "events": (
            "Beat",
            "ChapterEvent",
            "DemoOutcome",
            "ImageEvent",
            "PauseEvent",
            "PixelOutcome",
            "TextEvent",
            "Tone",
        ),
        "pixels": ("PIXELS_TITLE",),
        "story": ("DemoPlan",),
    },
)
