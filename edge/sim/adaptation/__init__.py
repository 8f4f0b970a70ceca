"""Published policies of adaptation without labels beside the default: the table, streams and
figures.

For comparison only: no peer of the table serves, and nothing here writes a knowledge file.  Needs
numpy alone, and scikit-learn for its digits.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .comparison import PolicyReport, compare_policies, format_spread, split_protocols
    from .digits import digits_world
    from .kinds import POLICIES
    from .protocols import PROTOCOLS, AdaptationStream, AdaptationWorld, Change
    from .source_model import LabelledRows, SourceModel, solve_source
    from .summary import SOURCE, PolicyLine, best_published, gain_where, summarise_policies
    from .trial import PolicyOutcome, StreamPlan, plan_streams, run_policies, source_of
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "comparison": ("PolicyReport", "compare_policies", "format_spread", "split_protocols"),
            "digits": ("digits_world",),
            "kinds": ("POLICIES",),
            "protocols": ("PROTOCOLS", "AdaptationStream", "AdaptationWorld", "Change"),
            "source_model": ("LabelledRows", "SourceModel", "solve_source"),
            "summary": (
                "SOURCE",
                "PolicyLine",
                "best_published",
                "gain_where",
                "summarise_policies",
            ),
            "trial": ("PolicyOutcome", "StreamPlan", "plan_streams", "run_policies", "source_of"),
        },
    )

__all__ = [
    "POLICIES",
    "PROTOCOLS",
    "SOURCE",
    "AdaptationStream",
    "AdaptationWorld",
    "Change",
    "LabelledRows",
    "PolicyLine",
    "PolicyOutcome",
    "PolicyReport",
    "SourceModel",
    "StreamPlan",
    "best_published",
    "compare_policies",
    "digits_world",
    "format_spread",
    "gain_where",
    "plan_streams",
    "run_policies",
    "solve_source",
    "source_of",
    "split_protocols",
    "summarise_policies",
]
