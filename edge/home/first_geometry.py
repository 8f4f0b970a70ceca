"""The first geometry of a home that is taught by labels: fitted once there are enough facts.

`auricle learn` fits it to the examples of a folder.  Labels alone leave it as it was, and without a
fitted geometry a new kind of measurement often passes as known: of 30 drawings of houses none was
new to a home of 150 photographs of animals, and of 80 all were after the fit.
"""

from typing import Final

from ..core import FitGeometry, GeometryFitter
from .home import Home

FITTED_FROM: Final = 100
"""Facts from which the geometry is fitted: as many as the first alarms at 1 % need (`CERTAIN` in
edge/web/screens/first_run.py)."""


def first_geometry_due(home: Home) -> bool:
    """Return whether an opened home has enough facts and was never fitted a geometry.  Not in a
    fleet: sums of devices add up under the geometry that all of them share."""
    knowledge = home.runtime.knowledge
    if knowledge.geometry.blocks or home.settings.fleet is not None:
        return False
    if sum(knowledge.own.counts.values()) < FITTED_FROM or knowledge.contributing:
        return False
    return not GeometryFitter.was_fitted(home.store.geometry() or {})


def fit_first_geometry(home: Home) -> None:
    """Fit the geometry of a home that no daemon uses, if it is due; decisions wait for it."""
    if first_geometry_due(home):
        home.feed(FitGeometry())


def prepare_first_geometry(home: Home) -> bool:
    """Let the geometry be fitted beside serving if it is due; True once `FitGeometry` lets it
    serve.  Call it often, as `Home.refit`."""
    if home.runtime.geometry_prepared:
        # All that is kept of derived state goes with the geometry that it follows from.
        return not home.store.drop_some_derived()
    if first_geometry_due(home):
        home.runtime.prepare_geometry()
    return False
