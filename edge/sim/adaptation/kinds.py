"""The table of policies of adaptation without labels that the harness compares.

To add one: one class in a file of this folder and one line in POLICIES.  They run here only: no
peer of this table serves.
"""

from collections.abc import Mapping
from typing import Final

from .alignment import AlphaNormalisation, ClosedCafa, MeanAlignment, Unadapted, UnMixing
from .default_policy import DefaultPolicy
from .mixtures import DistilledMixture
from .neighbours import (
    AlignedLabelShift,
    AlignedLame,
    LabelShift,
    Lame,
    NearestMemory,
    TemplateAdjuster,
)
from .policy import HeadPolicy
from .steps import (
    ClassCorrelation,
    Eata,
    GradientCafa,
    InformationMaximisation,
    OpenSetFilter,
    Tent,
)
from .teachers import Cotta, DomainPrompt, RobustMeanTeacher, Vida

POLICIES: Final[Mapping[str, type[HeadPolicy]]] = {
    "source": Unadapted,
    "auto": DefaultPolicy,
    "mean": MeanAlignment,
    "alpha-bn": AlphaNormalisation,
    "core": ClassCorrelation,
    "unmix-tns": UnMixing,
    "cafa": ClosedCafa,
    "cafa, gradient": GradientCafa,
    "lame, unaligned": Lame,
    "lame": AlignedLame,
    "label shift, unaligned": LabelShift,
    "label shift": AlignedLabelShift,
    "adanpc": NearestMemory,
    "t3a": TemplateAdjuster,
    "tent": Tent,
    "eata": Eata,
    "shot-im": InformationMaximisation,
    "cotta": Cotta,
    "rmt": RobustMeanTeacher,
    "vida": Vida,
    "domain prompt": DomainPrompt,
    "open-set filter": OpenSetFilter,
    "meta-dmoe": DistilledMixture,
}
"""Each policy by its short name; `source` does nothing, `auto` is what the runtime serves, `mean`
is plain alignment.  Those after
`cafa` follow the plain mean where the name does not say otherwise, but for `t3a`."""
