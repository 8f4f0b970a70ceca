"""State of the current streams: assessments, domains, alarms, label buffer, label requests."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .assess import Assessor, BatchPrefetch, FeatureModel
    from .confirmed_alarms import confirmed_alarm
    from .explanation import Explanation, Guess, explain, guess_each
    from .few_labels import FACTS_A_LABEL_MAX, FewLabelsRefit, column_clusters
    from .label_buffer import BufferedObservation, ServedAnswer
    from .label_columns import (
        COLUMN_DOMAINS_MAX,
        COLUMN_ROWS_MIN,
        ColumnSearch,
        LabelColumn,
        cluster_samples,
        column_experts,
        expert_answers,
        find_columns,
    )
    from .novel_domains import unpack_rows
    from .openings import AdaptedDomain, AdaptedOpenings, OpeningRefit
    from .session_state import SessionState
    from .snapshot import KnowledgeSnapshot
    from .stream import posterior
    from .stream_levels import StreamLevels
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "assess": ("Assessor", "BatchPrefetch", "FeatureModel"),
            "confirmed_alarms": ("confirmed_alarm",),
            "explanation": ("Explanation", "Guess", "explain", "guess_each"),
            "few_labels": ("FACTS_A_LABEL_MAX", "FewLabelsRefit", "column_clusters"),
            "label_buffer": ("BufferedObservation", "ServedAnswer"),
            "label_columns": (
                "COLUMN_DOMAINS_MAX",
                "COLUMN_ROWS_MIN",
                "ColumnSearch",
                "LabelColumn",
                "cluster_samples",
                "column_experts",
                "expert_answers",
                "find_columns",
            ),
            "novel_domains": ("unpack_rows",),
            "openings": ("AdaptedDomain", "AdaptedOpenings", "OpeningRefit"),
            "session_state": ("SessionState",),
            "snapshot": ("KnowledgeSnapshot",),
            "stream": ("posterior",),
            "stream_levels": ("StreamLevels",),
        },
    )

__all__ = [
    "COLUMN_DOMAINS_MAX",
    "COLUMN_ROWS_MIN",
    "FACTS_A_LABEL_MAX",
    "AdaptedDomain",
    "AdaptedOpenings",
    "Assessor",
    "BatchPrefetch",
    "BufferedObservation",
    "ColumnSearch",
    "Explanation",
    "FeatureModel",
    "FewLabelsRefit",
    "Guess",
    "KnowledgeSnapshot",
    "LabelColumn",
    "OpeningRefit",
    "ServedAnswer",
    "SessionState",
    "StreamLevels",
    "cluster_samples",
    "column_clusters",
    "column_experts",
    "confirmed_alarm",
    "expert_answers",
    "explain",
    "find_columns",
    "guess_each",
    "posterior",
    "unpack_rows",
]
