"""The demonstration: a handwriting recogniser meets a new scanner, adapts, and forgets."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .demo import DEMO_TITLE, run_demo
    from .events import (
        DemoEvent,
        DemoOutcome,
        ImageEvent,
        PhaseEvent,
        PixelOutcome,
        TextEvent,
        Tone,
        WaitEvent,
    )
    from .pixels import PIXELS_TITLE
    from .state import DemoPlan
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "demo": ("DEMO_TITLE", "run_demo"),
            "events": (
                "DemoEvent",
                "DemoOutcome",
                "ImageEvent",
                "PhaseEvent",
                "PixelOutcome",
                "TextEvent",
                "Tone",
                "WaitEvent",
            ),
            "pixels": ("PIXELS_TITLE",),
            "state": ("DemoPlan",),
        },
    )

__all__ = [
    "DEMO_TITLE",
    "PIXELS_TITLE",
    "DemoEvent",
    "DemoOutcome",
    "DemoPlan",
    "ImageEvent",
    "PhaseEvent",
    "PixelOutcome",
    "TextEvent",
    "Tone",
    "WaitEvent",
    "run_demo",
]
