"""Sparkplug B: an edge node on a second connection."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .client import Sparkplug
else:
    __getattr__ = lazy_names(__name__, {"client": ("Sparkplug",)})

__all__ = ["Sparkplug"]
