"""A look back at a search, for the report: blueprints from all over its ranking, trained as well.

A search trains its few best.  Whether its scores tell good from bad shows only where some of the
others are trained, too; that is done after a run, and changes nothing in it.
"""

from typing import Final

import numpy as np

import nas

from ..core import GrowthJob
from .recording import Trial
from .workshop import DEVICE

BLUEPRINTS: Final = 12


def look_back(job: GrowthJob, count: int = BLUEPRINTS) -> tuple[Trial, ...]:
    """Train `count` blueprints, evenly spread over the ranking of a job's search, and judge them on
    held-out facts as growth does.

    Needs torch.  Cost: that of `count` trainings a fold, some ten seconds of one core.
    """
    from ..growth.judging import score_blueprint, split
    from ..growth.proposing import sketch
    from ..growth.training import train

    parts = split(job.own, job.others)
    task = sketch(parts.own, job.others, job.spans)
    found = nas.search(task, job.budget, DEVICE, job.seed)
    if isinstance(found, nas.NoFit):
        return ()
    places = np.unique(np.linspace(0, len(found.ranking) - 1, count).astype(int)).tolist()
    return tuple(
        Trial(
            str(found.ranking[at]),
            found.scores[at],
            score_blueprint(found.ranking[at], train, job, parts).accuracy,
            extra=True,
        )
        for at in places
    )
