"""Zero-shot architecture search for small adaptors: task sketch and budget -> `SearchChoice`.

The search is imported on first use, since serving needs only `Blueprint` and its neighbours.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .blueprint import ACTIVATIONS, KINDS, PLAIN, RECIPES, AdaptorBudget, Blueprint, NoFit
from .errors import NasError

if TYPE_CHECKING:
    from .bidirectional import TaskScores, design_blueprint, score_bidirectional, without_facts
    from .cost import AdaptorShape, Cost, DeviceSpeed, count_cost, fit_device, probe_blueprints
    from .halving import HalvingRound, successive_halving
    from .proxies import PROXIES, BuildNetwork, Proxy, ProxyNetwork
    from .recipe_space import with_measured_recipe
    from .selection import SearchChoice, combine, search
    from .sketch import TaskSketch
    from .space import enumerate_space

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "PLAIN",
    "PROXIES",
    "RECIPES",
    "AdaptorBudget",
    "AdaptorShape",
    "Blueprint",
    "BuildNetwork",
    "Cost",
    "DeviceSpeed",
    "HalvingRound",
    "NasError",
    "NoFit",
    "Proxy",
    "ProxyNetwork",
    "SearchChoice",
    "TaskScores",
    "TaskSketch",
    "combine",
    "count_cost",
    "design_blueprint",
    "enumerate_space",
    "fit_device",
    "probe_blueprints",
    "score_bidirectional",
    "search",
    "successive_halving",
    "with_measured_recipe",
    "without_facts",
]

_LAZY: Final = (
    dict.fromkeys(
        ("Cost", "DeviceSpeed", "AdaptorShape", "count_cost", "fit_device", "probe_blueprints"),
        "cost",
    )
    | dict.fromkeys(
        ("TaskScores", "design_blueprint", "score_bidirectional", "without_facts"), "bidirectional"
    )
    | dict.fromkeys(("HalvingRound", "successive_halving"), "halving")
    | dict.fromkeys(("PROXIES", "BuildNetwork", "ProxyNetwork", "Proxy"), "proxies")
    | dict.fromkeys(("SearchChoice", "combine", "search"), "selection")
    | {"TaskSketch": "sketch", "enumerate_space": "space"}
    | {"with_measured_recipe": "recipe_space"}
)


def __getattr__(name: str) -> Any:
    """Import a name of the search on first use."""
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
