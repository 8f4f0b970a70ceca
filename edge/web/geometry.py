"""The geometry of a home that is taught by mouse: fitted once there are enough examples.

`auricle learn` fits it to the examples of a folder.  Labels that arrive one by one leave it as it
was, and without a fitted geometry a new kind of measurement often passes as known: of 30 drawings
of houses none was new to a home of 150 photographs of animals, and of 80 all were after the fit.
"""

from contextlib import suppress
from typing import Final

from .client import AskError, DaemonOfflineError
from .console import Console

FITTED_FROM: Final = 100
"""Examples from which the geometry is fitted: as many as the first alarms at 1 % need (`CERTAIN` in
screens/first_run.py).  A fit then takes 0.15 s, for which decisions wait."""

FITTED_TO: Final = 1_000
"""Examples up to which it is fitted without being asked: that takes a second.  A home with more, as
one that was labelled over MQTT, waits for *Fit it now*."""


async def fit_first_geometry(console: Console, home: str) -> bool:
    """Fit the geometry of a home that has enough examples and none yet; True if it was fitted.  A
    daemon that refuses, or that stops, fits it after a later label."""
    with suppress(AskError, DaemonOfflineError):
        knowledge = await console.ask("knowledge", home=home)
        due = FITTED_FROM <= knowledge["facts"] <= FITTED_TO
        if knowledge["geometry"]["fitted"] or not due:
            return False
        await console.ask("fit-geometry", home=home)
        return True
    return False
