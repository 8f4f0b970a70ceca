"""The table of labelling rules: which observations to label next.

To add one: one class in a file of this folder and one line in LABELLING_RULES.
"""

from collections.abc import Callable, Mapping
from typing import Final

from .coverage import GreatestCoverage, UncertainCoverage
from .learned import LearnedRule
from .rule import LabellingRule
from .simple import FarthestRows, LargestEntropy, RandomRows, SmallestMargin
from .typical import TypicalAnswers, TypicalFeatures

LABELLING_RULES: Final[Mapping[str, Callable[[int], LabellingRule]]] = {
    "answers": TypicalAnswers,
    "random": RandomRows,
    "margin": SmallestMargin,
    "entropy": LargestEntropy,
    "coreset": FarthestRows,
    "typiclust": TypicalFeatures,
    "coverage": GreatestCoverage,
    "uncertain coverage": UncertainCoverage,
    "learned": LearnedRule,
}
"""Each rule by its short name, made from a seed."""

DEFAULT_RULE: Final = "learned"
"""The rule that serves: measured in docs/explanation/labels.md."""
