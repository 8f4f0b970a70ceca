"""The screens, in the order of the navigation: to add one, write its file and add its line."""

from typing import Final

from ..screen import Screen
from . import first_run, fleet, forecast, forget, health, history, knowledge, label, now, why

SCREENS: Final[tuple[Screen, ...]] = (
    now.SCREEN,
    label.SCREEN,
    knowledge.SCREEN,
    why.SCREEN,
    history.SCREEN,
    forecast.SCREEN,
    fleet.SCREEN,
    forget.SCREEN,
    health.SCREEN,
    first_run.SCREEN,
)
