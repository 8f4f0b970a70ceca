"""Shared parts of every page: the Jinja environment, macros and design tokens.

The console (`edge/web`) and the reports of a simulation use them; no numerical package is loaded.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .environment import make_environment, shared_text
else:
    __getattr__ = lazy_names(__name__, {"environment": ("make_environment", "shared_text")})

__all__ = ["make_environment", "shared_text"]
