"""How the command line shows results: tables and progress in a terminal, plain lines elsewhere."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from . import alarms, bridge, common, encoders, forecast, growth, label, status
    from .common import show_error
    from .demo import show_demo
    from .demo_forecast import show_forecast_demo
    from .strategies import show_strategies, strategies_as_data
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "common": ("show_error",),
            "demo": ("show_demo",),
            "demo_forecast": ("show_forecast_demo",),
            "strategies": ("show_strategies", "strategies_as_data"),
        },
    )

__all__ = [
    "alarms",
    "bridge",
    "common",
    "encoders",
    "forecast",
    "growth",
    "label",
    "show_demo",
    "show_error",
    "show_forecast_demo",
    "show_strategies",
    "status",
    "strategies_as_data",
]
