"""Task sketch and budget -> `Blueprint`, or `NoFit`: the zero-shot search for a small adaptor."""

from .blueprint import ACTIVATIONS, KINDS, Blueprint, Budget, NoFit
from .errors import NasError

__all__ = ["ACTIVATIONS", "KINDS", "Blueprint", "Budget", "NasError", "NoFit"]
