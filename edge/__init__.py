"""Auricle: an edge continual-learning runtime.  `Runtime` is the core, `Store` its durable ledger.

Nothing heavy is imported here: torch, onnxruntime, scikit-learn and matplotlib load where used.
"""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """Load the simulator, with its plotting and metrics, only when it is asked for."""
    if name == "simulate":
        from .sim import simulate

        return simulate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
