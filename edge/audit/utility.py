"""Utility: what the home still answers after a request (MUSE, Shi et al. 2024, section 3)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch
from .answers import AuditedModel
from .findings import Figure, Finding

MUSE: Final = "Shi et al. 2024, MUSE, section 3"


def utility_finding(
    models: tuple[AuditedModel, AuditedModel],
    before: AuditedModel | None,
    retained: FactBatch,
    unseen: NDArray[np.float64],
) -> Finding:
    """Compare the answers on retained facts.  models: the home and its twin.  unseen: margins of
    facts under models that never learned them, to estimate the accuracy on new data."""
    served, twin = (model.answers(retained) for model in models)
    differing = sum(one != other for one, other in zip(served, twin, strict=True))
    figures = [
        Figure(name=f"right, {name}", value=100 * model.accuracy(retained), unit="%")
        for name, model in zip(("home", "twin"), models, strict=True)
        if len(retained)
    ]
    if len(unseen):
        right = 100 * float((unseen > 0).mean())
        figures.append(Figure(name="right on new data, estimate", value=right, unit="%"))
    if before is not None and len(retained):
        accuracy = 100 * before.accuracy(retained)
        figures.insert(0, Figure(name="right before the request", value=accuracy, unit="%"))
    return Finding(
        key="utility",
        title="Utility of what remains",
        evidence="proven" if len(retained) else "not covered",
        outcome="fails" if differing else "holds" if len(retained) else "open",
        text=f"{differing} of {len(retained)} answers on retained facts differ from the twin's."
        if differing
        else f"All {len(retained)} examined retained facts are answered as by the twin."
        if len(retained)
        else "No fact remains.",
        source=MUSE,
        figures=tuple(figures),
    )
