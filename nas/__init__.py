"""Task sketch and budget -> `Blueprint`, or `NoFit`: the zero-shot search for a small adaptor."""

from .blueprint import ACTIVATIONS, KINDS, Blueprint, Budget, NoFit
from .cost import Cost, Device, Shape, count_cost, fit_device, probes
from .errors import NasError
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
