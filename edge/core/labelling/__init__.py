"""Active learning: the rules that choose which unlabelled observations to label next."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .kinds import DEFAULT_RULE, LABELLING_RULES
    from .learned import CONTEXTS, FEATURES, LearnedRule, PolicyState
    from .pool import LabellingPool, PoolSpace
    from .scores import score_candidates
    from .typical import choose_candidates
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "kinds": ("DEFAULT_RULE", "LABELLING_RULES"),
            "learned": ("CONTEXTS", "FEATURES", "LearnedRule", "PolicyState"),
            "pool": ("LabellingPool", "PoolSpace"),
            "scores": ("score_candidates",),
            "typical": ("choose_candidates",),
        },
    )

__all__ = [
    "CONTEXTS",
    "DEFAULT_RULE",
    "FEATURES",
    "LABELLING_RULES",
    "LabellingPool",
    "LearnedRule",
    "PolicyState",
    "PoolSpace",
    "choose_candidates",
    "score_candidates",
]
