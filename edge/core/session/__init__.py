"""State of the current streams: assessments, domains, alarms, label buffer, label requests."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .assess import Assessor, BatchPrefetch, FeatureModel
    from .explanation import Explanation, explain
    from .label_buffer import BufferedObservation
    from .label_requests import choose_candidates, score_candidates
    from .recalibration import StreamLevels, confirmed_alarm
    from .session_state import SessionState
    from .snapshot import KnowledgeSnapshot
    from .stream import posterior
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "assess": ("Assessor", "BatchPrefetch", "FeatureModel"),
            "explanation": ("Explanation", "explain"),
            "label_buffer": ("BufferedObservation",),
            "label_requests": ("choose_candidates", "score_candidates"),
            "recalibration": ("StreamLevels", "confirmed_alarm"),
            "session_state": ("SessionState",),
            "snapshot": ("KnowledgeSnapshot",),
            "stream": ("posterior",),
        },
    )

__all__ = [
    "Assessor",
    "BatchPrefetch",
    "BufferedObservation",
    "Explanation",
    "FeatureModel",
    "KnowledgeSnapshot",
    "SessionState",
    "StreamLevels",
    "choose_candidates",
    "confirmed_alarm",
    "explain",
    "posterior",
    "score_candidates",
]
