"""Auricle: an edge continual-learning runtime.  `Runtime` is the core, `Store` its durable ledger.

Nothing heavy is imported here: torch, onnxruntime, scikit-learn and matplotlib load where used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core import (
        Config,
        Decision,
        EdgeError,
        ForgetRequest,
        Label,
        Observation,
        Receipt,
        Runtime,
        Selector,
    )
    from .shell.store import Store
    from .sim import simulate

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Decision",
    "EdgeError",
    "ForgetRequest",
    "Label",
    "Observation",
    "Receipt",
    "Runtime",
    "Selector",
    "Store",
    "simulate",
]


_ELSEWHERE = {"Store": ".shell.store", "simulate": ".sim"}


def __getattr__(name: str) -> Any:
    """Load what is asked for: the command line sets numpy's threads before numpy is loaded."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, ".core"), __name__), name)
