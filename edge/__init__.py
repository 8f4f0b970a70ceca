"""Auricle: an edge continual-learning runtime.  `Runtime` is the core, `Store` its durable ledger.

Heavy packages (torch, onnxruntime, scikit-learn, matplotlib) are imported on first use.
"""

from typing import TYPE_CHECKING

from .lazy import lazy_names
from .version import __version__ as __version__

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
    from .sim import simulate
    from .storage import Store
else:
    # The command line sets numpy's threads before numpy is loaded.
    __getattr__ = lazy_names(
        __name__,
        {
            "core": (
                "Config",
                "Decision",
                "EdgeError",
                "ForgetRequest",
                "Label",
                "Observation",
                "Receipt",
                "Runtime",
                "Selector",
            ),
            "sim": ("simulate",),
            "storage": ("Store",),
        },
    )

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
