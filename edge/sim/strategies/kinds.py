"""The table of strategies.

To add one: one class in a file of this folder and one line in STRATEGIES.  They run here only: none
of them serves, but for the runtime's own learning, which is among them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from ...core import ConfigError, selected_rows
from ...extras import install_command
from .closed_form import NearestMean, RanPac, StreamingLda, StreamingRidge
from .product import RuntimeStrategy
from .regularised import ElasticWeights, LearningWithoutForgetting, SynapticIntelligence
from .strategy import Strategy, StreamShape
from .trained import ExperienceReplay, JointTraining, NaiveFineTuning

StrategyKind = Callable[..., Strategy]
"""Begins a strategy from the shape of a stream and a seed; its settings are keywords."""

REFRESH: Final = 1e-3
"""Step of refresh learning.  docs/explanation/strategies.md has the choice."""

_TRAINED_WITH_TORCH: Final = {
    "aper": ("adapters", "AdaptAndMerge"),
    "lae": ("adapters", "LearnAccumulateEnsemble"),
    "mos": ("surgery", "ModelSurgery"),
    "tricks": ("few_shot", "BagOfTricks"),
}


def _with_torch(name: str) -> StrategyKind:
    """Return a kind whose file is loaded when it begins: it needs torch."""
    file, kind = _TRAINED_WITH_TORCH[name]

    def begin(shape: StreamShape, seed: int, **settings: Any) -> Strategy:
        reason = left_out().get(name)
        if reason is not None:
            raise ConfigError(f"beginning the strategy {name}: {reason}", "leave it out")
        made: Strategy = getattr(import_module(f"{__package__}.{file}"), kind)(
            shape, seed, **settings
        )
        return made

    return begin


STRATEGIES: Final[Mapping[str, StrategyKind]] = {
    "auricle": RuntimeStrategy,
    "auricle, heads": partial(RuntimeStrategy, growth=False),
    "naive": NaiveFineTuning,
    "naive, refresh": partial(NaiveFineTuning, refresh=REFRESH),
    "replay": ExperienceReplay,
    "replay, refresh": partial(ExperienceReplay, refresh=REFRESH),
    "replay, balanced": partial(ExperienceReplay, choice="balanced"),
    "replay, selected": partial(ExperienceReplay, choice=partial(selected_rows, "herding")),
    "replay, adaptive": partial(ExperienceReplay, choice=partial(selected_rows, "adaptive")),
    "der++": partial(ExperienceReplay, outputs=0.5),
    "ewc": ElasticWeights,
    "ewc, refresh": partial(ElasticWeights, refresh=REFRESH),
    "si": SynapticIntelligence,
    "lwf": LearningWithoutForgetting,
    "ncm": NearestMean,
    "slda": StreamingLda,
    "ridge": StreamingRidge,
    "ranpac": RanPac,
    "aper": _with_torch("aper"),
    "lae": _with_torch("lae"),
    "mos": _with_torch("mos"),
    "tricks": _with_torch("tricks"),
    "joint": JointTraining,
}
"""Each strategy by its short name.  `auricle` is the runtime, `auricle, heads` without growth;
`joint` keeps every row, as the upper bound."""


def left_out() -> dict[str, str]:
    """Return the strategies that this installation cannot begin, with the reason."""
    if find_spec("torch") is not None:
        return {}
    reason = f"it is trained with torch, which is not installed: {install_command('grow')}"
    return dict.fromkeys(_TRAINED_WITH_TORCH, reason)
