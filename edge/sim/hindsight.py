"""A look back at a search, for the report: blueprints from all over its ranking, trained as well.

A search trains its few best.  Whether its scores tell good from bad shows only where some of the
others are trained, too; that is done after a run, and changes nothing in it.
"""

from typing import Final

import numpy as np

import nas

from ..core import GrowthJob
from .recording import GrowthAttemptRecord
from .simulated_worker import DEVICE

BLUEPRINTS: Final = 12
"""Chosen by hand: each costs a training per fold."""


def search_hindsight(job: GrowthJob, count: int = BLUEPRINTS) -> tuple[GrowthAttemptRecord, ...]:
    """Train `count` blueprints, evenly spread over the ranking of a job's search, and judge them on
    held-out facts as growth does.

    Needs torch.  Cost: that of `count` trainings a fold, some ten seconds of one core.
    """
    from ..growth import score_blueprint, sketch_task, split_holdout, train_adaptor

    parts = split_holdout(job.own, job.others)
    task = sketch_task(parts.own, job.others, job.spans)
    found = nas.search(task, job.budget, DEVICE, job.seed)
    if isinstance(found, nas.NoFit):
        return ()
    places = np.unique(np.linspace(0, len(found.ranking) - 1, count).astype(int)).tolist()
    return tuple(
        GrowthAttemptRecord(
            str(found.ranking[at]),
            found.scores[at],
            score_blueprint(found.ranking[at], train_adaptor, job, parts).accuracy,
            extra=True,
        )
        for at in places
    )
