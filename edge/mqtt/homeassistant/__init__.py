"""Home Assistant over MQTT: discovery, the entities' own states, and controls.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (as of November 2026).
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .controls import Control, InvalidControl, LabelControl, NotNewControl, RateControl
    from .device import (
        AnnouncedDevice,
        AnnouncedHome,
        AnnouncedStream,
        ControlAnswer,
        FlaggedState,
        HomeAssistantDevice,
        InstalledBundle,
    )
    from .presence import HomeAssistant
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "controls": (
                "Control",
                "InvalidControl",
                "LabelControl",
                "NotNewControl",
                "RateControl",
            ),
            "device": (
                "AnnouncedDevice",
                "AnnouncedHome",
                "AnnouncedStream",
                "ControlAnswer",
                "FlaggedState",
                "HomeAssistantDevice",
                "InstalledBundle",
            ),
            "presence": ("HomeAssistant",),
        },
    )

__all__ = [
    "AnnouncedDevice",
    "AnnouncedHome",
    "AnnouncedStream",
    "Control",
    "ControlAnswer",
    "FlaggedState",
    "HomeAssistant",
    "HomeAssistantDevice",
    "InstalledBundle",
    "InvalidControl",
    "LabelControl",
    "NotNewControl",
    "RateControl",
]
