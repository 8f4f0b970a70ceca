"""The table of methods of unlearning that the harness compares.

To add one: one class in a file of this folder and one line in UNLEARNERS.  They run here only: no
method of this table serves, and none writes a knowledge file.
"""

from collections.abc import Mapping
from typing import Final

from .concepts import ConceptCorrection, ConceptRelabel
from .distributions import Blindspot, GaussianAmnesiac, LabelAgnostic
from .gates import CorruptedInputs, OrthogonalGate
from .gradients import (
    FineTune,
    ForgetDataOnly,
    GradientDifference,
    LogitDifference,
    NegativePreference,
    Repulsion,
    Retrain,
)
from .masks import (
    Corrective,
    PruneFirst,
    SaliencyUnlearning,
    SparseFineTune,
    SynapticDampening,
    WeightAttribution,
)
from .problem import Unlearner
from .structures import OneExpert, SlicedTraining

UNLEARNERS: Final[Mapping[str, Unlearner]] = {
    "retrain": Retrain(),
    "fine-tune": FineTune(),
    "gradient difference": GradientDifference(),
    "npo": NegativePreference(),
    "flat": ForgetDataOnly(),
    "uld": LogitDifference(),
    "repulsion": Repulsion(),
    "concept correction": ConceptCorrection(),
    "salun": SaliencyUnlearning(),
    "wagle": WeightAttribution(),
    "prune": PruneFirst(),
    "l1": SparseFineTune(),
    "ssd": SynapticDampening(),
    "corrective": Corrective(),
    "laf": LabelAgnostic(),
    "blindspot": Blindspot(),
    "gaussian amnesiac": GaussianAmnesiac(),
    "concept relabel": ConceptRelabel(),
    "s3t": SlicedTraining(),
    "uoe": OneExpert(),
    "eco": CorruptedInputs(),
    "o3": OrthogonalGate(),
}
"""Each published method by its short name; `retrain` is the oracle."""
