"""Task sketch and budget -> `Blueprint`, or `NoFit`: the zero-shot search for a small adaptor.

What searches is loaded when it is asked for: who serves needs the words alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .blueprint import ACTIVATIONS, KINDS, Blueprint, Budget, NoFit
from .errors import NasError

if TYPE_CHECKING:
    from .cost import Cost, Device, Shape, count_cost, fit_device, probes
    from .halving import Round, halve
    from .proxies import PROXIES, Build, Network, Proxy
    from .selection import Choice, combine, search
    from .sketch import Sketch
    from .space import enumerate_space

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "PROXIES",
    "Blueprint",
    "Budget",
    "Build",
    "Choice",
    "Cost",
    "Device",
    "NasError",
    "Network",
    "NoFit",
    "Proxy",
    "Round",
    "Shape",
    "Sketch",
    "combine",
    "count_cost",
    "enumerate_space",
    "fit_device",
    "halve",
    "probes",
    "search",
]

_LATER: Final = (
    dict.fromkeys(("Cost", "Device", "Shape", "count_cost", "fit_device", "probes"), "cost")
    | dict.fromkeys(("Round", "halve"), "halving")
    | dict.fromkeys(("PROXIES", "Build", "Network", "Proxy"), "proxies")
    | dict.fromkeys(("Choice", "combine", "search"), "selection")
    | {"Sketch": "sketch", "enumerate_space": "space"}
)


def __getattr__(name: str) -> Any:
    """Load a name of the search."""
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
